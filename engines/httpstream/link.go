package httpstream

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"enginebench/engines"
	"enginebench/engines/capture"
)

// idleLimit is how long a connection may rest before it is dialled anew:
// uvicorn, under vLLM, closes a connection that rested for 5 s.
const idleLimit = 2 * time.Second

// link is one connection to the engine, straight or through a proxy, and the
// one after it when it broke or rested too long. All dialling is done by ready,
// on its caller's goroutine and under its caller's context: nothing that is
// dialled outlives a request.
type link struct {
	cfg       *Config
	transport *http.Transport
	stamps    *capture.Conn // under client, where bytes come and go
	used      time.Duration // when client was last busy

	mu     sync.Mutex // close may come while a request is on
	client *http.ClientConn
}

func (c *Config) newLink() *link {
	l := &link{cfg: c}
	l.transport = &http.Transport{
		DialContext:            l.dial,
		TLSClientConfig:        c.TLS,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 1 << 20,
		// A whole request in one write: two would meet Nagle's algorithm and
		// a delayed acknowledgement. Most prompts fit.
		WriteBufferSize: 16 << 10,
		// More than the 4 KiB blocks in which proxies hand on streams, so that
		// a block and its frame are one read and are seen to be a block.
		ReadBufferSize: 8 << 10,
		TLSNextProto:   map[string]func(string, *tls.Conn) http.RoundTripper{}, // HTTP/1.1 only
	}
	if c.Proxy != nil {
		// NewClientConn asks with a URL that lacks the port, by which the
		// environment may exempt an address.
		target := &http.Request{URL: c.Base}
		l.transport.Proxy = func(*http.Request) (*url.URL, error) { return c.Proxy(target) }
	}
	return l
}

// ready makes the connection fit for the next request: a fresh one, if there
// is none, if it broke, or if it rested for longer than rest. took is what
// dialling took, 0 if it was fit. The error is an *[engines.Error] of class
// dial.
func (l *link) ready(ctx context.Context, rest time.Duration) (took time.Duration, err error) {
	if l.client != nil && l.client.Err() == nil && capture.Now()-l.used <= rest {
		return 0, nil
	}
	l.close()
	start := capture.Now()
	client, err := l.transport.NewClientConn(ctx, l.cfg.Base.Scheme, hostPort(l.cfg.Base))
	if err != nil {
		return 0, engines.Errorf(engines.Dial, "connect to %s: %w%s%s", l.cfg.Base.Host, err, hint(err), engines.Advice(err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.client, l.used = client, capture.Now()
	return l.used - start, nil
}

// dial is the transport's: it gives the address, the engine's or the proxy's.
func (l *link) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dial := l.cfg.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.stamps = capture.Wrap(conn)
	return l.stamps, nil
}

// roundTrip sends a request over the connection that is ready and returns when
// the reply's head has come. sent is when its first byte was written; 0: none
// was. Every call is followed by one of rest.
func (l *link) roundTrip(req *http.Request) (resp *http.Response, sent time.Duration, err error) {
	l.stamps.Arm()
	resp, err = l.client.RoundTrip(req)
	sent, _ = l.stamps.Sent()
	return resp, sent, err
}

// rest ends a request. whole says that its reply came to its end, and resp is
// that reply; all others leave a connection that can't be used again.
func (l *link) rest(resp *http.Response, whole bool) {
	l.used = capture.Now()
	if !whole || resp.Close {
		l.close()
	}
}

// close ends the connection and the request that is on, if any.
func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client != nil {
		l.client.Close()
	}
}
