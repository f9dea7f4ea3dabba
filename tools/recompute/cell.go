package main

import (
	"fmt"
	"iter"
	"runtime"

	"enginebench/engines"
	"enginebench/workload"
	"enginebench/workload/line"
)

// result is what a recording came to.
type result struct {
	summary   workload.Summary
	judgement workload.Judgement
	notes     []string // printed below the line
	err       error    // it could not be recomputed
}

// invocation marks the files of samples that were recomputed. It is the same
// every time, so that they are written over and not counted twice.
const invocation = "recomputed"

// lost says what a recomputed result can't know.
const lost = "recomputed from recordings: the times are the recorded run's; what its machine did meanwhile and the engine's own counters are in no recording, and judge nothing here"

// compute decodes one recording and says what a run would have said.
func (c *config) compute(f *file) result {
	rec, err := f.load()
	if err != nil {
		return result{err: err}
	}
	run, err := workload.FromRecording(rec)
	if err != nil {
		return result{err: fmt.Errorf("read recording %s: %w", f.path, err)}
	}
	var decoder engines.Decoder = f.decoder
	var count *counter
	if c.tokens != nil {
		count = &counter{Decoder: f.decoder, tokens: c.tokens}
		decoder = count
	}
	info := f.header.Info
	out := workload.Decode(run, f.header.Engine, decoder, info)
	for i := range out.Samples {
		out.Samples[i].Run = f.run
	}
	var warnings []string
	if count != nil {
		warnings = count.warnings(out.Samples)
	}
	r := result{summary: workload.Summarize(out)}
	r.judgement = workload.Judge(r.summary, c.budget.Of(out.Plan.Shape.Requests), out)
	findings := workload.Audit(r.summary, out)
	r.notes = line.Notes(r.judgement, warnings, findings)
	if c.samples != "" {
		record := out.Record(f.header.Engine, info, workload.ConditionsOf(f.header), r.summary, r.judgement)
		record.Run, record.Warnings, record.Findings = f.run, append(warnings, lost), findings
		if err := workload.SaveSamples(c.samples, invocation, record, out.Samples); err != nil {
			r.err = fmt.Errorf("write the samples of %s: %w", f.path, err)
		}
	}
	return r
}

// each computes files on all cores and yields the results in order. No more
// recordings than cores are in memory at once.
func each(files []*file, compute func(*file) result) iter.Seq2[*file, result] {
	return func(yield func(*file, result) bool) {
		results := make([]chan result, len(files))
		for i := range results {
			results[i] = make(chan result, 1)
		}
		gate := make(chan struct{}, runtime.GOMAXPROCS(0))
		go func() {
			for i, f := range files {
				gate <- struct{}{}
				go func() {
					defer func() { <-gate }()
					results[i] <- compute(f)
				}()
			}
		}()
		for i, f := range files {
			if !yield(f, <-results[i]) {
				return
			}
		}
	}
}
