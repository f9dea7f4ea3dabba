// Package engines says what an engine is: a served model at a URL, reached
// through a dialect (how one server builds and answers requests).
//
// An [Engine] describes itself once, encodes requests ahead of a run, dials
// one [Slot] per place in flight, and decodes captures when the run is over.
// Each protocol has a package of its own below this one; the table of all of
// them is package catalog.
package engines

import (
	"context"
	"time"

	"enginebench/engines/capture"
)

// Engine is one served model. Describe is called first and once; after it
// Encode, Dial and Decode may be called from many goroutines.
type Engine interface {
	// Describe asks the server what it is and finds out what its dialect can
	// and can't do. It fails with an *[Error] that says what to do when the
	// server can't be measured: not there, another protocol, an unknown model,
	// a required input that is not understood.
	Describe(ctx context.Context) (Info, error)
	// Encode builds the bytes that [Slot.Send] writes, so that no JSON or
	// protobuf is made while a run is on. The result must not be changed.
	Encode(r Request) (Message, error)
	// Dial makes a slot whose connection is ready.
	Dial(ctx context.Context) (Slot, error)
	Decoder
}

// Decoder reads a dialect's replies. It needs no server.
type Decoder interface {
	// Decode turns a capture into a reply. A reply that failed, at the
	// transport or by what its bytes say, has Reply.Err set and keeps what
	// came before the failure. Decode itself never fails and never panics,
	// whatever the bytes.
	Decode(c *capture.Capture) Reply
}

// Slot is one place in flight: it owns one HTTP transport or one gRPC
// connection and carries one request at a time.
type Slot interface {
	// Ready makes the connection fit to be used at once: it dials again what
	// broke or rested too long. It is for the time before a run's clock
	// starts; no request may be on. The error is an *[Error].
	Ready(ctx context.Context) error
	// Send writes the message and captures the reply until it ends, fails or
	// ctx is done. A connection that broke or idled too long is dialled again
	// before the message's first byte is written, within the request's clock.
	// Nothing of it goes on when Send has returned. The error is an *[Error],
	// the same as into.Err. The cause of ctx (context.Cause) becomes the
	// error's class when it is an *Error.
	Send(ctx context.Context, m Message, into *capture.Capture) error
	Close() error
}

// ErrorScanner is implemented by engines whose servers put failures into
// replies that otherwise succeed.
type ErrorScanner interface {
	// HasError reports whether a capture holds an error event, by a scan of
	// bytes that is cheap enough for while a run is on. It may miss some: the
	// run's error budget goes by it, and [Decoder] decides.
	HasError(c *capture.Capture) bool
}

// CounterReader is implemented by engines whose server counts for itself.
type CounterReader interface {
	// Counters reads the server's counters now. Differences of two readings
	// tell what a cell did; a counter that the server lacks is absent.
	Counters(ctx context.Context) (Counters, error)
}

// Counters are a server's cumulative counters by the names below.
type Counters map[Counter]float64

// Since is what each counter grew by since an earlier reading. A counter that
// either reading lacks is absent, and so is one that shrank: its server began
// anew.
func (c Counters) Since(earlier Counters) Counters {
	grown := Counters{}
	for name, now := range c {
		if before, ok := earlier[name]; ok && now >= before {
			grown[name] = now - before
		}
	}
	return grown
}

// Counter names one of a server's own cumulative counters.
type Counter string

const (
	TTFTSecondsSum  Counter = "ttft-seconds-sum"  // the server's own time to first token, summed over requests
	TTFTCount       Counter = "ttft-count"        // the requests in that sum
	PrefixQueries   Counter = "prefix-queries"    // prompt tokens looked up in the prefix cache
	PrefixHits      Counter = "prefix-hits"       // prompt tokens found there
	Preemptions     Counter = "preemptions"       // requests pushed out of a batch
	QueueSecondsSum Counter = "queue-seconds-sum" // time in the engine's queue, summed over requests
	QueueCount      Counter = "queue-count"       // the requests in that sum
)

// Request is what one request asks for, the same for every engine.
type Request struct {
	ID           RequestID
	Tokens       []int32 // the prompt as token ids, sent where Info.TakesTokens
	Text         string  // the prompt as text, sent elsewhere
	OutputTokens int     // exactly so many where Info.ForcesOutput, else at most
	Salt         string  // salts the prefix cache where the dialect can; "" leaves it as it is
}

// Message is a request encoded for the wire.
type Message struct {
	ID   string // RequestID.String, for protocols that carry it beside the body
	Body []byte
}

// Info is what an engine says of itself.
type Info struct {
	Version        string   // of the server, as it names itself: "0.32.0"; "" unknown
	Model          string   // the model that is measured
	Server         string   // what runs, for people: "vLLM", "Triton 2.51"; a server's own label of itself goes here
	Protocol       string   // "http/1.1 sse", "http/1.1 ndjson", "grpc"
	Dialect        string   // names the decoder in catalog: "openai.completions", "triton.tensorrt_llm"
	MaxModelLen    int      // prompt and output tokens that fit; 0 unknown
	MaxConcurrency int      // requests that the server runs at once at most; 0 unknown
	VocabSize      int      // ids below it are valid prompt tokens; 0 unknown
	TakesTokens    bool     // prompts go as token ids; else as text
	TakesSalt      bool     // Request.Salt has an effect
	ForcesOutput   bool     // exactly Request.OutputTokens can be forced
	Counts         string   // where token counts come from: "token ids", "usage", "num_output_tokens", …; "" nowhere
	PerEvent       bool     // tokens of each event are known
	Warnings       []string // doubts, always shown
	Exchanges      []Exchange

	// Preflight is what the one-token requests of Describe brought back, by
	// RequestID.Index under [PreflightCell]: a recording answers them again.
	Preflight []*capture.Capture `json:"-"`
}

// PreflightCell is the cell in the ids of the requests that Describe sends.
const PreflightCell = "preflight"

// Exchange is one question of Describe and its answer, kept so that a
// recording can answer it again.
type Exchange struct {
	Method string `json:"method"` // "GET /v1/models", or a gRPC method path
	Status int    `json:"status"` // HTTP status, or gRPC code
	Type   string `json:"type"`   // HTTP content type; "" for gRPC
	Body   []byte `json:"body"`   // HTTP body, or the gRPC message
	Asked  []byte `json:"asked"`  // the request's body, credentials never
}

// Event is one event of a reply that carried tokens.
type Event struct {
	Arrival time.Duration // arrival of the chunk that completed it
	Tokens  int           // how many it carried; 0: not known
	Chunk   int           // index of that chunk
}

// Coalesced reports whether one read of the connection completed both events,
// so that nothing is known of the time between them. That read need not be one
// chunk: over TLS each record that it brings becomes a chunk of its own, and
// over gRPC each message, all with the read's arrival.
func (e Event) Coalesced(with Event) bool {
	return e.Chunk == with.Chunk || e.Arrival == with.Arrival
}

// Reply is what one capture says.
type Reply struct {
	Events       []Event       // token-bearing events, in order of arrival
	Tokens       int           // output tokens by the engine's own count; meaningful where Counted != ""
	Counted      string        // where Tokens came from, as Info.Counts; "" the engine gave no count
	PromptTokens int           // by the engine's count; 0 not given
	CachedTokens int           // prompt tokens answered from a prefix cache; -1 not given
	Finish       string        // the reason the engine gave, as it spelled it
	IDs          []int32       // output token ids, where the engine sends them
	Text         string        // output text, where the engine sends it
	ServerTTFT   time.Duration // the engine's own time to first token for this request; 0 not given
	Warnings     []string      // doubts about a reply that is good: two counts that differ
	Err          *Error        // nil: the reply is whole and good
}
