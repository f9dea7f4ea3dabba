package engines

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"syscall"

	"enginebench/engines/capture"
)

// Class is what kind of failure a request met. The set is closed: results,
// recordings and tests name failures by it.
type Class string

const (
	Dial           Class = "dial"            // no connection: refused, unreachable, TLS, name
	Conn           Class = "conn"            // the connection ended before a reply began
	Reset          Class = "reset"           // the connection broke in the middle of a reply
	Truncated      Class = "truncated"       // it was closed in the middle of a reply
	Incomplete     Class = "incomplete"      // the reply ended cleanly but without its terminal event
	Rejected       Class = "rejected"        // the server refused the request: HTTP 4xx, invalid argument
	Throttled      Class = "throttled"       // it refused for load: 429, 503, RESOURCE_EXHAUSTED
	EngineError    Class = "engine-error"    // the engine failed: 5xx, an error event, an error_message
	TTFTTimeout    Class = "ttft-timeout"    // no event in time
	IdleTimeout    Class = "idle-timeout"    // events stopped coming
	RequestTimeout Class = "request-timeout" // the whole reply took too long
	Protocol       Class = "protocol"        // bytes that the protocol or the dialect forbids
	Oversize       Class = "oversize"        // an event larger than the dialect's limit, or a reply without end
	Empty          Class = "empty"           // a whole reply without a token
	WrongCount     Class = "wrong-count"     // N tokens were forced and another number came
	Cancelled      Class = "cancelled"       // given up by the client: Ctrl-C, end of the run
)

// Classes are all classes, in the order in which results list them.
var Classes = []Class{Dial, Conn, Reset, Truncated, Incomplete, Rejected, Throttled, EngineError, TTFTTimeout,
	IdleTimeout, RequestTimeout, Protocol, Oversize, Empty, WrongCount, Cancelled}

// Known reports whether c is one of [Classes].
func (c Class) Known() bool { return slices.Contains(Classes, c) }

// Error is a request's failure. Its text is one lower-case line that says what
// was attempted and, where that helps, what to do.
type Error struct {
	Class Class
	Err   error // what happened; never nil
}

// Errorf makes an [Error] with a formatted text; %w wraps.
func Errorf(class Class, format string, args ...any) *Error {
	return &Error{Class: class, Err: fmt.Errorf(format, args...)}
}

// Error is the text behind the class.
func (e *Error) Error() string { return string(e.Class) + ": " + e.Err.Error() }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// ClassOf is the class of the first *[Error] in err's chain, "" if there is none.
func ClassOf(err error) Class {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return ""
}

// Transport classes an error of a connection. started says whether any byte of
// the reply had come, which tells a connection that ended before a reply from
// one that broke inside it. A cause of ctx that is an *Error wins, since the
// transport then only reports that it was told to stop.
func Transport(ctx context.Context, err error, started bool) *Error {
	var known *Error
	if cause := context.Cause(ctx); cause != nil {
		if errors.As(cause, &known) {
			return known
		}
		return &Error{Class: Cancelled, Err: cause}
	}
	if errors.As(err, &known) {
		return known
	}
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "dial":
		return &Error{Class: Dial, Err: err}
	case !started:
		return &Error{Class: Conn, Err: err}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return &Error{Class: Reset, Err: err}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &Error{Class: Truncated, Err: err}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &Error{Class: RequestTimeout, Err: err}
	}
	return &Error{Class: Protocol, Err: err}
}

// Oversized is the error of a reply whose capture has no room for what comes.
func Oversized(c *capture.Capture) *Error {
	return Errorf(Oversize, "more came than captures may take, after %.1f MiB in %d chunks of this reply: see that the engine keeps to the output tokens that are asked for, or raise -capture-memory",
		float64(len(c.Data))/(1<<20), len(c.Chunks))
}

// Advice says what to do about a connection that could not be made for want of
// something on this side; "" where that is not why.
func Advice(err error) string {
	switch {
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return " (each slot takes a file: raise the limit with ulimit -n, or lower the concurrency)"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return " (no local port is free: wait a minute for closed connections, or widen net.ipv4.ip_local_port_range)"
	}
	return ""
}
