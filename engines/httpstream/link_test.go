package httpstream_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/engines/capture"
	"enginebench/engines/httpstream"
)

const wholeReply = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ndata: 1\n\n"

// oneReply answers one request of a connection and then closes it, without a
// word of that in the reply.
func oneReply(c net.Conn) {
	http.ReadRequest(bufio.NewReader(c))
	io.WriteString(c, wholeReply)
}

// closeHook is a connection that calls a function before it is closed, once.
type closeHook struct {
	net.Conn
	once   sync.Once
	before func()
}

func (c *closeHook) Close() error {
	c.once.Do(c.before)
	return c.Conn.Close()
}

func TestNoDialOutlivesItsRequest(t *testing.T) {
	var dials, dialling atomic.Int32
	closed, began, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	defer close(release)
	cfg := config(t, rawServer(t, oneReply))
	cfg.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials.Add(1) == 1 {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			return &closeHook{Conn: conn, before: func() { close(closed) }}, err
		}
		dialling.Add(1)
		defer dialling.Add(-1)
		close(began)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-release:
			return nil, net.ErrClosed
		}
	}
	slot, err := cfg.NewSlot(t.Context())
	require.NoError(t, err)
	defer slot.Close()
	into := capture.New(1, 1<<12, 8)[0]
	require.NoError(t, slot.Send(t.Context(), engines.Message{Body: []byte("x")}, into))

	<-closed // the client knows that the server closed the connection
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-began
		cancel(engines.Errorf(engines.Cancelled, "interrupted"))
	}()
	into.Reset()
	err = slot.Send(ctx, engines.Message{Body: []byte("x")}, into)
	require.Equal(t, engines.Cancelled, engines.ClassOf(err), "%v", err)
	require.Zero(t, dialling.Load())
}

// hookContext calls a function when it is first asked for its end.
type hookContext struct {
	context.Context
	once  *sync.Once
	asked func()
}

func (c hookContext) Done() <-chan struct{} {
	c.once.Do(c.asked)
	return c.Context.Done()
}

func TestAConnectionClosedAsARequestBeginsCostsADialAndNoRequest(t *testing.T) {
	var dials, requests atomic.Int32
	closing, proceed := make(chan struct{}), make(chan struct{})
	cfg := config(t, rawServer(t, func(c net.Conn) { requests.Add(1); oneReply(c) }))
	cfg.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if dials.Add(1) == 1 {
			// Held here, the connection does not yet pass for closed.
			return &closeHook{Conn: conn, before: func() { close(closing); <-proceed }}, err
		}
		return conn, err
	}
	slot, err := cfg.NewSlot(t.Context())
	require.NoError(t, err)
	defer slot.Close()
	into := capture.New(1, 1<<12, 8)[0]
	require.NoError(t, slot.Send(t.Context(), engines.Message{Body: []byte("x")}, into))

	<-closing
	into.Reset()
	// net/http asks for the context's end when the request is on its way.
	ctx := hookContext{t.Context(), new(sync.Once), func() { close(proceed) }}
	require.NoError(t, slot.Send(ctx, engines.Message{Body: []byte("x")}, into))
	require.NotZero(t, into.Connect)
	require.EqualValues(t, 2, dials.Load())
	require.EqualValues(t, 2, requests.Load())
}

// A refusal leaves the connection as it is: a server that is busy need not be
// dialled again as well.
func TestARefusalKeepsTheConnection(t *testing.T) {
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "slow down", http.StatusTooManyRequests)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	slot, err := config(t, server.URL).NewSlot(t.Context())
	require.NoError(t, err)
	defer slot.Close()
	for range 3 {
		into := capture.New(1, 1<<12, 8)[0]
		require.Equal(t, engines.Throttled, engines.ClassOf(slot.Send(t.Context(), engines.Message{Body: []byte("x")}, into)))
		require.Zero(t, into.Connect)
	}
	require.EqualValues(t, 1, connections.Load())
}

// pipes is an engine over pipes in fake time: dialling takes a millisecond, and
// each request of a connection is answered by answer.
func pipes(t *testing.T, answer func(net.Conn)) (cfg *httpstream.Config, dials *atomic.Int32) {
	dials = new(atomic.Int32)
	cfg = config(t, "http://pipe")
	cfg.DialContext = func(context.Context, string, string) (net.Conn, error) {
		dials.Add(1)
		time.Sleep(time.Millisecond)
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			for requests := bufio.NewReader(server); ; {
				r, err := http.ReadRequest(requests)
				if err != nil {
					return
				}
				io.Copy(io.Discard, r.Body)
				answer(server)
			}
		}()
		return client, nil
	}
	return cfg, dials
}

func TestASlotIsMadeReadyOutsideOfTheClock(t *testing.T) {
	for name, test := range map[string]struct {
		rest    time.Duration
		ready   bool
		dials   int32 // in all
		connect time.Duration
	}{
		"a short rest":             {rest: time.Second, dials: 1},
		"a short rest, made ready": {rest: time.Second, ready: true, dials: 1},
		"a long rest":              {rest: 2001 * time.Millisecond, dials: 2, connect: time.Millisecond},
		"a long rest, made ready":  {rest: 2001 * time.Millisecond, ready: true, dials: 2},
		// Else it would be too old half a second later, inside the window.
		"a rest of nearly the limit, made ready": {rest: 1500 * time.Millisecond, ready: true, dials: 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg, dials := pipes(t, func(c net.Conn) { io.WriteString(c, wholeReply) })
				slot, err := cfg.NewSlot(t.Context())
				require.NoError(t, err)
				defer slot.Close()
				into := capture.New(1, 1<<12, 8)[0]
				require.NoError(t, slot.Send(t.Context(), engines.Message{Body: []byte("x")}, into))
				require.Zero(t, into.Connect)
				time.Sleep(test.rest)
				if test.ready {
					require.NoError(t, slot.Ready(t.Context()))
				}
				into.Reset()
				require.NoError(t, slot.Send(t.Context(), engines.Message{Body: []byte("x")}, into))
				require.Equal(t, test.connect, into.Connect)
				require.Equal(t, test.dials, dials.Load())
			})
		})
	}
}

func TestReadyReplacesABrokenConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, dials := pipes(t, func(c net.Conn) { io.WriteString(c, wholeReply); c.Close() })
		slot, err := cfg.NewSlot(t.Context())
		require.NoError(t, err)
		defer slot.Close()
		for i := range int32(3) {
			require.NoError(t, slot.Ready(t.Context()))
			require.EqualValues(t, i+1, dials.Load())
			into := capture.New(1, 1<<12, 8)[0]
			require.NoError(t, slot.Send(t.Context(), engines.Message{Body: []byte("x")}, into))
			require.Zero(t, into.Connect)
			synctest.Wait() // until the client has seen the end
		}
	})
}

// In fake time a request that gets no answer holds its slot for exactly as long
// as its context lets it.
func TestASlotIsDoneWhenSendReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, _ := pipes(t, func(c net.Conn) { c.Read(make([]byte, 1)) })
		slot, err := cfg.NewSlot(t.Context())
		require.NoError(t, err)
		defer slot.Close()
		ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, engines.Errorf(engines.TTFTTimeout, "no event in time"))
		defer cancel()
		into := capture.New(1, 1<<12, 8)[0]
		require.Equal(t, engines.TTFTTimeout, engines.ClassOf(slot.Send(ctx, engines.Message{Body: []byte("x")}, into)))
		require.Zero(t, into.Trailer.Arrival)
		require.Equal(t, 100*time.Millisecond, into.Done-into.Send)
	})
}

// proxy forwards everything to one engine, whatever host was asked for, and
// notes what was asked of it.
func proxy(t *testing.T, engine *url.URL) (address *url.URL, asked func() []string) {
	var mu sync.Mutex
	var lines []string
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(engine) }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		lines = append(lines, r.Method+" "+r.RequestURI)
		mu.Unlock()
		if r.Method != http.MethodConnect {
			forward.ServeHTTP(w, r)
			return
		}
		there, err := net.Dial("tcp", engine.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		here, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			there.Close()
			return
		}
		io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() { defer there.Close(); io.Copy(there, here) }()
		go func() { defer here.Close(); io.Copy(here, there) }()
	}))
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	require.NoError(t, err)
	return address, func() []string { mu.Lock(); defer mu.Unlock(); return lines }
}

// The names resolve nowhere, so that nothing but the proxy leads to the engine.
func TestPreflightAndMeasuredRequestsGoThroughTheProxy(t *testing.T) {
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "data: 1\n\n") })
	plain, secure := httptest.NewServer(answer), httptest.NewTLSServer(answer)
	defer plain.Close()
	defer secure.Close()
	for _, test := range []struct {
		name, address, host string
		engine              *httptest.Server
		asked               []string
	}{
		{"plain", "http://engine.invalid:8000", "engine.invalid:8000", plain, []string{
			"GET http://engine.invalid:8000/v1/models", "POST http://engine.invalid:8000/v1/completions"}},
		{"TLS", "https://engine.example.com:8443", "engine.example.com:8443", secure, []string{
			"CONNECT engine.example.com:8443", "CONNECT engine.example.com:8443"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			engine, err := url.Parse(test.engine.URL)
			require.NoError(t, err)
			through, asked := proxy(t, engine)
			cfg := config(t, test.address)
			if cfg.TLS != nil {
				cfg.TLS.RootCAs = secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
			}
			var host string
			cfg.Proxy = func(r *http.Request) (*url.URL, error) {
				host = r.URL.Host
				return through, nil
			}
			client := cfg.NewClient()
			defer client.Close()
			_, err = client.Get(t.Context(), "/v1/models")
			require.NoError(t, err)
			slot, err := cfg.NewSlot(t.Context())
			require.NoError(t, err)
			defer slot.Close()
			into := capture.New(1, 1<<12, 8)[0]
			require.NoError(t, slot.Send(t.Context(), engines.Message{Body: []byte("x")}, into))
			require.Equal(t, "data: 1\n\n", string(into.Data))
			require.Zero(t, into.Connect, "the connection was dialled ahead")
			require.IsNonDecreasing(t, []time.Duration{1, into.Send, into.Head.Arrival, into.Chunks[0].Arrival, into.Trailer.Arrival, into.Done})
			require.Equal(t, test.asked, asked())
			require.Equal(t, test.host, host, "the environment may exempt an address by its port")
		})
	}
}

func TestTheProxyOfTheEnvironmentIsAnOption(t *testing.T) {
	for query, want := range map[string]bool{"": false, "proxy=environment": true} {
		options, err := url.ParseQuery(query)
		require.NoError(t, err)
		cfg, err := httpstream.NewConfig(engines.Spec{Name: "e", URL: &url.URL{Host: "host"}, Options: options}, "http", "/")
		require.NoError(t, err)
		require.Equal(t, want, cfg.Proxy != nil, query)
	}
}
