package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"enginebench/engines/capture"
	pb "enginebench/engines/triton/inference"
	"enginebench/fixtures"
	"enginebench/fixtures/fault"
)

// damage changes the picked requests of a recording's copy.
type damage func(tb testing.TB, rec *fixtures.Recording, pick fault.Picker) *fixtures.Recording

// played are the faults that [is] was asked for.
var played = map[fault.Fault]bool{}

// is is a damage of package fault.
func is(f fault.Fault) damage {
	played[f] = true
	return func(tb testing.TB, rec *fixtures.Recording, pick fault.Picker) *fixtures.Recording {
		damaged, err := fault.Apply(rec, f, pick)
		require.NoError(tb, err)
		return damaged
	}
}

// each makes a damage of what is done to one request.
func each(change func(tb testing.TB, r *fixtures.Request)) damage {
	return func(tb testing.TB, rec *fixtures.Recording, pick fault.Picker) *fixtures.Recording {
		damaged := *rec
		damaged.Requests = slices.Clone(rec.Requests)
		for i := range damaged.Requests {
			if r := &damaged.Requests[i]; r.Cell == rec.Header.Cell && pick(r.Index) {
				r.Capture = first(r.Capture, len(r.Capture.Chunks))
				change(tb, r)
			}
		}
		return &damaged
	}
}

// both makes one damage of two.
func both(a, b damage) damage {
	return func(tb testing.TB, rec *fixtures.Recording, pick fault.Picker) *fixtures.Recording {
		return b(tb, a(tb, rec, pick), pick)
	}
}

// first is a copy of a capture with its first n chunks.
func first(c *capture.Capture, n int) *capture.Capture {
	made := &capture.Capture{Intended: c.Intended, Send: c.Send, Head: c.Head, Trailer: c.Trailer, Stamp: c.Stamp}
	made.Head.Header = maps.Clone(c.Head.Header)
	for i := range n {
		made.Append(c.Chunk(i), c.Chunks[i].Arrival, c.Chunks[i].Seen)
	}
	return made
}

// half is how many chunks of a reply come before a fault in its middle, as in
// package fault.
func half(c *capture.Capture) int { return (len(c.Chunks) + 1) / 2 }

// none is no chunk.
func none(*capture.Capture) int { return 0 }

// ends cuts a reply after keep chunks and ends it so.
func ends(keep func(*capture.Capture) int, ending fixtures.Ending) damage {
	return each(func(_ testing.TB, r *fixtures.Request) {
		r.Capture, r.Ending = first(r.Capture, keep(r.Capture)), ending
		r.Capture.Trailer.Clean = ending == fixtures.EndClean
	})
}

// goesOn cuts a reply after keep chunks and sends chunk n times, every period,
// before silence.
func goesOn(keep func(*capture.Capture) int, chunk string, n int, period time.Duration) damage {
	return both(ends(keep, fixtures.EndStall), each(func(_ testing.TB, r *fixtures.Request) {
		c := r.Capture
		at := c.Head.Arrival
		if n := len(c.Chunks); n > 0 {
			at = c.Chunks[n-1].Arrival
		}
		for range n {
			at += period
			c.Append([]byte(chunk), at, at)
		}
		c.Trailer.Arrival = at
	}))
}

// header sets a header of the reply.
func header(name, value string) damage {
	return each(func(_ testing.TB, r *fixtures.Request) { r.Capture.Head.Header[name] = []string{value} })
}

// refuses answers with a status and a document.
func refuses(status int, message string) damage {
	return each(func(_ testing.TB, r *fixtures.Request) {
		body := fmt.Appendf(nil, `{"error":{"message":%q,"code":%d}}`, message, status)
		c := first(r.Capture, 0)
		c.Head.Status, c.Head.Header = status, map[string][]string{"Content-Type": {"application/json"}, "Content-Length": {fmt.Sprint(len(body))}}
		c.Append(body, c.Head.Arrival, c.Head.Arrival)
		c.Trailer.Arrival = c.Head.Arrival
		r.Capture = c
	})
}

// saysNothing is a whole reply without a token.
func saysNothing(message []byte) damage {
	return each(func(_ testing.TB, r *fixtures.Request) {
		c := first(r.Capture, 0)
		c.Append(message, r.Capture.Chunks[0].Arrival, r.Capture.Chunks[0].Arrival)
		r.Capture = c
	})
}

// asksForMore makes the client want a token more than there is.
var asksForMore = each(func(_ testing.TB, r *fixtures.Request) { r.Asked.OutputTokens++ })

// stretched makes a reply take factor times as long.
func stretched(factor time.Duration) damage {
	return each(func(_ testing.TB, r *fixtures.Request) {
		c := r.Capture
		for i := range c.Chunks {
			c.Chunks[i].Arrival = c.Send + factor*(c.Chunks[i].Arrival-c.Send)
		}
		c.Head.Arrival = c.Send + factor*(c.Head.Arrival-c.Send)
		c.Trailer.Arrival = c.Send + factor*(c.Trailer.Arrival-c.Send)
	})
}

// swollen makes the second token event of a reply size bytes larger.
func swollen(size int) damage {
	return each(func(tb testing.TB, r *fixtures.Request) {
		c := r.Capture
		made := first(c, 1)
		made.Append(swell(tb, c.Chunk(1), size), c.Chunks[1].Arrival, c.Chunks[1].Seen)
		for i := 2; i < len(c.Chunks); i++ {
			made.Append(c.Chunk(i), c.Chunks[i].Arrival, c.Chunks[i].Seen)
		}
		r.Capture = made
	})
}

func swell(tb testing.TB, event []byte, size int) []byte {
	if data, ok := bytes.CutPrefix(event, []byte("data: ")); ok {
		var e map[string]json.RawMessage
		require.NoError(tb, json.Unmarshal(data, &e))
		e["filling"] = fmt.Appendf(nil, "%q", strings.Repeat("x", size))
		data, err := json.Marshal(e)
		require.NoError(tb, err)
		return fmt.Appendf(nil, "data: %s\n\n", data)
	}
	var m pb.ModelStreamInferResponse
	require.NoError(tb, proto.Unmarshal(event, &m))
	m.InferResponse.Outputs = append(m.InferResponse.Outputs, &pb.ModelInferResponse_InferOutputTensor{Name: "context_logits", Datatype: "UINT8", Shape: []int64{int64(size)}})
	m.InferResponse.RawOutputContents = append(m.InferResponse.RawOutputContents, make([]byte, size))
	event, err := proto.Marshal(&m)
	require.NoError(tb, err)
	return event
}
