package httpstream_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/engines/capture"
	"enginebench/engines/httpstream"
)

func config(t testing.TB, address string) *httpstream.Config {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	cfg, err := httpstream.NewConfig(engines.Spec{Name: "test", URL: u, APIKey: "s3cret"}, u.Scheme, "/v1/completions")
	require.NoError(t, err)
	return cfg
}

// rawServer answers every connection with handle and gives its address.
func rawServer(t testing.TB, handle func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); handle(c) }()
		}
	}()
	return "http://" + l.Addr().String()
}

const streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

func httpChunk(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }

func send(t testing.TB, address string) (*capture.Capture, error) {
	t.Helper()
	into := capture.New(1, 1<<16, 256)[0]
	return into, sendInto(t, address, into)
}

func sendInto(t testing.TB, address string, into *capture.Capture) error {
	t.Helper()
	slot, err := config(t, address).NewSlot(t.Context())
	require.NoError(t, err)
	defer slot.Close()
	return slot.Send(t.Context(), engines.Message{ID: "a/b/0", Body: []byte(`{"x":1}`)}, into)
}

// awaitEvent returns when an event has come into a capture.
func awaitEvent(into *capture.Capture) {
	for into.Progress() == 0 {
		runtime.Gosched()
	}
}

func TestSendCapturesEachChunkInOrderOfTime(t *testing.T) {
	requests := make(chan *http.Request, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		requests <- r
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
		}
	}))
	defer server.Close()
	before := capture.Now()
	c, err := send(t, server.URL)
	require.NoError(t, err)
	got := <-requests
	body, err := io.ReadAll(got.Body)
	require.NoError(t, err)
	require.Equal(t, "/v1/completions", got.URL.Path)
	require.Equal(t, "Bearer s3cret", got.Header.Get("Authorization"))
	require.Equal(t, "a/b/0", got.Header.Get("X-Request-Id"))
	require.Empty(t, got.Header.Get("Accept-Encoding"))
	require.Equal(t, `{"x":1}`, string(body))

	require.Equal(t, "data: 0\n\ndata: 1\n\ndata: 2\n\n", string(c.Data))
	require.Equal(t, 200, c.Head.Status)
	require.True(t, c.Trailer.Clean)
	require.Zero(t, c.Connect, "the connection was dialled ahead")
	last := before
	for _, at := range []time.Duration{c.Send, c.Head.Arrival, c.Chunks[0].Arrival, c.Chunks[len(c.Chunks)-1].Arrival, c.Trailer.Arrival, c.Trailer.Seen, c.Done} {
		require.GreaterOrEqual(t, at, last)
		last = at
	}
	require.NotZero(t, c.Progress())
	require.GreaterOrEqual(t, c.Head.Seen, c.Head.Arrival)
}

func TestFailuresOfTheConnectionHaveTheirClasses(t *testing.T) {
	for _, test := range []struct {
		name   string
		handle func(c net.Conn, into *capture.Capture)
		class  engines.Class
		chunks int
	}{
		{"closed before a reply", func(c net.Conn, _ *capture.Capture) {}, engines.Conn, 0},
		{"reset in the middle", func(c net.Conn, into *capture.Capture) {
			io.WriteString(c, streamHead+httpChunk("data: 1\n\n"))
			awaitEvent(into) // a reset throws away what the client has not taken
			c.(*net.TCPConn).SetLinger(0)
		}, engines.Reset, 1},
		{"closed in the middle", func(c net.Conn, _ *capture.Capture) { io.WriteString(c, streamHead+httpChunk("data: 1\n\n")) }, engines.Truncated, 1},
		{"invalid chunk length", func(c net.Conn, _ *capture.Capture) { io.WriteString(c, streamHead+httpChunk("data: 1\n\n")+"zz\r\n") }, engines.Protocol, 1},
		{"no head", func(c net.Conn, _ *capture.Capture) { io.WriteString(c, "this is not HTTP at all\r\n\r\n") }, engines.Protocol, 0},
		{"a head without end", func(c net.Conn, _ *capture.Capture) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 2<<20))
		}, engines.Protocol, 0},
		{"a header line that is none", func(c net.Conn, _ *capture.Capture) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n")
		}, engines.Protocol, 0},
		{"a length that is none", func(c net.Conn, _ *capture.Capture) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n")
		}, engines.Protocol, 0},
		{"closed inside the head", func(c net.Conn, _ *capture.Capture) { io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Ty") }, engines.Conn, 0},
		{"throttled", func(c net.Conn, _ *capture.Capture) {
			io.WriteString(c, "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\nRetry-After: 7\r\n\r\n{}")
		}, engines.Throttled, 1},
		{"unavailable", func(c net.Conn, _ *capture.Capture) {
			io.WriteString(c, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
		}, engines.Throttled, 0},
		{"refused by the server", func(c net.Conn, _ *capture.Capture) {
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 32\r\n\r\n"+`{"error":{"message":"too long`+`"}}`)
		}, engines.Rejected, 1},
		{"redirect", func(c net.Conn, _ *capture.Capture) {
			io.WriteString(c, "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n")
		}, engines.Rejected, 0},
		{"server error", func(c net.Conn, _ *capture.Capture) {
			io.WriteString(c, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
		}, engines.EngineError, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			into := capture.New(1, 1<<16, 256)[0]
			err := sendInto(t, rawServer(t, func(c net.Conn) {
				http.ReadRequest(bufio.NewReader(c))
				test.handle(c, into)
			}), into)
			require.Equal(t, test.class, engines.ClassOf(err), "%v", err)
			require.Equal(t, err, into.Err)
			require.Len(t, into.Chunks, test.chunks)
			require.Greater(t, into.Done, into.Send, "the slot was taken until then")
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestAReplyWithoutEndIsOversize(t *testing.T) {
	address := rawServer(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, streamHead)
		events := httpChunk(strings.Repeat("data: 1\n\n", 10_000))
		for {
			if _, err := io.WriteString(c, events); err != nil {
				return
			}
		}
	})
	captures := capture.New(1, 1<<12, 8)
	capture.Limit(captures, 0)
	err := sendInto(t, address, captures[0])
	require.Equal(t, engines.Oversize, engines.ClassOf(err), "%v", err)
	require.Regexp(t, `read the reply of http.*after [0-9.]+ MiB in \d+ chunks.*-capture-memory`, err.Error())
	require.Less(t, len(captures[0].Data), 64<<20)
	require.False(t, captures[0].Trailer.Clean)
}

func TestACauseOfTheContextNamesTheClass(t *testing.T) {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	address := rawServer(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, streamHead+httpChunk("data: 1\n\n"))
		<-release
	})
	slot, err := config(t, address).NewSlot(t.Context())
	require.NoError(t, err)
	defer slot.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	into := capture.New(1, 1<<12, 8)[0]
	go func() {
		awaitEvent(into)
		cancel(engines.Errorf(engines.IdleTimeout, "no event for 1 s"))
	}()
	err = slot.Send(ctx, engines.Message{ID: "a/b/0"}, into)
	require.Equal(t, engines.IdleTimeout, engines.ClassOf(err))
	require.Len(t, into.Chunks, 1)
}

// What comes without data is from a proxy, or a server, before an engine that
// hangs.
func TestOnlyTheEndOfDataIsProgress(t *testing.T) {
	for _, test := range []struct {
		writes []string
		want   bool
	}{
		{[]string{"data: 1\n\n"}, true},
		{[]string{"{\"response\":\"a\"}\n"}, true},
		{[]string{": ping\n\ndata: 1\n\n"}, true},
		{[]string{"da", "ta: 1", "\n"}, true},
		{[]string{"data: half an ev"}, false},
		{[]string{": ping\n\n"}, false},
		{[]string{": keep-alive\r\n\r\n: 2"}, false},
		{[]string{": ping\n", "\n"}, false},
		{[]string{"\n"}, false},
		{[]string{" \n"}, false},
		{[]string{"event: ping\n\n"}, false},
		{[]string{"retry: 1000\n\n"}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			// Each write is a read over a pipe.
			cfg, _ := pipes(t, func(c net.Conn) {
				io.WriteString(c, streamHead)
				for _, w := range test.writes {
					io.WriteString(c, httpChunk(w))
				}
				io.WriteString(c, "0\r\n\r\n")
			})
			slot, err := cfg.NewSlot(t.Context())
			require.NoError(t, err)
			defer slot.Close()
			into := capture.New(1, 1<<12, 8)[0]
			require.NoError(t, slot.Send(t.Context(), engines.Message{Body: []byte("x")}, into))
			require.Len(t, into.Chunks, len(test.writes))
			require.Equal(t, test.want, into.Progress() != 0, "%q", test.writes)
		})
	}
}

func TestASlotDialsAgainAfterAFailureAndBeforeTheClock(t *testing.T) {
	var count atomic.Int32
	address := rawServer(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		if count.Add(1) > 1 {
			io.WriteString(c, streamHead+httpChunk("data: 1\n\n")+"0\r\n\r\n")
		}
	})
	slot, err := config(t, address).NewSlot(t.Context())
	require.NoError(t, err)
	defer slot.Close()
	into := capture.New(1, 1<<12, 8)[0]
	require.Error(t, slot.Send(t.Context(), engines.Message{}, into))
	into.Reset()
	require.NoError(t, slot.Send(t.Context(), engines.Message{}, into))
	require.NotZero(t, into.Connect)
	require.Equal(t, "data: 1\n\n", string(into.Data))
}

func TestWrongProtocolsAreNamed(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	http2 := rawServer(t, func(c net.Conn) {
		c.Read(make([]byte, 1024))
		io.WriteString(c, "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00")
	})
	for _, test := range []struct{ name, address, hint string }{
		{"plain HTTP where TLS was asked for", strings.Replace(plain.URL, "http:", "https:", 1), "use http://"},
		{"TLS where plain HTTP was asked for", strings.Replace(secure.URL, "https:", "http:", 1), "use https://"},
		{"a gRPC server", http2, "use grpc://"},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := config(t, test.address).NewClient()
			defer client.Close()
			_, err := client.Get(t.Context(), "/v1/models")
			require.Error(t, err)
			require.Contains(t, err.Error(), test.hint)
			require.True(t, engines.ClassOf(err).Known(), "%v", err)
		})
	}
}

func TestTLSIsSpokenToACertificateThatIsTrusted(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "data: x\n\n") }))
	defer server.Close()
	_, err := config(t, server.URL).NewSlot(t.Context())
	require.Equal(t, engines.Dial, engines.ClassOf(err))
	var unknown *tls.CertificateVerificationError
	require.True(t, errors.As(err, &unknown))
	require.Equal(t, 1, strings.Count(err.Error(), "-ca=FILE"), "%v", err)
	client := config(t, server.URL).NewClient()
	defer client.Close()
	_, err = client.Get(t.Context(), "/v1/models")
	require.Equal(t, engines.Dial, engines.ClassOf(err))
	require.Equal(t, 1, strings.Count(err.Error(), "-ca=FILE"), "%v", err)

	cfg := config(t, server.URL)
	cfg.TLS.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	slot, err := cfg.NewSlot(t.Context())
	require.NoError(t, err)
	defer slot.Close()
	into := capture.New(1, 1<<12, 8)[0]
	require.NoError(t, slot.Send(t.Context(), engines.Message{}, into))
	require.Equal(t, "data: x\n\n", string(into.Data))
	require.NotZero(t, into.Send)
}

// In a bubble of fake time the arithmetic of arrivals is exact.
func TestArrivalsAreExactInFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		cfg := config(t, "http://pipe")
		cfg.DialContext = func(context.Context, string, string) (net.Conn, error) { return client, nil }
		go func() {
			defer server.Close()
			http.ReadRequest(bufio.NewReader(server))
			time.Sleep(100 * time.Millisecond)
			io.WriteString(server, streamHead+httpChunk("data: 1\n\n"))
			time.Sleep(20 * time.Millisecond)
			io.WriteString(server, httpChunk("data: 2\n\n"))
			time.Sleep(30 * time.Millisecond)
			io.WriteString(server, "0\r\n\r\n")
		}()
		slot, err := cfg.NewSlot(t.Context())
		require.NoError(t, err)
		defer slot.Close()
		into := capture.New(1, 1<<12, 8)[0]
		require.NoError(t, slot.Send(t.Context(), engines.Message{}, into))
		into.Rebase(into.Send)
		require.Equal(t, 100*time.Millisecond, into.Chunks[0].Arrival)
		require.Equal(t, 120*time.Millisecond, into.Chunks[1].Arrival)
		require.Equal(t, 150*time.Millisecond, into.Trailer.Arrival)
	})
}

// streamer answers the requests of a connection with as many chunks of a
// token's size as each request's body says.
func streamer(c net.Conn) {
	chunk := []byte(httpChunk("data: " + strings.Repeat("x", 246) + "\n\n"))
	requests := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(requests)
		if err != nil {
			return
		}
		var n int
		fmt.Fscan(r.Body, &n)
		io.WriteString(c, streamHead)
		for range n {
			c.Write(chunk)
		}
		io.WriteString(c, "0\r\n\r\n")
	}
}

// Allocations of a long reply less those of a short one are those of chunks.
func TestAChunkOfABodyAllocatesNothing(t *testing.T) {
	const short, long = 1000, 3000
	slot, err := config(t, rawServer(t, streamer)).NewSlot(t.Context())
	require.NoError(t, err)
	defer slot.Close()
	into := capture.New(1, long*256, long)[0]
	allocs := func(chunks int) float64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		into.Reset()
		require.NoError(t, slot.Send(t.Context(), engines.Message{Body: fmt.Append(nil, chunks)}, into))
		runtime.ReadMemStats(&after)
		return float64(after.Mallocs - before.Mallocs)
	}
	// What a request allocates varies by a few, above all under the race
	// detector; one allocation a chunk would be long-short of them.
	require.Less(t, -allocs(short)+allocs(long), float64(long-short)/10)
}

func BenchmarkSend(b *testing.B) {
	const chunks = 1000
	slot, err := config(b, rawServer(b, streamer)).NewSlot(b.Context())
	require.NoError(b, err)
	defer slot.Close()
	message := engines.Message{Body: fmt.Append(nil, chunks)}
	into := capture.New(1, chunks*256, chunks)[0]
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for b.Loop() {
		into.Reset()
		if err := slot.Send(b.Context(), message, into); err != nil {
			b.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	n := float64(b.N) * chunks
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/chunk")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/n, "allocs/chunk")
}
