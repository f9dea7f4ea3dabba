package grpcstream

import (
	"context"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"

	"enginebench/engines"
	"enginebench/engines/capture"
)

func TestReadyDialsABrokenConnectionAgainOutsideOfTheClock(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	answer := func(_ []byte, s grpc.ServerStream) error { return say(s, "a") }
	server := serveOn(t, l, answer)
	slot := dialTo(t, &Config{Address: address})
	first := slot.link
	require.NoError(t, slot.Ready(t.Context()))
	require.Same(t, first, slot.link, "a connection that is fit stays")
	server.Stop()
	for first.usable() { // until the client has seen it
		runtime.Gosched()
	}
	require.Equal(t, engines.Dial, engines.ClassOf(slot.Ready(t.Context())))

	l, err = net.Listen("tcp", address)
	require.NoError(t, err)
	serveOn(t, l, answer)
	require.NoError(t, slot.Ready(t.Context()))
	into := newCapture()
	require.NoError(t, slot.Send(t.Context(), engines.Message{}, into))
	require.Zero(t, into.Connect)
}

// stuck is a connection whose writes wait while it is held.
type stuck struct {
	net.Conn
	held   atomic.Bool
	closed chan struct{}
	once   sync.Once
}

func (c *stuck) Write(p []byte) (int, error) {
	if c.held.Load() {
		<-c.closed
		return 0, net.ErrClosed
	}
	return c.Conn.Write(p)
}

func (c *stuck) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// A request that was given up while it waited behind another write must not
// lend its head to the next.
func TestARequestGivenUpBeforeItIsWrittenIsNotTakenForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type end struct {
			client *stuck
			framer *http2.Framer // the server's
		}
		var ends []end
		cfg := &Config{Address: "pipe:1", Method: testMethod, DialContext: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			framer := http2.NewFramer(server, server)
			go answerAll(server, framer)
			ends = append(ends, end{&stuck{Conn: client, closed: make(chan struct{})}, framer})
			return ends[len(ends)-1].client, nil
		}}
		slot, err := cfg.Dial(t.Context())
		require.NoError(t, err)
		defer slot.Close()
		synctest.Wait()
		ends[0].client.held.Store(true)
		require.NoError(t, ends[0].framer.WritePing(false, [8]byte{}))
		synctest.Wait() // the answer to the ping is stuck, and so is all behind it

		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			synctest.Wait()
			cancel()
		}()
		start := capture.Now()
		require.Equal(t, engines.Cancelled, engines.ClassOf(slot.Send(ctx, engines.Message{Body: []byte("x")}, newCapture())))
		into := newCapture()
		require.NoError(t, slot.Send(t.Context(), engines.Message{Body: []byte("y")}, into))
		require.Len(t, into.Chunks, 1)
		require.Len(t, ends, 2)
		require.Equal(t, start, capture.Now(), "nothing waited for the writer that is stuck")
	})
}

// answerAll answers each request with one message.
func answerAll(conn net.Conn, framer *http2.Framer) {
	defer conn.Close()
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	framer.WriteSettings()
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		if id := frame.Header().StreamID; frame.Header().Type == http2.FrameHeaders {
			framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: grpcHead, EndHeaders: true})
			framer.WriteData(id, false, grpcMessage(3, false))
			framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: grpcStatusOK, EndHeaders: true, EndStream: true})
		}
	}
}
