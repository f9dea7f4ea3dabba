// Package httpstream carries requests of any dialect that streams its reply
// over HTTP/1.1: one connection a slot, dialled before the clock starts, no
// compression, no redirects, no proxy unless asked for.
//
// A [Slot] writes an encoded message and captures the body as it comes. A
// [Client] asks the small questions of a preflight and keeps the answers.
package httpstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"sync"
	"time"

	"enginebench/engines"
	"enginebench/engines/capture"
)

// Config is what slots and clients of one engine share. Make it with
// [NewConfig]; do not change it while it is in use.
type Config struct {
	Base    *url.URL    // scheme, host and path prefix
	Path    string      // of the streaming endpoint, below Base
	Header  http.Header // sent with every request
	APIKey  string      // sent as a bearer token
	Proxy   bool        // use the proxy that the environment names
	TLS     *tls.Config // nil: plain HTTP
	KeyName string      // the environment variable that holds APIKey, for error texts

	// DialContext makes connections; nil is a plain dial of host and port.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

// NewConfig reads what every HTTP dialect takes from a spec. scheme is "http"
// or "https", the spec's own without the dialect's prefix.
func NewConfig(spec engines.Spec, scheme, path string) (*Config, error) {
	base := *spec.URL
	base.Scheme = scheme
	if base.Path == "" {
		base.Path = "/" // JoinPath would make a relative path of an empty one
	}
	c := &Config{Base: &base, Path: path, Header: spec.Header, APIKey: spec.APIKey, KeyName: engines.KeyVariable(spec.Name),
		Proxy: spec.Options.Get("proxy") == "environment"}
	if scheme == "https" {
		roots, err := Roots(spec.CAFile)
		if err != nil {
			return nil, err
		}
		c.TLS = &tls.Config{RootCAs: roots, ServerName: base.Hostname(), NextProtos: []string{"http/1.1"}}
	}
	return c, nil
}

// Roots is the system's trusted certificates and those of file; nil, which
// means the system's, where file is "".
func Roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read certificates to trust: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read certificates to trust: no PEM certificate in %s", file)
	}
	return roots, nil
}

// URL is Base with path below it.
func (c *Config) URL(path string) *url.URL { return c.Base.JoinPath(path) }

func (c *Config) header() http.Header {
	h := c.Header.Clone()
	if h == nil {
		h = http.Header{}
	}
	if c.APIKey != "" {
		h.Set("Authorization", "Bearer "+c.APIKey)
	}
	if h.Get("User-Agent") == "" {
		h.Set("User-Agent", "enginebench")
	}
	return h
}

// dial makes a ready connection: TCP, and TLS where the scheme asks for it.
// outer is what HTTP is spoken over, inner the stamping connection under it.
func (c *Config) dial(ctx context.Context) (outer net.Conn, inner *capture.Conn, err error) {
	dial := c.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, "tcp", hostPort(c.Base))
	if err != nil {
		return nil, nil, engines.Errorf(engines.Dial, "connect to %s: %w%s", c.Base.Host, err, engines.Advice(err))
	}
	inner = capture.Wrap(conn)
	if c.TLS == nil {
		return inner, inner, nil
	}
	secure := tls.Client(inner, c.TLS)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, nil, engines.Errorf(engines.Dial, "connect to %s: %w%s", c.Base.Host, err, hint(err))
	}
	return secure, inner, nil
}

func hostPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	return net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
}

// idleLimit is how long a connection may rest before it is dialled anew:
// uvicorn, under vLLM, closes a connection that rested for 5 s.
const idleLimit = 2 * time.Second

// Slot is an [engines.Slot] over one connection.
type Slot struct {
	cfg       *Config
	transport *http.Transport
	url       *url.URL
	header    http.Header

	mu     sync.Mutex
	ready  net.Conn      // dialled and not yet taken by the transport
	conn   *capture.Conn // under the connection in use
	used   time.Duration // when the connection was last busy
	broken bool
}

var _ engines.Slot = (*Slot)(nil)

// NewSlot dials a connection and makes a slot of it.
func (c *Config) NewSlot(ctx context.Context) (*Slot, error) {
	s := &Slot{cfg: c, url: c.URL(c.Path), header: c.header()}
	s.header.Set("Content-Type", "application/json")
	s.header.Set("Accept", "text/event-stream, application/x-ndjson, application/json")
	s.transport = &http.Transport{
		DialContext:            s.take,
		DialTLSContext:         s.take,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    1,
		MaxResponseHeaderBytes: 1 << 20,
		// A whole request in one write: two would meet Nagle's algorithm and
		// a delayed acknowledgement. Most prompts fit.
		WriteBufferSize: 16 << 10,
		// More than the 4 KiB blocks in which proxies hand on streams, so that
		// a block and its frame are one read and are seen to be a block.
		ReadBufferSize: 8 << 10,
		TLSNextProto:   map[string]func(string, *tls.Conn) http.RoundTripper{}, // HTTP/1.1 only
	}
	if c.Proxy {
		s.transport.Proxy = http.ProxyFromEnvironment
	}
	if err := s.redial(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// redial puts a fresh connection in place of the one in use.
func (s *Slot) redial(ctx context.Context) error {
	if s.cfg.Proxy {
		return nil // the transport must dial, since it picks the proxy
	}
	s.drop()
	outer, inner, err := s.cfg.dial(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready, s.conn, s.broken, s.used = outer, inner, false, capture.Now()
	return nil
}

// drop closes the connection, in use or not.
func (s *Slot) drop() {
	s.transport.CloseIdleConnections()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready != nil {
		s.ready.Close()
		s.ready = nil
	}
}

// take gives the transport the connection that was dialled ahead, or a new one
// if that was used up: the server closed it between two requests.
func (s *Slot) take(ctx context.Context, network, address string) (net.Conn, error) {
	s.mu.Lock()
	ready := s.ready
	s.ready = nil
	s.mu.Unlock()
	if ready != nil {
		return ready, nil
	}
	outer, inner, err := s.cfg.dial(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.conn = inner
	s.mu.Unlock()
	return outer, nil
}

func (s *Slot) current() *capture.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn
}

// Send implements [engines.Slot].
func (s *Slot) Send(ctx context.Context, m engines.Message, into *capture.Capture) error {
	err := s.send(ctx, m, into)
	s.used = capture.Now()
	if err != nil {
		s.broken = true
		into.Err = err
		return err
	}
	return nil
}

func (s *Slot) send(ctx context.Context, m engines.Message, into *capture.Capture) *engines.Error {
	if s.broken || capture.Now()-s.used > idleLimit {
		start := capture.Now()
		if err := s.redial(ctx); err != nil {
			return engines.Transport(ctx, err, false)
		}
		into.Connect = capture.Now() - start
	}
	if conn := s.current(); conn != nil {
		conn.Arm()
	}
	ctx = httptrace.WithClientTrace(ctx, s.trace(into))
	resp, err := s.transport.RoundTrip(s.request(ctx, m))
	conn := s.current()
	if conn != nil {
		into.Send, _ = conn.Sent()
	}
	if err != nil {
		failure := engines.Transport(ctx, err, false)
		return &engines.Error{Class: failure.Class, Err: fmt.Errorf("post %s: %w%s", s.url, failure.Err, hint(err))}
	}
	defer resp.Body.Close()
	if conn == nil { // a proxy's connection is the transport's own
		conn = s.current()
	}
	arrival, _ := conn.Last()
	into.Head = capture.Head{Arrival: arrival, Status: resp.StatusCode, Header: resp.Header}
	failure := s.read(ctx, resp, conn, into)
	if into.Stamp = conn.Stamp(); into.Stamp == capture.User {
		into.UserStamps()
	}
	if failure == nil && resp.StatusCode != http.StatusOK {
		failure = s.cfg.statusError(resp.StatusCode, resp.Header, into.Data)
	}
	return failure
}

func (s *Slot) request(ctx context.Context, m engines.Message) *http.Request {
	header := s.header.Clone()
	header.Set("X-Request-Id", m.ID)
	req := &http.Request{Method: http.MethodPost, URL: s.url, Host: s.url.Host, Header: header,
		Body: io.NopCloser(bytes.NewReader(m.Body)), ContentLength: int64(len(m.Body)),
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m.Body)), nil }}
	return req.WithContext(ctx)
}

// trace notes what a dial inside the clock took: the connection that was
// dialled ahead had been closed by the server, and the transport made another.
func (s *Slot) trace(into *capture.Capture) *httptrace.ClientTrace {
	var start time.Duration
	return &httptrace.ClientTrace{
		ConnectStart: func(string, string) { start = capture.Now() },
		ConnectDone:  func(string, string, error) { into.Connect = capture.Now() - start },
	}
}

// read captures the body until it ends. It is the hot path: a chunk that
// arrives is one read into the capture's own memory and one mark.
func (s *Slot) read(ctx context.Context, resp *http.Response, conn *capture.Conn, into *capture.Capture) *engines.Error {
	for {
		room := into.Room()
		n, err := resp.Body.Read(room)
		if n > 0 {
			arrival, seen := conn.Last()
			into.Commit(n, arrival, seen)
			if progress(room[:n]) {
				into.Progressed(seen)
			}
		}
		switch {
		case err == nil:
			continue
		case errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
			at, _ := conn.Last()
			if resp.Close {
				at = capture.Now()
			}
			into.Trailer = capture.Trailer{Arrival: at, Clean: true}
			return nil
		}
		failure := engines.Transport(ctx, err, true)
		return &engines.Error{Class: failure.Class, Err: fmt.Errorf("read the reply of %s: %w", s.url, failure.Err)}
	}
}

// progress reports whether a chunk brings an event on. A line's end completes
// one in every framing used here; a byte alone is no progress, or a server that
// trickles would never be idle, and neither is a comment of SSE, with which a
// proxy keeps the connection of a hung engine alive.
func progress(chunk []byte) bool {
	if chunk[0] == ':' && !bytes.Contains(chunk, []byte("\ndata")) {
		return false
	}
	return bytes.IndexByte(chunk, '\n') >= 0
}

// Close implements [engines.Slot].
func (s *Slot) Close() error {
	s.drop()
	return nil
}
