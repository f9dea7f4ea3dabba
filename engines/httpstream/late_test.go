package httpstream_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/engines/capture"
)

// write is what a server writes, and how long it waits before.
type write struct {
	wait  time.Duration
	bytes string
}

// Over a pipe each write is a read of the connection, and in fake time it comes
// when it is written.
func TestEventsThatWaitForTheEndOfTheirChunkAreLate(t *testing.T) {
	const ms = time.Millisecond
	a, b, c := event("a"), event("b"), event("c")
	header := func(data string) string { return fmt.Sprintf("%x\r\n", len(data)) }
	var steps []write // 20 events of one chunk, each less than a millisecond behind the one before
	for i := range 20 {
		steps = append(steps, write{900 * time.Microsecond, a})
		if i == 0 {
			steps[0].bytes = header(strings.Repeat(a, 20)) + a
		}
	}
	big := "data: " + strings.Repeat("x", 6000) + "\n\n"
	for name, test := range map[string]struct {
		writes []write
		chunks int
		late   int
	}{
		"three events of one chunk": {[]write{{0, header(a+b+c) + a}, {50 * ms, b}, {50 * ms, c + "\r\n"}}, 1, 1},
		"the next chunk begins with the event before it": {
			[]write{{0, httpChunk(a) + header(b) + b[:20]}, {50 * ms, b[20:] + "\r\n"}}, 1, 1},
		"the same, behind the head": {
			[]write{{20 * ms, ""}, {0, httpChunk(a) + header(b) + b[:20]}, {50 * ms, b[20:] + "\r\n"}, {50 * ms, httpChunk(c)}}, 2, 1},
		"events of one chunk in small steps":    {append(steps, write{0, "\r\n"}), 1, 1},
		"each event in a chunk of its own":      {[]write{{50 * ms, httpChunk(a)}, {50 * ms, httpChunk(b)}, {50 * ms, httpChunk(c)}}, 3, 0},
		"events of one write":                   {[]write{{50 * ms, httpChunk(a) + httpChunk(b)}, {50 * ms, httpChunk(c)}}, 2, 0},
		"writes of one moment":                  {[]write{{50 * ms, header(a+b+c) + a}, {ms / 4, b}, {ms / 4, c + "\r\n"}}, 1, 0},
		"the end of a chunk by itself":          {[]write{{0, header(a) + a}, {50 * ms, "\r\n"}, {50 * ms, header(b) + b + "\r\n"}}, 2, 0},
		"the beginning of a chunk by itself":    {[]write{{0, header(a)}, {50 * ms, a + "\r\n"}, {50 * ms, header(b)}, {50 * ms, b + "\r\n"}}, 2, 0},
		"one event in segments":                 {[]write{{0, header(big) + big[:2000]}, {5 * ms, big[2000:4000]}, {5 * ms, big[4000:] + "\r\n"}}, 1, 0},
		"half an event behind another's chunk":  {[]write{{0, httpChunk(a[:20])}, {50 * ms, httpChunk(a[20:])}}, 2, 0},
		"keep-alives before an event of a path": {[]write{{0, header(": ping\n\n"+a) + ": ping\n\n"}, {50 * ms, a + "\r\n"}}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg, _ := pipes(t, func(c net.Conn) {
					io.WriteString(c, streamHead)
					for _, w := range test.writes {
						time.Sleep(w.wait)
						io.WriteString(c, w.bytes)
					}
					time.Sleep(50 * ms)
					io.WriteString(c, "0\r\n\r\n")
				})
				slot, err := cfg.NewSlot(t.Context())
				require.NoError(t, err)
				defer slot.Close()
				into := capture.New(1, 1<<16, 64)[0]
				for range 2 { // also over a connection that was used before
					into.Reset()
					require.NoError(t, slot.Send(t.Context(), engines.Message{Body: []byte("x")}, into))
					require.Len(t, into.Chunks, test.chunks)
					require.Equal(t, test.late, into.Late)
				}
			})
		})
	}
}

// event is a server-sent event of a usual size.
func event(text string) string {
	return `data: {"choices":[{"text":"` + text + `","finish_reason":null,"token_ids":[7]}]}` + "\n\n"
}
