package workload

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"enginebench/engines"
	"enginebench/engines/capture"
	"enginebench/workload/prompts"
)

// fake is an engine in fake time: its first token comes after ttft, and the
// others gap apart. Each token is a chunk of its own.
type fake struct {
	ttft, gap   time.Duration
	fail        func(r engines.Request) *engines.Error // nil: no request fails
	unready     error                                  // of every Ready
	hangs       bool                                   // every Dial, until its context ends
	errorEvents bool                                   // every reply holds one
	stallAt     int                                    // the token that never comes; 0: none
	inFlight    atomic.Int64
	most        atomic.Int64
	dialled     atomic.Int64
	readied     atomic.Int64
	inUse       atomic.Int64 // slots that were ever sent on
}

var _ engines.Engine = (*fake)(nil)

// HasError finds the mark of a scripted error event.
func (f *fake) HasError(c *capture.Capture) bool { return f.errorEvents }

func (f *fake) Describe(context.Context) (engines.Info, error) { return fakeInfo, nil }

var fakeInfo = engines.Info{TakesTokens: true, ForcesOutput: true, Counts: "token ids", PerEvent: true}

func (f *fake) Encode(r engines.Request) (engines.Message, error) {
	body, err := json.Marshal(r)
	return engines.Message{ID: r.ID.String(), Body: body}, err
}

func (f *fake) Dial(ctx context.Context) (engines.Slot, error) {
	if f.hangs {
		<-ctx.Done()
		return nil, engines.Errorf(engines.Dial, "dial: %w", ctx.Err())
	}
	f.dialled.Add(1)
	return &fakeSlot{fake: f}, nil
}

func (f *fake) Decode(c *capture.Capture) engines.Reply {
	reply := engines.Reply{Counted: "token ids", CachedTokens: -1}
	for i, chunk := range c.Chunks {
		reply.Events = append(reply.Events, engines.Event{Arrival: chunk.Arrival, Tokens: 1, Chunk: i})
		reply.IDs = append(reply.IDs, int32(i))
	}
	reply.Tokens = len(reply.Events)
	if e, ok := c.Err.(*engines.Error); ok {
		reply.Err = e
	}
	return reply
}

type fakeSlot struct {
	*fake
	used bool
}

func (s *fakeSlot) Close() error { return nil }

func (s *fakeSlot) Ready(context.Context) error {
	s.readied.Add(1)
	return s.unready
}

func (s *fakeSlot) Send(ctx context.Context, m engines.Message, into *capture.Capture) error {
	if !s.used {
		s.used = true
		s.inUse.Add(1)
	}
	var r engines.Request
	if err := json.Unmarshal(m.Body, &r); err != nil {
		panic(err)
	}
	if n := s.inFlight.Add(1); n > s.most.Load() {
		s.most.Store(n)
	}
	defer s.inFlight.Add(-1)
	defer func() { into.Done = capture.Now() }()
	into.Send = capture.Now()
	if s.fail != nil {
		if failure := s.fail(r); failure != nil {
			into.Err = failure
			return failure
		}
	}
	for i := range r.OutputTokens {
		wait := s.gap
		if i == 0 {
			wait = s.ttft
		}
		if s.stallAt > 0 && i == s.stallAt-1 {
			wait = time.Hour
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			into.Err = engines.Transport(ctx, ctx.Err(), i > 0)
			return into.Err
		}
		now := capture.Now()
		into.Append([]byte("t"), now, now)
		into.Progressed(now)
	}
	into.Trailer = capture.Trailer{Arrival: capture.Now(), Clean: true}
	return nil
}

// makePrompts are n prompts of three tokens.
func makePrompts(n int) []prompts.Prompt {
	made := make([]prompts.Prompt, n)
	for i := range made {
		made[i] = prompts.Prompt{ID: string(rune('a' + i%26)), Tokens: []int32{1, 2, int32(i)}, Text: "x"}
	}
	return made
}

func mustPlan(s Shape) *Plan {
	p, err := NewPlan(s, "test", "", makePrompts(s.Total()))
	if err != nil {
		panic(err)
	}
	return p
}
