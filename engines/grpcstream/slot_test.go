package grpcstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"enginebench/engines"
	"enginebench/engines/capture"
)

const testMethod = "/test.Service/Stream"

// serve runs a gRPC server that answers every call with handler and returns
// its address.
func serve(t testing.TB, handler func(request []byte, stream grpc.ServerStream) error, opts ...grpc.ServerOption) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	serveOn(t, l, handler, opts...)
	return l.Addr().String()
}

func serveOn(t testing.TB, l net.Listener, handler func(request []byte, stream grpc.ServerStream) error, opts ...grpc.ServerOption) *grpc.Server {
	server := grpc.NewServer(append(opts, grpc.ForceServerCodecV2(rawCodec{}),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			var request []byte
			if err := stream.RecvMsg(&request); err != nil {
				return err
			}
			return handler(request, stream)
		}))...)
	go server.Serve(l)
	t.Cleanup(server.Stop)
	return server
}

func say(stream grpc.ServerStream, messages ...string) error {
	for _, m := range messages {
		b := []byte(m)
		if err := stream.SendMsg(&b); err != nil {
			return err
		}
	}
	return nil
}

func dialTo(t testing.TB, c *Config) *Slot {
	if c.Method == "" {
		c.Method = testMethod
	}
	slot, err := c.Dial(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { slot.Close() })
	return slot
}

func newCapture() *capture.Capture { return capture.New(1, 1<<16, 1024)[0] }

func chunks(c *capture.Capture) (all []string) {
	for i := range c.Chunks {
		all = append(all, string(c.Chunk(i)))
	}
	return all
}

func TestSendCapturesAWholeReply(t *testing.T) {
	asked := make(chan metadata.MD, 3)
	address := serve(t, func(request []byte, stream grpc.ServerStream) error {
		md, _ := metadata.FromIncomingContext(stream.Context())
		asked <- md
		stream.SendHeader(metadata.Pairs("server-says", "hello"))
		return say(stream, "a", "", string(request))
	})
	slot := dialTo(t, &Config{Address: address, Metadata: metadata.Pairs("authorization", "Bearer k")})
	for range 3 { // a slot is used again and again
		into := newCapture()
		require.NoError(t, slot.Send(t.Context(), engines.Message{ID: "i/c/0", Body: []byte("the prompt")}, into))
		require.NoError(t, into.Err)
		require.Equal(t, []string{"a", "", "the prompt"}, chunks(into))
		require.Equal(t, []string{"hello"}, into.Head.Header["server-says"])
		require.Zero(t, into.Head.Status)
		require.Zero(t, into.Connect)
		require.Equal(t, capture.Trailer{Arrival: into.Trailer.Arrival, Seen: into.Trailer.Seen, Clean: true}, into.Trailer)
		require.Equal(t, into.Chunks[2].Seen, into.Progress())
		order := []time.Duration{into.Send, into.Head.Arrival, into.Chunks[0].Arrival, into.Chunks[1].Arrival, into.Chunks[2].Arrival, into.Trailer.Arrival, into.Trailer.Seen, into.Done}
		require.IsNonDecreasing(t, order)
		require.GreaterOrEqual(t, into.Head.Seen, into.Head.Arrival)
		require.Positive(t, into.Send)
	}
	md := <-asked
	require.Equal(t, []string{"Bearer k"}, md["authorization"])
	require.Equal(t, []string{"i/c/0"}, md["x-request-id"])
	require.NotContains(t, md, "grpc-timeout")
}

func TestSendKeepsThousandsOfMessagesInStep(t *testing.T) {
	const n = 20_000
	address := serve(t, func(_ []byte, stream grpc.ServerStream) error {
		for i := range n {
			if err := say(stream, string(make([]byte, i%97))); err != nil {
				return err
			}
		}
		return nil
	})
	into := newCapture()
	require.NoError(t, dialTo(t, &Config{Address: address}).Send(t.Context(), engines.Message{}, into))
	require.Len(t, into.Chunks, n)
	for i, c := range into.Chunks {
		require.Len(t, into.Chunk(i), i%97)
		require.LessOrEqual(t, c.Arrival, c.Seen)
		if i > 0 {
			require.GreaterOrEqual(t, c.Seen, into.Chunks[i-1].Seen)
		}
	}
}

func TestSendClassesWhatGoesWrong(t *testing.T) {
	tests := map[string]struct {
		handler func(request []byte, stream grpc.ServerStream) error
		max     int
		class   engines.Class
		text    string
		chunks  int
		status  codes.Code
	}{
		"throttled": {
			handler: func([]byte, grpc.ServerStream) error { return status.Error(codes.ResourceExhausted, "queue full") },
			class:   engines.Throttled, text: "queue full", status: codes.ResourceExhausted,
		},
		"unknown method": {
			handler: func([]byte, grpc.ServerStream) error { return status.Error(codes.Unimplemented, "no such method") },
			class:   engines.Rejected, text: "no such method", status: codes.Unimplemented,
		},
		"invalid": {
			handler: func([]byte, grpc.ServerStream) error { return status.Error(codes.InvalidArgument, "bad tensor") },
			class:   engines.Rejected, text: "bad tensor", status: codes.InvalidArgument,
		},
		"unavailable at once": {
			handler: func([]byte, grpc.ServerStream) error { return status.Error(codes.Unavailable, "going down") },
			class:   engines.Conn, text: "going down", status: codes.Unavailable,
		},
		"unavailable after messages": {
			handler: func(_ []byte, s grpc.ServerStream) error {
				return errors.Join(say(s, "a", "b"), status.Error(codes.Unavailable, "going down"))
			},
			class: engines.Reset, text: "going down", chunks: 2, status: codes.Unavailable,
		},
		"status in the middle": {
			handler: func(_ []byte, s grpc.ServerStream) error {
				say(s, "a")
				return status.Error(codes.Internal, "cuda died")
			},
			class: engines.EngineError, text: "cuda died", chunks: 1, status: codes.Internal,
		},
		"its own deadline": {
			handler: func(_ []byte, s grpc.ServerStream) error {
				say(s, "a")
				return status.Error(codes.DeadlineExceeded, "too slow")
			},
			class: engines.RequestTimeout, text: "too slow", chunks: 1, status: codes.DeadlineExceeded,
		},
		"oversize": {
			handler: func(_ []byte, s grpc.ServerStream) error { return say(s, "a", string(make([]byte, 2000)), "b") },
			max:     1000, class: engines.Oversize, text: "larger than 1000 bytes", chunks: 1,
		},
		"exhausted, and not oversize": {
			handler: func(_ []byte, s grpc.ServerStream) error {
				say(s, "a")
				return status.Error(codes.ResourceExhausted, "grpc: received message larger than max")
			},
			max: 1000, class: engines.Throttled, chunks: 1, status: codes.ResourceExhausted,
		},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			slot := dialTo(t, &Config{Address: serve(t, c.handler), MaxMessage: c.max})
			into := newCapture()
			err := slot.Send(t.Context(), engines.Message{}, into)
			require.Equal(t, c.class, engines.ClassOf(err), "%v", err)
			require.Equal(t, into.Err, err)
			require.ErrorContains(t, err, c.text)
			require.Len(t, into.Chunks, c.chunks)
			require.EqualValues(t, c.status, into.Trailer.Status)
			require.Equal(t, c.class != engines.Oversize, into.Trailer.Clean)
			require.NotZero(t, into.Send)
			require.Greater(t, into.Done, into.Send, "the slot was taken until then")
		})
	}
}

func TestACauseThatIsAnErrorWinsOverTheStatus(t *testing.T) {
	released := make(chan struct{})
	address := serve(t, func(_ []byte, s grpc.ServerStream) error {
		say(s, "a")
		<-s.Context().Done()
		close(released)
		return s.Context().Err()
	})
	slot := dialTo(t, &Config{Address: address})
	ctx, cancel := context.WithCancelCause(t.Context())
	into := newCapture()
	go func() {
		for into.Progress() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel(engines.Errorf(engines.IdleTimeout, "no event for 10s"))
	}()
	err := slot.Send(ctx, engines.Message{}, into)
	require.Equal(t, engines.IdleTimeout, engines.ClassOf(err))
	require.Equal(t, []string{"a"}, chunks(into))
	require.False(t, into.Trailer.Clean)
	<-released // the server was told
}

func TestACancelledRequestLeavesTheSlotUsable(t *testing.T) {
	var before atomic.Bool
	address := serve(t, func(_ []byte, s grpc.ServerStream) error {
		if before.Swap(true) {
			return say(s, "x", "y")
		}
		for i := 0; ; i++ {
			if err := say(s, "endless"); err != nil {
				return err
			}
		}
	})
	slot := dialTo(t, &Config{Address: address})
	ctx, cancel := context.WithCancel(t.Context())
	into := newCapture()
	go func() {
		for into.Progress() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	require.Equal(t, engines.Cancelled, engines.ClassOf(slot.Send(ctx, engines.Message{}, into)))
	into = newCapture()
	require.NoError(t, slot.Send(t.Context(), engines.Message{}, into))
	require.Equal(t, []string{"x", "y"}, chunks(into))
	require.Less(t, into.Send, into.Chunks[0].Arrival)
}

func TestABrokenConnectionIsDialledAgainBeforeTheClock(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	answer := func(_ []byte, s grpc.ServerStream) error { return say(s, "a") }
	server := serveOn(t, l, answer)
	slot := dialTo(t, &Config{Address: address})
	require.NoError(t, slot.Send(t.Context(), engines.Message{}, newCapture()))
	server.Stop()

	into := newCapture()
	err = slot.Send(t.Context(), engines.Message{}, into)
	require.Contains(t, []engines.Class{engines.Dial, engines.Conn}, engines.ClassOf(err), "%v", err)

	l, err = net.Listen("tcp", address)
	require.NoError(t, err)
	serveOn(t, l, answer)
	into = newCapture()
	require.NoError(t, slot.Send(t.Context(), engines.Message{}, into))
	require.Positive(t, into.Connect)
	require.Equal(t, []string{"a"}, chunks(into))
}

// rawServer accepts one connection and calls answer for each request's
// HEADERS, until that returns false or the connection ends.
func rawServer(t testing.TB, answer func(conn net.Conn, framer *http2.Framer, stream uint32) bool) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		framer := http2.NewFramer(conn, conn)
		framer.WriteSettings()
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				return
			}
			if frame.Header().Type == http2.FrameHeaders && !answer(conn, framer, frame.Header().StreamID) {
				return
			}
		}
	}()
	return l.Addr().String()
}

// In HPACK, without its tables: ":status: 200, content-type: application/grpc"
// and "grpc-status: 0".
var (
	grpcHead     = append([]byte{0x88, 0x0f, 0x10, 16}, "application/grpc"...)
	grpcStatusOK = append([]byte{0x00, 11}, "grpc-status\x010"...)
)

func TestSendClassesWhatBreaks(t *testing.T) {
	begin := func(f *http2.Framer, stream uint32) {
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: grpcHead, EndHeaders: true})
		f.WriteData(stream, false, grpcMessage(3, false))
	}
	tests := map[string]struct {
		answer func(conn net.Conn, f *http2.Framer, stream uint32)
		class  engines.Class
		text   string
		chunks int
	}{
		"closed before a reply": {
			answer: func(net.Conn, *http2.Framer, uint32) {}, class: engines.Conn,
		},
		"closed in the middle": {
			answer: func(_ net.Conn, f *http2.Framer, stream uint32) { begin(f, stream) }, class: engines.Reset, chunks: 1,
		},
		"reset connection in the middle": {
			answer: func(conn net.Conn, f *http2.Framer, stream uint32) {
				begin(f, stream)
				f.ReadFrame() // what the client has written; unread bytes are not needed for a reset
				conn.(*net.TCPConn).SetLinger(0)
			}, class: engines.Reset, chunks: 1,
		},
		"reset stream": {
			answer: func(_ net.Conn, f *http2.Framer, stream uint32) {
				begin(f, stream)
				f.WriteRSTStream(stream, http2.ErrCodeInternal)
				f.ReadFrame()
			}, class: engines.Reset, text: "RST_STREAM", chunks: 1,
		},
		"goaway before a reply": {
			answer: func(_ net.Conn, f *http2.Framer, stream uint32) {
				f.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, []byte("too_many_pings"))
			}, class: engines.Conn, text: `ENHANCE_YOUR_CALM "too_many_pings"`,
		},
		"goaway in the middle": {
			answer: func(_ net.Conn, f *http2.Framer, stream uint32) {
				begin(f, stream)
				f.WriteGoAway(stream, http2.ErrCodeNo, []byte("max_age"))
			}, class: engines.Reset, text: `debug data: "max_age"`, chunks: 1,
		},
		"a frame larger than was allowed": {
			answer: func(conn net.Conn, f *http2.Framer, stream uint32) {
				begin(f, stream)
				conn.Write([]byte{0xff, 0xff, 0xff, byte(http2.FrameData), 0, 0, 0, 0, 1})
				f.ReadFrame()
			}, class: engines.Protocol, text: "frame too large", chunks: 1,
		},
		"a frame where none may be": {
			answer: func(conn net.Conn, f *http2.Framer, stream uint32) {
				begin(f, stream)
				conn.Write([]byte{0, 0, 0, byte(http2.FrameContinuation), 0, 0, 0, 0, byte(stream)})
				f.ReadFrame()
			}, class: engines.Protocol, chunks: 1,
		},
		"not gRPC": {
			answer: func(_ net.Conn, f *http2.Framer, stream uint32) {
				f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: []byte{0x8d}, EndHeaders: true, EndStream: true}) // :status 404
				f.ReadFrame()
			}, class: engines.Rejected, text: "404",
		},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			slot := dialTo(t, &Config{Address: rawServer(t, func(conn net.Conn, f *http2.Framer, stream uint32) bool {
				c.answer(conn, f, stream)
				return false
			})})
			into := newCapture()
			err := slot.Send(t.Context(), engines.Message{Body: []byte("x")}, into)
			require.Equal(t, c.class, engines.ClassOf(err), "%v", err)
			require.ErrorContains(t, err, c.text)
			require.Len(t, into.Chunks, c.chunks)
			t.Log(err)
		})
	}
}

func TestDialSaysWhatIsThereInstead(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	mail, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { mail.Close() })
	go func() {
		for {
			conn, err := mail.Accept()
			if err != nil {
				return
			}
			conn.Write([]byte("220 mail ready\r\n"))
			io.ReadFull(conn, make([]byte, len(http2.ClientPreface)))
			conn.Close()
		}
	}()
	grpcAddress := serve(t, func([]byte, grpc.ServerStream) error { return nil })

	for name, c := range map[string]struct {
		cfg  Config
		text string
	}{
		"nothing":          {Config{Address: closed.Addr().String()}, "connection refused"},
		"HTTP/1":           {Config{Address: plain.Listener.Addr().String()}, "looks like an HTTP/1 port"},
		"TLS":              {Config{Address: secure.Listener.Addr().String()}, "use grpcs://"},
		"no TLS":           {Config{Address: grpcAddress, TLS: &tls.Config{}}, "use grpc://"},
		"another protocol": {Config{Address: mail.Addr().String()}, "not HTTP/2"},
		"unknown name":     {Config{Address: "no-such-host.invalid:1"}, "no-such-host.invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.cfg.Dial(t.Context())
			require.Equal(t, engines.Dial, engines.ClassOf(err), "%v", err)
			require.ErrorContains(t, err, c.text)
			require.NotContains(t, err.Error(), "\n")
			t.Log(err)
		})
	}
}

func TestDialGivesUpWithItsContext(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the kernel and never greets
	require.NoError(t, err)
	t.Cleanup(func() { mute.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = (&Config{Address: mute.Addr().String()}).Dial(ctx)
	require.Equal(t, engines.Dial, engines.ClassOf(err))
	require.ErrorContains(t, err, "no HTTP/2 connection in time")

	ctx, stop := context.WithCancelCause(t.Context())
	stop(engines.Errorf(engines.Cancelled, "interrupted"))
	_, err = (&Config{Address: mute.Addr().String()}).Dial(ctx)
	require.Equal(t, engines.Cancelled, engines.ClassOf(err))
}

func TestSendWorksOverTLS(t *testing.T) {
	certs := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(certs.Close)
	roots := x509.NewCertPool()
	roots.AddCert(certs.Certificate())
	address := serve(t, func(_ []byte, s grpc.ServerStream) error { return say(s, "a", string(make([]byte, 100_000)), "b") },
		grpc.Creds(credentials.NewServerTLSFromCert(&certs.TLS.Certificates[0])))
	slot := dialTo(t, &Config{Address: address, TLS: &tls.Config{RootCAs: roots, ServerName: "example.com"}})
	into := newCapture()
	require.NoError(t, slot.Send(t.Context(), engines.Message{Body: []byte("x")}, into))
	require.Len(t, into.Chunks, 3)
	require.IsNonDecreasing(t, []time.Duration{into.Send, into.Head.Arrival, into.Chunks[0].Arrival, into.Chunks[1].Arrival, into.Chunks[2].Arrival, into.Trailer.Arrival})
	require.Positive(t, into.Send)
}

func TestCallReturnsTheAnswersBytesAndStatus(t *testing.T) {
	address := serve(t, func(request []byte, s grpc.ServerStream) error {
		if len(request) == 0 {
			return status.Error(codes.NotFound, "no model")
		}
		return say(s, "answer")
	})
	slot := dialTo(t, &Config{Address: address})
	answer, code, err := slot.Call(t.Context(), "/test.Service/Ask", []byte("question"))
	require.NoError(t, err)
	require.Equal(t, "answer", string(answer))
	require.Equal(t, codes.OK, code)

	_, code, err = slot.Call(t.Context(), "/test.Service/Ask", nil)
	require.Equal(t, codes.NotFound, code)
	require.Equal(t, engines.Rejected, engines.ClassOf(err))
	require.ErrorContains(t, err, "no model")
}

// BenchmarkSend is what one message costs end to end: against a grpc-go server
// in this process, whose cost is in the numbers too, and against one that
// writes frames made before. Allocations are the gRPC library's, none is ours.
func BenchmarkSend(b *testing.B) {
	const n, size = 4000, 200 // together less than a window
	b.Run("server=grpc", func(b *testing.B) {
		token := string(make([]byte, size))
		benchmarkSend(b, n, serve(b, func(_ []byte, s grpc.ServerStream) error {
			for range n {
				if err := say(s, token); err != nil {
					return err
				}
			}
			return nil
		}))
	})
	b.Run("server=frames", func(b *testing.B) {
		benchmarkSend(b, n, rawServer(b, func(conn net.Conn, f *http2.Framer, stream uint32) bool {
			r := newReply()
			r.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: grpcHead, EndHeaders: true})
			for range n {
				r.WriteData(stream, false, grpcMessage(size, false))
			}
			r.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: grpcStatusOK, EndHeaders: true, EndStream: true})
			_, err := conn.Write(r.Bytes())
			return err == nil
		}))
	})
}

func benchmarkSend(b *testing.B, n int, address string) {
	slot := dialTo(b, &Config{Address: address})
	into := capture.New(1, n*200, n)[0]
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	total := 0
	for b.Loop() {
		into.Reset()
		require.NoError(b, slot.Send(b.Context(), engines.Message{}, into))
		total += len(into.Chunks)
	}
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(total), "ns/chunk")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(total), "allocs/chunk")
}
