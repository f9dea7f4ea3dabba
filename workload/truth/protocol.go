package truth

import (
	"strings"

	"enginebench/engines"
)

// Protocol is the way a reply comes. Each has a client of its own, whose
// errors are its own too: what was found of one vouches for no other.
type Protocol string

const (
	HTTP Protocol = "http" // net/http, whatever the dialect
	GRPC Protocol = "grpc" // grpc-go
)

// Protocols are all there are.
var Protocols = []Protocol{HTTP, GRPC}

// ProtocolOf is the protocol of an engine that describes itself so.
func ProtocolOf(info engines.Info) Protocol {
	if strings.HasPrefix(info.Protocol, "grpc") {
		return GRPC
	}
	return HTTP
}

// Dialect is that of the scripts which stand for the protocol.
func (p Protocol) Dialect() string {
	if p == GRPC {
		return "triton.tensorrt_llm"
	}
	return "openai.completions"
}
