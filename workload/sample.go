package workload

import (
	"time"

	"enginebench/engines"
)

// Status is how a request ended in the accounts: sent = ok + failed +
// cancelled, always.
type Status string

const (
	OK        Status = "ok"        // the reply was whole and good
	Failed    Status = "failed"    // it was not; Sample.Class says how
	Cancelled Status = "cancelled" // the client gave it up: an interrupt, or the end of the run
)

// Sample is what one request came to. It is the unit of every metric, and one
// line of a -samples file. Durations there are nanoseconds since the run's
// epoch; an absent value is left out, never 0.
type Sample struct {
	Engine          string          `json:"engine"`
	Cell            string          `json:"cell"`     // "concurrency=32", "wave=32", "rate=8"
	Run             int             `json:"run"`      // which run of the cell in this file, from 0
	Index           int             `json:"index"`    // the request's place in its plan
	Measured        bool            `json:"measured"` // false: ramp; it counts for throughput and enters no latency
	Prompt          string          `json:"prompt"`   // the prompt's id in its pool
	Status          Status          `json:"status"`
	Class           engines.Class   `json:"class,omitempty"` // of a failure
	Error           string          `json:"error,omitempty"`
	Intended        time.Duration   `json:"intended-ns"`
	Origin          time.Duration   `json:"origin-ns"` // what TTFT and latency count from: Send, in an open loop Intended
	Send            time.Duration   `json:"send-ns,omitempty"`
	Connect         time.Duration   `json:"connect-ns,omitempty"`
	Head            time.Duration   `json:"head-ns,omitempty"`        // arrival of the reply's head
	FirstChunk      time.Duration   `json:"first-chunk-ns,omitempty"` // arrival of the first chunk
	FirstToken      time.Duration   `json:"first-token-ns,omitempty"` // arrival of the first token-bearing event
	LastToken       time.Duration   `json:"last-token-ns,omitempty"`
	End             time.Duration   `json:"end-ns,omitempty"`               // end of the stream
	Released        time.Duration   `json:"released-ns,omitempty"`          // when its slot was free again, however it ended
	PromptLen       int             `json:"prompt-tokens"`                  // tokens sent; 0 for text-only dialects
	EnginePromptLen int             `json:"engine-prompt-tokens,omitempty"` // by the engine's count
	CachedLen       *int            `json:"cached-tokens,omitempty"`        // by the engine's count
	Wanted          int             `json:"output-tokens-wanted"`
	Forced          bool            `json:"forced"`                        // exactly Wanted were forced
	Tokens          *int            `json:"output-tokens,omitempty"`       // by the engine's count; nil: it gave none
	Counted         string          `json:"counted,omitempty"`             // how: "token ids", "usage", …
	FirstEvent      int             `json:"first-event-tokens,omitempty"`  // tokens in the first token-bearing event; 0 unknown
	Events          int             `json:"events"`                        // token-bearing events
	FirstRead       int             `json:"first-read-events,omitempty"`   // token-bearing events in the read that brought the first
	Coalesced       int             `json:"coalesced"`                     // token-bearing events that shared a read with another
	Gaps            []time.Duration `json:"gaps-ns,omitempty"`             // between consecutive token events
	GapTokens       []int           `json:"gap-tokens,omitempty"`          // tokens in the later event of each gap
	ClientDelayMax  time.Duration   `json:"client-delay-max-ns,omitempty"` // the largest of seen - arrival over the reply's chunks
	ServerTTFT      time.Duration   `json:"server-ttft-ns,omitempty"`      // the engine's own, where the reply carries it
	Finish          string          `json:"finish,omitempty"`
	OutputHash      string          `json:"output-hash,omitempty"` // of the output ids, or of the text where there are none: "ids:…" or "text:…"
	Stamp           string          `json:"stamp"`                 // kernel or user
}

// TTFT is the time to first token, counted from send; ok is false for a sample
// without one.
func (s *Sample) TTFT() (d time.Duration, ok bool) {
	if s.Status != OK || s.FirstToken == 0 {
		return 0, false
	}
	return s.FirstToken - s.Origin, true
}

// Latency is the time to the last token, counted from send.
func (s *Sample) Latency() (d time.Duration, ok bool) {
	if s.Status != OK || s.LastToken == 0 {
		return 0, false
	}
	return s.LastToken - s.Origin, true
}
