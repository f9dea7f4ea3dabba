package grpcstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/grpc/status"

	"enginebench/engines"
	"enginebench/engines/capture"
)

// window is what the server may send ahead of the client, per stream and per
// connection. Setting both turns off the pings by which grpc-go would find a
// window of its own; 1 MiB is some thousand messages of tokens.
const window = 1 << 20

func init() {
	// The library writes what it meets to stderr, which go test merges into
	// the benchmark's output. Every error reaches the caller anyway; its own
	// variable still turns the log on.
	if os.Getenv("GRPC_GO_LOG_SEVERITY_LEVEL") == "" {
		grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	}
}

// link is one ClientConn over one connection. It never dials twice: a broken
// link is replaced, outside the clock.
type link struct {
	client *grpc.ClientConn
	conn   atomic.Pointer[sniffer]
	dialed atomic.Bool
	closed atomic.Bool
	failed atomic.Pointer[error] // of the dial or the TLS handshake
}

// connect makes a link whose connection is ready.
func (c *Config) connect(ctx context.Context) (*link, error) {
	l := new(link)
	client, err := grpc.NewClient("passthrough:///"+c.Address,
		grpc.WithContextDialer(l.dialer(c.DialContext)),
		grpc.WithTransportCredentials(c.credentials(l)),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{}), grpc.MaxCallRecvMsgSize(c.limit())),
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window),
		grpc.WithUserAgent("enginebench"),
		grpc.WithIdleTimeout(0), // never rest: the connection was made ahead
		grpc.WithDisableRetry(), grpc.WithDisableServiceConfig(), grpc.WithDisableHealthCheck(), grpc.WithNoProxy())
	if err != nil {
		return nil, engines.Errorf(engines.Dial, "connect to %s: %w", c.Address, err)
	}
	l.client = client
	if err := l.wait(ctx); err != nil {
		client.Close()
		err = fmt.Errorf("connect to %s: %w%s%s", c.Address, err, c.hint(l, err), engines.Advice(err))
		var known *engines.Error
		if errors.As(context.Cause(ctx), &known) || errors.Is(context.Cause(ctx), context.Canceled) {
			return nil, engines.Transport(ctx, err, false)
		}
		return nil, &engines.Error{Class: engines.Dial, Err: err}
	}
	return l, nil
}

// wait returns when the connection is ready: dialled, secured, and greeted by
// the server's settings.
func (l *link) wait(ctx context.Context) error {
	l.client.Connect()
	for state := l.client.GetState(); state != connectivity.Ready; state = l.client.GetState() {
		if state == connectivity.TransientFailure || state == connectivity.Idle && l.conn.Load() != nil {
			return l.why(ctx)
		}
		if !l.client.WaitForStateChange(ctx, state) {
			return fmt.Errorf("no HTTP/2 connection in time: %w", context.Cause(ctx))
		}
	}
	return nil
}

// why is the reason why the connection could not be made. A ClientConn tells
// it to calls only, so one is made, which fails at once.
func (l *link) why(ctx context.Context) error {
	if failed := l.failed.Load(); failed != nil {
		return *failed
	}
	var nothing []byte
	err := l.client.Invoke(ctx, "/", &nothing, &nothing)
	if s, ok := status.FromError(err); ok && s.Code() == codes.Unavailable {
		return errors.New(s.Message())
	}
	return err
}

// close ends the connection, once.
func (l *link) close() error {
	if l == nil || l.closed.Swap(true) {
		return nil
	}
	return l.client.Close()
}

// usable reports whether the next request can go over the link. The library
// learns that a connection ended some time after the sniffer does.
func (l *link) usable() bool {
	if l == nil || l.client.GetState() != connectivity.Ready {
		return false
	}
	conn := l.conn.Load()
	return !conn.ended.Load() && conn.goaway.Load() == nil
}

var errLost = errors.New("the connection was lost")

func (l *link) dialer(dial DialFunc) func(context.Context, string) (net.Conn, error) {
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return func(ctx context.Context, address string) (net.Conn, error) {
		if l.dialed.Swap(true) {
			return nil, errLost
		}
		conn, err := dial(ctx, "tcp", address)
		if err != nil {
			l.failed.Store(&err)
			return nil, err
		}
		return capture.Wrap(conn), nil
	}
}

// sniffing are credentials that put the sniffer above what they secure.
type sniffing struct {
	credentials.TransportCredentials
	link  *link
	limit int
}

func (c *Config) credentials(l *link) credentials.TransportCredentials {
	under := insecure.NewCredentials()
	if c.TLS != nil {
		under = credentials.NewTLS(c.TLS)
	}
	return &sniffing{TransportCredentials: under, link: l, limit: c.limit()}
}

// ClientHandshake implements credentials.TransportCredentials.
func (s *sniffing) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := s.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		s.link.failed.Store(&err)
		return nil, nil, err
	}
	stamps, ok := raw.(*capture.Conn)
	if !ok {
		return nil, nil, fmt.Errorf("connection of type %T: want *capture.Conn", raw)
	}
	sniff := newSniffer(conn, stamps, s.limit)
	s.link.conn.Store(sniff)
	return sniff, info, nil
}

// Clone implements credentials.TransportCredentials.
func (s *sniffing) Clone() credentials.TransportCredentials {
	return &sniffing{TransportCredentials: s.TransportCredentials.Clone(), link: s.link, limit: s.limit}
}

func (c *Config) hint(l *link, err error) string {
	var record tls.RecordHeaderError
	switch conn := l.conn.Load(); {
	case errors.As(err, &record):
		return " (it does not speak TLS: use grpc://)"
	case conn != nil && !errors.Is(err, context.DeadlineExceeded):
		return hint(conn.greeting.Load(), c.TLS != nil)
	}
	return ""
}
