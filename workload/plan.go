package workload

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"enginebench/engines"
	"enginebench/workload/prompts"
)

// Shape is what a plan is made from, and all that it is made from beside its
// prompts: equal shapes give equal plans.
type Shape struct {
	Load         Load
	Concurrency  int // slots; in an open loop the slots that are dialled ahead
	Requests     int // measured requests
	OutputTokens int // of each of them
	Seed         uint64
}

// Total is how many requests a run sends: the measured ones, and in a closed
// loop the ramp.
func (s Shape) Total() int { return s.ramp() + s.Requests }

// ramp is how many requests at the start are not measured.
func (s Shape) ramp() int {
	if s.Load.Waves || s.Load.Open() {
		return 0
	}
	return s.Concurrency
}

// Planned is one request of a plan.
type Planned struct {
	Request  engines.Request
	Prompt   string        // the prompt's id in its pool
	Measured bool          // false: ramp
	Intended time.Duration // since the run's start; open loop only
}

// Plan says what one run of a cell sends, in order of dispatch.
type Plan struct {
	Shape
	Cell     string
	Requests []Planned
}

// NewPlan makes a plan of s.Total() prompts. salt goes into every request.
func NewPlan(s Shape, invocation, salt string, from []prompts.Prompt) (*Plan, error) {
	if s.Concurrency < 1 || s.Requests < 1 || s.OutputTokens < 1 {
		return nil, fmt.Errorf("plan a run: concurrency %d, requests %d and output tokens %d must all be at least 1", s.Concurrency, s.Requests, s.OutputTokens)
	}
	if len(from) != s.Total() {
		return nil, fmt.Errorf("plan a run: %d prompts for %d requests", len(from), s.Total())
	}
	p := &Plan{Shape: s, Cell: s.Load.Cell(s.Concurrency), Requests: make([]Planned, len(from))}
	random := rand.New(rand.NewPCG(s.Seed, hash(p.Cell)))
	var clock time.Duration
	for i, prompt := range from {
		r := Planned{Prompt: prompt.ID, Measured: i >= s.ramp(), Request: engines.Request{
			ID:     engines.RequestID{Invocation: invocation, Cell: p.Cell, Index: i},
			Tokens: prompt.Tokens, Text: prompt.Text, OutputTokens: s.OutputTokens, Salt: salt}}
		if !r.Measured {
			r.Request.OutputTokens = 1 + random.IntN(s.OutputTokens)
		}
		if s.Load.Open() {
			r.Intended = clock
			clock += time.Duration(random.ExpFloat64() / s.Load.Rate * float64(time.Second))
		}
		p.Requests[i] = r
	}
	return p, nil
}

// hash makes the random numbers of two cells of one seed independent.
func hash(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}

// Warmup is a plan of one wave of prompts that are not measured and whose
// requests are short. It opens connections and makes the engine meet the batch
// size before the run does.
func Warmup(s Shape, invocation, salt string, from []prompts.Prompt) (*Plan, error) {
	s.Load, s.Requests, s.OutputTokens = Load{Waves: true}, len(from), min(s.OutputTokens, warmupTokens)
	s.Concurrency = len(from)
	p, err := NewPlan(s, invocation, salt, from)
	if err != nil {
		return nil, err
	}
	for i := range p.Requests {
		p.Requests[i].Measured = false
		p.Requests[i].Request.ID.Cell = WarmupCell
	}
	p.Cell = WarmupCell
	return p, nil
}

// warmupTokens is how many tokens a warm-up request asks for: enough decode
// steps for every lazily made thing of an engine to exist.
const warmupTokens = 8

// WarmupCell is the cell in the ids of warm-up requests.
const WarmupCell = "warmup"
