package workload

import (
	"fmt"
	"time"

	"enginebench/engines"
	"enginebench/engines/capture"
	"enginebench/fixtures"
)

// Recording makes a recording of a run: its captures, and those of the
// preflight, with what is needed to understand them. header must have Engine,
// Prompts, Target, Info and Describe; the rest is the run's own. The recording
// shares the captures and is valid until the runner's next run.
func Recording(run *Run, header fixtures.Header, withPrompts bool) *fixtures.Recording {
	p := run.Plan
	header.Cell, header.Load, header.Concurrency = p.Cell, p.Load.String(), p.Concurrency
	header.OutputTokens, header.Seed, header.When = p.OutputTokens, p.Seed, run.Start
	rec := &fixtures.Recording{Header: header}
	for i, c := range header.Info.Preflight {
		rec.Requests = append(rec.Requests, fixtures.Request{Cell: engines.PreflightCell, Index: i, Capture: c})
	}
	for i, planned := range p.Requests {
		if run.Sent[i] {
			rec.Requests = append(rec.Requests, fixtures.Request{Cell: p.Cell, Index: i, Measured: planned.Measured,
				Prompt: planned.Prompt, Asked: fixtures.Ask(planned.Request, withPrompts), Capture: run.Captures[i]})
		}
	}
	return rec
}

// FromRecording gives back the run that a recording was made of, without its
// witness. A run was given up if a request of it was cancelled: nothing else
// cancels one.
func FromRecording(rec *fixtures.Recording) (*Run, error) {
	plan, err := PlanOf(rec, "")
	if err != nil {
		return nil, err
	}
	run := &Run{Plan: plan, Start: rec.Header.When, Captures: make([]*capture.Capture, len(plan.Requests)), Sent: make([]bool, len(plan.Requests))}
	for _, r := range rec.Requests {
		if r.Cell == rec.Header.Cell {
			run.Captures[r.Index], run.Sent[r.Index] = r.Capture, true
			run.Elapsed = max(run.Elapsed, r.Capture.Trailer.Arrival)
			if run.Stopped == nil && engines.ClassOf(r.Capture.Err) == engines.Cancelled {
				run.Stopped = r.Capture.Err
			}
		}
	}
	for i, c := range run.Captures {
		if c == nil {
			run.Captures[i] = new(capture.Capture)
		}
	}
	return run, nil
}

// PlanOf is the plan of a recording, to be run again against a replay of it.
// Prompts that the recording does not hold are stood in for by others of the
// same length: a replay does not read them.
func PlanOf(rec *fixtures.Recording, invocation string) (*Plan, error) {
	h := rec.Header
	load, err := ParseLoad(h.Load)
	if err != nil {
		return nil, fmt.Errorf("plan the replay of %s %s: %w", h.Engine, h.Cell, err)
	}
	last := -1
	for _, r := range rec.Requests {
		if r.Cell == h.Cell {
			last = max(last, r.Index)
		}
	}
	if last < 0 || last > 1<<24 {
		return nil, fmt.Errorf("plan the replay of %s %s: the recording has no requests of its cell", h.Engine, h.Cell)
	}
	p := &Plan{Cell: h.Cell, Requests: make([]Planned, last+1),
		Shape: Shape{Load: load, Concurrency: h.Concurrency, OutputTokens: h.OutputTokens, Seed: h.Seed}}
	var start time.Duration
	for _, r := range rec.Requests {
		if r.Cell != h.Cell {
			continue
		}
		if n := r.Asked.PromptTokens; n < 0 || n > maxPrompt {
			return nil, fmt.Errorf("plan the replay of %s %s: request %d has a prompt of %d tokens", h.Engine, h.Cell, r.Index, n)
		}
		id := engines.RequestID{Invocation: invocation, Cell: r.Cell, Index: r.Index}
		p.Requests[r.Index] = Planned{Prompt: r.Prompt, Measured: r.Measured, Request: standIn(r.Asked, id)}
		if r.Measured {
			p.Shape.Requests++
		}
		if load.Open() {
			if r.Index == 0 {
				start = r.Capture.Intended
			}
			p.Requests[r.Index].Intended = r.Capture.Intended - start
		}
	}
	return p, nil
}

// Missing is how many requests a plan made of a recording lacks: those that a
// run which was given up never sent. Such a plan can be decoded, not run.
func (p *Plan) Missing() int {
	n := 0
	for i := range p.Requests {
		if p.Requests[i].Request.ID.Cell == "" {
			n++
		}
	}
	return n
}

// maxPrompt bounds the prompt that a damaged recording can ask memory for.
const maxPrompt = 1 << 24

func standIn(asked fixtures.Asked, id engines.RequestID) engines.Request {
	r := engines.Request{ID: id, Tokens: asked.Tokens, Text: asked.Text, OutputTokens: asked.OutputTokens}
	if len(r.Tokens) == 0 {
		r.Tokens = make([]int32, max(asked.PromptTokens, 1))
		for i := range r.Tokens {
			r.Tokens[i] = int32(1000 + (id.Index+i)%20000)
		}
	}
	if r.Text == "" {
		r.Text = "a prompt that was not recorded"
	}
	return r
}
