package grpcstream

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"enginebench/engines"
)

// StatusClass is the class of a reply that a server ended with a gRPC status
// other than OK. started says whether a message had come before.
func StatusClass(code codes.Code, started bool) engines.Class {
	switch code {
	case codes.ResourceExhausted:
		return engines.Throttled
	case codes.InvalidArgument, codes.NotFound, codes.Unimplemented, codes.FailedPrecondition, codes.OutOfRange,
		codes.Unauthenticated, codes.PermissionDenied, codes.AlreadyExists:
		return engines.Rejected
	case codes.DeadlineExceeded:
		return engines.RequestTimeout
	case codes.Unavailable:
		if started {
			return engines.Reset
		}
		return engines.Conn
	}
	return engines.EngineError
}

// goAwayText says what a GOAWAY frame's payload says (RFC 9113, section 6.8).
func goAwayText(payload []byte) string {
	text := "the server said goaway: " + http2.ErrCode(binary.BigEndian.Uint32(payload[4:8])).String()
	if reason := payload[8:]; len(reason) > 0 {
		text += fmt.Sprintf(" %q", reason)
	}
	return text
}

// hint says what a connection that is not gRPC seems to be instead.
func hint(greeting uint32, tls bool) string {
	switch {
	case greeting == speaksHTTP1:
		return " (it looks like an HTTP/1 port: give the server's gRPC port, or http://… for an OpenAI-compatible engine)"
	case greeting == speaksTLS && !tls:
		return " (it speaks TLS: use grpcs://)"
	case greeting == silent:
		return " (it closed the connection without a word of HTTP/2: is this a gRPC port? if it speaks TLS, use grpcs://)"
	case greeting == speaksOther:
		return " (what it sent is not HTTP/2: is this a gRPC port?)"
	}
	return ""
}
