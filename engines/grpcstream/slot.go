// Package grpcstream carries requests of any dialect that streams its reply
// over gRPC: one ClientConn and one connection a slot, dialled before the
// clock starts, one bidirectional stream a request, no retries, no proxy, no
// client keepalive (Triton answers pings within 5 minutes with a GOAWAY).
//
// Messages go out as the bytes they were encoded to and come in as one chunk
// each, stamped where their last byte crossed the connection.
package grpcstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"enginebench/engines"
	"enginebench/engines/capture"
)

// DialFunc makes a connection, as [net.Dialer.DialContext] does.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Config is what the slots of one engine share. It must not change while they
// are in use.
type Config struct {
	Address     string      // host:port
	TLS         *tls.Config // nil: plain text
	Method      string      // of the streaming call: "/package.Service/Method"
	Metadata    metadata.MD // sent with every call
	MaxMessage  int         // larger messages are an error of class oversize; 0: 16 MiB
	DialContext DialFunc    // nil: a plain dial
}

// defaultMaxMessage is as long as an event may be in every protocol here.
const defaultMaxMessage = 16 << 20

func (c *Config) limit() int {
	if c.MaxMessage > 0 {
		return c.MaxMessage
	}
	return defaultMaxMessage
}

// Slot is an [engines.Slot] over one gRPC connection.
type Slot struct {
	cfg  *Config
	mu   sync.Mutex // Close may come while a request is on
	link *link
}

var _ engines.Slot = (*Slot)(nil)

// Dial makes a slot whose connection is ready. Its error is an
// *[engines.Error], of class dial unless ctx says otherwise.
func (c *Config) Dial(ctx context.Context) (*Slot, error) {
	l, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	return &Slot{cfg: c, link: l}, nil
}

// Close ends the connection.
func (s *Slot) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link.close()
}

// ready gives a link that can carry a request, a new one if need be.
func (s *Slot) ready(ctx context.Context) (*link, error) {
	if s.link.usable() {
		return s.link, nil
	}
	s.Close()
	fresh, err := s.cfg.connect(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link = fresh
	return fresh, nil
}

// Ready implements [engines.Slot]. A gRPC connection may rest for as long as it
// likes.
func (s *Slot) Ready(ctx context.Context) error {
	_, err := s.ready(ctx)
	return err
}

// Send implements [engines.Slot].
func (s *Slot) Send(ctx context.Context, m engines.Message, into *capture.Capture) error {
	defer func() { into.Done = capture.Now() }()
	if err := s.send(ctx, m, into); err != nil {
		into.Err = err
		return err
	}
	return nil
}

func (s *Slot) send(ctx context.Context, m engines.Message, into *capture.Capture) *engines.Error {
	before, start := s.link, capture.Now()
	l, err := s.ready(ctx)
	if l != before {
		into.Connect = capture.Now() - start
	}
	if err != nil {
		return engines.Transport(ctx, err, false)
	}
	conn := l.conn.Load()
	conn.arm()

	// The call's own context ends with it, so that a stream that failed on
	// this side is not left open on the other.
	call, cancel := context.WithCancel(s.outgoing(ctx, "x-request-id", m.ID))
	defer cancel()
	stream, err := l.client.NewStream(call, &streamDesc, s.cfg.Method)
	if err == nil {
		// Asking for its context binds a stream to its first attempt. Else the
		// library, WithDisableRetry or not, sends a request once more that the
		// server says it has not worked on, and two would be measured as one.
		stream.Context()
		err = exchange(stream, m, &receiver{conn: conn, into: into})
	}
	into.Send, _ = conn.stamps.Sent()
	if conn.armed.Load() {
		// The call ended before the connection's writer came to it. Its head
		// may still be written, and would then pass for the next request's.
		conn.ended.Store(true)
		conn.Close()
	}
	end(conn, stream, err, into)
	return s.classify(ctx, conn, err, into)
}

// outgoing adds the metadata of every call, and some of this one.
func (s *Slot) outgoing(ctx context.Context, more ...string) context.Context {
	return metadata.AppendToOutgoingContext(metadata.NewOutgoingContext(ctx, s.cfg.Metadata), more...)
}

var streamDesc = grpc.StreamDesc{ClientStreams: true, ServerStreams: true}

// exchange writes the message and receives until the stream ends. It is the
// hot path; the codec appends to the capture. The error is io.EOF for a stream
// that ended well.
func exchange(stream grpc.ClientStream, m engines.Message, to *receiver) error {
	// io.EOF from a send means that the stream is over; receiving says why.
	if err := stream.SendMsg(&m.Body); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := stream.CloseSend(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for {
		if err := stream.RecvMsg(to); err != nil {
			if to.full != nil {
				return to.full
			}
			if to.lost > 0 && errors.Is(err, io.EOF) {
				return engines.Errorf(engines.Protocol, "%d messages were received that were not seen on the connection", to.lost)
			}
			return err
		}
	}
}

// end notes the reply's head and end, after the last message.
func end(conn *sniffer, stream grpc.ClientStream, err error, into *capture.Capture) {
	for e, ok := conn.next(); ok; e, ok = conn.next() {
		switch e.what {
		case head:
			into.Head.Arrival, into.Head.Seen = e.at, e.seen
		case trailer:
			if into.Head.Arrival == 0 { // one block was both
				into.Head.Arrival, into.Head.Seen = e.at, e.seen
			}
			// The library refuses an oversize message before it comes to
			// the server's status.
			if !conn.oversize.Load() {
				into.Trailer = capture.Trailer{Arrival: e.at, Seen: e.seen, Clean: true}
			}
		}
	}
	if into.Stamp = conn.stamps.Stamp(); into.Stamp == capture.User {
		into.UserStamps()
	}
	if stream == nil || into.Head.Arrival == 0 {
		return
	}
	if header, err := stream.Header(); err == nil {
		into.Head.Header = header
	}
	if s, ok := status.FromError(err); into.Trailer.Clean && ok && !errors.Is(err, io.EOF) {
		into.Trailer.Status, into.Trailer.Message = int(s.Code()), s.Message()
	}
}

// classify says what kind of end a stream came to; nil is a good one.
func (s *Slot) classify(ctx context.Context, conn *sniffer, err error, into *capture.Capture) *engines.Error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	started := len(into.Chunks) > 0
	if cause := context.Cause(ctx); cause != nil {
		return engines.Transport(ctx, err, started)
	}
	var known *engines.Error
	if errors.As(err, &known) {
		return known
	}
	what := fmt.Sprintf("call %s at %s", s.cfg.Method, s.cfg.Address)
	st, _ := status.FromError(err)
	switch {
	case conn.oversize.Load():
		return engines.Errorf(engines.Oversize, "%s: a message is larger than %d bytes: %s", what, s.cfg.limit(), st.Message())
	case into.Trailer.Clean:
		return engines.Errorf(StatusClass(st.Code(), started), "%s: the server answered %s: %s", what, st.Code(), st.Message())
	case conn.refused.Load() && !started:
		return engines.Errorf(engines.Throttled, "%s: the server refused the request before it worked on it (REFUSED_STREAM): lower the concurrency, or let the server take more requests at once", what)
	case conn.reset.Load(): // whatever code the library makes of it
		return engines.Errorf(StatusClass(codes.Unavailable, started), "%s: %s", what, st.Message())
	case st.Code() == codes.Unavailable && into.Send != 0 && !conn.cut.Load() && conn.goaway.Load() == nil:
		// The library gave the connection up, over bytes that are no HTTP/2.
		conn.ended.Store(true)
		return engines.Errorf(engines.Protocol, "%s: %s", what, st.Message())
	case st.Code() == codes.Internal, st.Code() == codes.Unknown:
		return engines.Errorf(engines.Protocol, "%s: %s", what, st.Message())
	}
	class, text := StatusClass(st.Code(), started), st.Message()
	if reason := conn.goaway.Load(); reason != nil && !strings.Contains(text, "goaway") {
		text += " (" + *reason + ")"
	}
	return engines.Errorf(class, "%s: %s: %s", what, st.Code(), text)
}

// Call makes a unary call with an encoded message and returns the answer's
// bytes. It is for preflights; no request may be on. The error is an
// *[engines.Error], and code is the gRPC status, whether or not it is one.
func (s *Slot) Call(ctx context.Context, method string, body []byte) (answer []byte, code codes.Code, err error) {
	l, err := s.ready(ctx)
	if err != nil {
		return nil, codes.Unavailable, err
	}
	err = l.client.Invoke(s.outgoing(ctx), method, &body, &answer)
	if err == nil {
		return answer, codes.OK, nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return nil, status.Code(err), engines.Transport(ctx, err, false)
	}
	st, _ := status.FromError(err)
	return nil, st.Code(), engines.Errorf(StatusClass(st.Code(), false), "call %s at %s: %s: %s", method, s.cfg.Address, st.Code(), st.Message())
}
