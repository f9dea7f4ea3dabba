package httpstream_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/engines/capture"
)

// onlyFirst answers the first request of a connection, and at the second one
// closes it, as a server does whose close crosses with that request.
func onlyFirst(c net.Conn) {
	requests := bufio.NewReader(c)
	if r, err := http.ReadRequest(requests); err == nil {
		io.Copy(io.Discard, r.Body)
		io.WriteString(c, wholeReply)
		http.ReadRequest(requests)
	}
}

func TestAQuestionIsAskedAgainWhereAKeptConnectionEnds(t *testing.T) {
	address := rawServer(t, onlyFirst)
	client := config(t, address).NewClient()
	defer client.Close()
	for range 3 {
		answer, err := client.Get(t.Context(), "/version")
		require.NoError(t, err)
		require.Equal(t, "data: 1\n\n", string(answer))
		answer, err = client.Post(t.Context(), "/api/show", []byte(`{"model":"m"}`))
		require.NoError(t, err)
		require.Equal(t, "data: 1\n\n", string(answer))
	}
	require.Len(t, client.Exchanges, 6)

	// A request that is measured goes out once.
	slot, err := config(t, address).NewSlot(t.Context())
	require.NoError(t, err)
	defer slot.Close()
	into := capture.New(1, 1<<12, 8)[0]
	require.NoError(t, slot.Send(t.Context(), engines.Message{Body: []byte("x")}, into))
	into.Reset()
	require.Equal(t, engines.Conn, engines.ClassOf(slot.Send(t.Context(), engines.Message{Body: []byte("x")}, into)))
}

func TestAQuestionThatNoFreshConnectionAnswersIsAskedOnce(t *testing.T) {
	var asked atomic.Int32
	client := config(t, rawServer(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		asked.Add(1)
	})).NewClient()
	defer client.Close()
	_, err := client.Get(t.Context(), "/version")
	require.Equal(t, engines.Conn, engines.ClassOf(err), "%v", err)
	require.EqualValues(t, 1, asked.Load())
}
