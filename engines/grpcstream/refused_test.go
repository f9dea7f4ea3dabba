package grpcstream

import (
	"net"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"enginebench/engines"
)

// By itself the gRPC library sends such a request again, in silence: the time
// of both would be one request's, and the reply's bytes another stream's.
func TestARefusedRequestIsSentOnce(t *testing.T) {
	var onTheWire atomic.Int64
	slot := dialTo(t, &Config{Address: rawServer(t, func(_ net.Conn, f *http2.Framer, stream uint32) bool {
		if onTheWire.Add(1) == 1 {
			return f.WriteRSTStream(stream, http2.ErrCodeRefusedStream) == nil
		}
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: grpcHead, EndHeaders: true})
		f.WriteData(stream, false, grpcMessage(3, false))
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: grpcStatusOK, EndHeaders: true, EndStream: true}) == nil
	})})
	into := newCapture()
	err := slot.Send(t.Context(), engines.Message{Body: []byte("x")}, into)
	require.Equal(t, engines.Throttled, engines.ClassOf(err), "%v", err)
	require.ErrorContains(t, err, "the server refused the request before it worked on it (REFUSED_STREAM): ")
	require.EqualValues(t, 1, onTheWire.Load())
	require.Empty(t, into.Chunks)
	require.False(t, into.Trailer.Clean)
	require.Positive(t, into.Send)

	into = newCapture()
	require.NoError(t, slot.Send(t.Context(), engines.Message{Body: []byte("x")}, into))
	require.Len(t, into.Chunks, 1)
	require.Zero(t, into.Connect, "the connection is as good as before")
	require.EqualValues(t, 2, onTheWire.Load())
}

func TestSnifferTellsARefusedStreamFromAResetOne(t *testing.T) {
	for code, refused := range map[http2.ErrCode]bool{http2.ErrCodeRefusedStream: true, http2.ErrCodeInternal: false, http2.ErrCodeNo: false} {
		r := newReply()
		must(r.WriteSettings())
		must(r.WriteRSTStream(testStream-2, http2.ErrCodeRefusedStream)) // an older request's
		must(r.WriteRSTStream(testStream, code))
		for _, cut := range []int{1, 5, 11, 100} {
			_, _, _, s := sniffAll(t, r.Bytes(), func() int { return cut }, 100)
			require.True(t, s.reset.Load(), "%v in reads of %d", code, cut)
			require.Equal(t, refused, s.refused.Load(), "%v in reads of %d", code, cut)
		}
	}
}
