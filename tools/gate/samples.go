package main

import (
	"math"

	"enginebench/tools/gate/relabel"
	"enginebench/tools/internal/results"
	"enginebench/workload"
)

// readSamples reads the samples of both sides, if there are any: the exact
// values take the place of the printed ones, and the outputs are returned.
func (d *data) readSamples(opts options, report *Report) (outputs [2]*results.Outputs, err error) {
	for side, dir := range opts.samples {
		if dir == "" {
			continue
		}
		outputs[side] = results.NewOutputs()
		var records []*workload.RunRecord
		notes, err := results.Stream(dir, results.Visitor{
			Record: func(r *workload.RunRecord) error { records = append(records, r); return nil },
			Sample: func(s *workload.Sample) error { outputs[side].Add(s); return nil },
		})
		if err != nil {
			return outputs, err
		}
		for _, note := range notes {
			report.warn("%s: %s", dir, note)
		}
		var runs []*results.Run
		for run := range d.all(side) {
			runs = append(runs, run)
		}
		if matched := results.Match(runs, records); matched < len(runs) {
			report.warn("%s: the samples of %d of %d runs in %s are not in it; those count as printed", dir, len(runs)-matched, len(runs), d.sides[side])
		}
	}
	return outputs, nil
}

// requestsShare is the part of α that is set aside for failed requests where
// some request failed at all. Their test is on hundreds of requests and needs
// little; that on passes would feel the loss.
const requestsShare = 0.2

// judgeRequests judges ok-% over all requests of all passes where the samples
// count them, and returns the share of α that this took. Whether any request
// failed does not depend on which side is called old, so the share may.
func judgeRequests(list []*judged, alpha float64) (share float64) {
	var some []*judged
	var worse, better []float64
	for _, j := range list {
		old, okOld := tally(j.row.runs[0])
		new, okNew := tally(j.row.runs[1])
		if j.Unit != okPercent || !okOld || !okNew {
			continue
		}
		j.By = "requests"
		j.Old = Estimate{number(old.Percent()), noNumber, noNumber, old.Sent}
		j.New = Estimate{number(new.Percent()), noNumber, noNumber, new.Sent}
		j.Delta = j.New.Value - j.Old.Value
		if old.Failed()+new.Failed() == 0 {
			continue
		}
		some = append(some, j)
		worse = append(worse, relabel.Requests(old, new))
		better = append(better, relabel.Requests(new, old))
	}
	if len(some) == 0 {
		return 0
	}
	worse, better = relabel.Holm(worse), relabel.Holm(better)
	for i, j := range some {
		if math.Abs(float64(j.Delta)) > float64(j.Threshold) {
			j.decide(worse[i]/requestsShare, better[i]/requestsShare, alpha)
		}
	}
	return requestsShare
}

// tally counts the requests of a cell; ok is false where not every run has its
// record.
func tally(runs []*results.Run) (t relabel.Tally, ok bool) {
	for _, run := range runs {
		if run.Record == nil || run.Record.Sent == 0 {
			return t, false
		}
		t.OK += run.Record.OK
		t.Sent += run.Record.Sent
	}
	return t, true
}

// compareOutputs holds the answers of both sides against each other, engine by
// engine.
func (d *data) compareOutputs(opts options, outputs [2]*results.Outputs, report *Report) {
	if outputs[0] == nil {
		return
	}
	shares := map[string]results.Share{}
	var names []string
	for _, r := range d.rows {
		name := r.cells[0].Engine
		if other := r.cells[1].Engine; other != name {
			name += " against " + other
		}
		if _, seen := shares[name]; !seen {
			names = append(names, name)
		}
		shares[name] = shares[name].Add(results.SameOutputs(outputs[0], r.cells[0], outputs[1], r.cells[1]))
	}
	for _, name := range names {
		share := shares[name]
		o := Outputs{Engine: name, Prompts: share.Both, Identical: share.Identical, Unstable: share.Unstable,
			Share: noNumber, Minimum: noNumber, Verdict: unchanged}
		percent, ok := share.Percent()
		if ok {
			o.Share = number(percent / 100)
		}
		if opts.sameMin > 0 {
			o.Minimum = number(opts.sameMin)
			switch {
			case !ok && share.Kinds > 0:
				report.problem("%s: are the answers the same? One side has hashes of token ids, the other of text", name)
			case !ok:
				report.problem("%s: are the answers the same? No prompt was answered on both sides", name)
			case percent/100 < opts.sameMin:
				o.Verdict = regression
			}
		}
		if share.Kinds > 0 && ok {
			report.warn("%s: %d prompts have a hash of token ids on one side and of text on the other; their outputs were not compared", name, share.Kinds)
		}
		report.Outputs = append(report.Outputs, o)
	}
}
