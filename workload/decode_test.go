package workload

import (
	"testing"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/engines/capture"
)

// Two events that came with one read are coalesced whether that read was one
// chunk or, over TLS, a chunk for each record in it.
func TestEventsOfOneReadAreCoalesced(t *testing.T) {
	chunk := func(arrival int, end int) capture.Chunk {
		return capture.Chunk{Arrival: at(arrival), Seen: at(arrival), End: end}
	}
	event := func(arrival int, chunk int) engines.Event {
		return engines.Event{Arrival: at(arrival), Tokens: 1, Chunk: chunk}
	}
	for name, test := range map[string]struct {
		chunks           []capture.Chunk
		events           []engines.Event
		first, coalesced int
	}{
		"each in a read of its own": {
			[]capture.Chunk{chunk(1, 1), chunk(2, 2), chunk(3, 3)}, []engines.Event{event(1, 0), event(2, 1), event(3, 2)}, 1, 0},
		"two in one chunk": {
			[]capture.Chunk{chunk(1, 1), chunk(3, 3)}, []engines.Event{event(1, 0), event(3, 1), event(3, 1)}, 1, 2},
		"two in two chunks of one read": {
			[]capture.Chunk{chunk(1, 1), chunk(3, 2), chunk(3, 3)}, []engines.Event{event(1, 0), event(3, 1), event(3, 2)}, 1, 2},
		"all in chunks of one read": {
			[]capture.Chunk{chunk(3, 1), chunk(3, 2), chunk(3, 3)}, []engines.Event{event(3, 0), event(3, 1), event(3, 2)}, 3, 3},
	} {
		t.Run(name, func(t *testing.T) {
			c := &capture.Capture{Send: 1, Chunks: test.chunks, Data: []byte("abc")}
			s := NewSample(mustPlan(Shape{Concurrency: 1, Requests: 1, OutputTokens: 3}), 0, c, engines.Reply{Events: test.events}, fakeInfo)
			require.Equal(t, test.first, s.FirstRead)
			require.Equal(t, test.coalesced, s.Coalesced)
		})
	}
}

func TestLateChunksAreCountedOverTheRun(t *testing.T) {
	p := mustPlan(Shape{Load: Load{Waves: true}, Concurrency: 1, Requests: 3, OutputTokens: 1})
	run := &Run{Plan: p, Sent: []bool{true, true, false}}
	for range p.Requests {
		run.Captures = append(run.Captures, &capture.Capture{Late: 2, Chunks: make([]capture.Chunk, 3)})
	}
	out := Decode(run, "e", &fake{}, fakeInfo)
	require.Equal(t, 4, out.Late)
	require.EqualValues(t, 4, out.Evidence()["late-chunks"])
}
