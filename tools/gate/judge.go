package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"enginebench/tools/gate/relabel"
	"enginebench/tools/internal/results"
	"enginebench/workload"

	"golang.org/x/perf/benchmath"
)

// defaultUnits are judged unless -unit or -filter names others: what a user of
// an engine feels, each a mean over the requests of a run. The percentiles and
// the client's own figures are left out: a p99 at the knee of the load moves by
// half from run to run, and every unit more makes each of them harder to judge.
var defaultUnits = []string{"tokens/s", "ttft-ms", "latency-ms", "tpot-ms", okPercent}

const okPercent = "ok-%"

// judge makes the whole comparison. It never fails: what it could not do is
// among the report's problems.
func judge(opts options, stdin io.Reader) *Report {
	report := newReport()
	report.Alpha = opts.alpha
	defer report.conclude()

	d, err := load(opts, stdin, report)
	if err != nil {
		report.problem("%v", err)
		return report
	}
	for side, s := range []*Side{&report.Old, &report.New} {
		*s = Side{Name: d.sides[side], Passes: d.passes[side]}
	}
	if !d.checkPolicy(opts, report) {
		return report
	}
	d.dropOneSided(opts, report)
	d.carryRemarks(report)
	if !d.checkConfiguration(opts, report) || !d.checkRepeats(report) {
		return report
	}
	outputs, err := d.readSamples(opts, report)
	if err != nil {
		report.problem("%v", err)
		return report
	}
	d.checkCells(report)
	d.carryDoubts(report)
	d.compare(opts, report)
	d.compareOutputs(opts, outputs, report)
	return report
}

// checkCells drops the rows that have nothing to compare and notes uneven ones.
func (d *data) checkCells(report *Report) {
	d.rows = slices.DeleteFunc(d.rows, func(r *row) bool {
		for side, runs := range r.runs {
			switch other := d.sides[1-side]; {
			case len(runs) == 0 && slices.Contains(d.failed[side], r.cells[1-side]):
				return true // said already
			case len(runs) == 0:
				report.problem("%s is only in %s", r.name, other)
				return true
			case slices.ContainsFunc(runs, func(run *results.Run) bool { return run.Cell != runs[0].Cell }):
				report.problem("%s mixes cells, %s and others: let -row tell them apart", r.name, cellName(runs[0].Cell))
				return true
			case len(runs) < d.passes[side]:
				report.warn("%s has %d of %d passes in %s", r.name, len(runs), d.passes[side], d.sides[side])
			}
		}
		return false
	})
}

// unitsToJudge picks the units by -unit, by -filter, or the default ones.
func (d *data) unitsToJudge(opts options, report *Report) []string {
	var present []string
	for side := range 2 {
		for run := range d.all(side) {
			for _, v := range run.Result.Values {
				if !slices.Contains(present, v.Unit) {
					present = append(present, v.Unit)
				}
			}
		}
	}
	slices.SortStableFunc(present, func(a, b string) int { return place(a) - place(b) })

	wanted := defaultUnits
	switch {
	case slices.Equal(opts.units, []string{"all"}):
		wanted = present
	case len(opts.units) > 0:
		wanted = nil
		for _, unit := range opts.units {
			if wanted = append(wanted, tidy(unit)); !slices.Contains(present, tidy(unit)) {
				report.problem("no unit %s in the inputs; there are %s", unit, strings.Join(present, ", "))
			}
		}
	case strings.Contains(opts.filter, ".unit"):
		wanted = present
	}
	judged := slices.DeleteFunc(slices.Clone(present), func(unit string) bool { return !slices.Contains(wanted, unit) })
	for _, unit := range d.seen {
		if !slices.Contains(judged, unit) {
			report.NotJudged = append(report.NotJudged, unit)
		}
	}
	for _, unit := range slices.Sorted(maps.Keys(opts.thresholds.set)) {
		if !slices.Contains(judged, tidy(unit)) {
			report.warn("-threshold %s=… decides nothing: %s is not judged (-unit)", unit, unit)
		}
	}
	if len(judged) == 0 && len(opts.units) == 0 {
		report.problem("none of the units %s in the inputs: choose by -unit among %s", strings.Join(defaultUnits, ", "), strings.Join(present, ", "))
	}
	return judged
}

// place sorts units as benchmark lines have them, others last.
func place(unit string) int {
	i := slices.IndexFunc(workload.Metrics, func(m workload.Metric) bool { return m.Unit == unit })
	if i < 0 {
		return len(workload.Metrics)
	}
	return i
}

// direction is +1 where more of a unit is better, -1 where less is, 0 and a
// problem where the inputs do not say or contradict each other.
func (d *data) direction(unit string, report *Report) int {
	old, new := results.Better(d.unitMeta[0], unit), results.Better(d.unitMeta[1], unit)
	switch {
	case old != new:
		report.problem("%s: is more better? %s and %s contradict each other by their Unit lines", unit, d.sides[0], d.sides[1])
		return 0
	case old == 0:
		report.problem(`%s: is more better? Unknown; add a line "Unit %s better=higher" (or lower) to the inputs`, unit, unit)
	}
	return old
}

// judged is one comparison on its way: a unit of a row.
type judged struct {
	Comparison
	row    *row
	values [2][]float64 // by pass, NaN where there is none
	better int
	group  int // of the unit
}

// collect lists what can be compared, unit by unit.
func (d *data) collect(opts options, report *Report) []*judged {
	var list []*judged
	for group, unit := range d.unitsToJudge(opts, report) {
		better := d.direction(unit, report)
		if better == 0 {
			continue
		}
		for _, r := range d.rows {
			j := &judged{row: r, better: better, group: group, Comparison: Comparison{
				Cell: r.name, Unit: unit, Better: map[int]string{+1: "higher", -1: "lower"}[better], Verdict: unchanged,
				Threshold: number(opts.thresholds.of(unit)), Delta: noNumber, P: 1, Resolves: noNumber,
			}}
			var found [2]int
			finite := true
			for side, runs := range r.runs {
				j.values[side] = make([]float64, d.passes[side])
				for pass := range j.values[side] {
					j.values[side][pass] = math.NaN()
					if pass >= len(runs) {
						continue
					}
					if v, ok := runs[pass].Result.Value(unit); ok {
						finite = finite && !math.IsNaN(v) && !math.IsInf(v, 0)
						j.values[side][pass] = v
						found[side]++
					}
				}
			}
			switch {
			case found == [2]int{}: // measured on neither side
			case !finite:
				report.problem("%s of %s is not a number in some pass", unit, r.name)
			case found[0] == 0:
				report.problem("%s of %s is only in %s", unit, r.name, d.sides[1])
			case found[1] == 0:
				report.problem("%s of %s is only in %s", unit, r.name, d.sides[0])
			default:
				for side := range 2 {
					if found[side] < len(r.runs[side]) {
						report.warn("%s of %s is absent from %d of %d passes in %s", unit, r.name, len(r.runs[side])-found[side], len(r.runs[side]), d.sides[side])
					}
				}
				list = append(list, j)
			}
		}
	}
	return list
}

// compare judges every unit of every row, all together.
func (d *data) compare(opts options, report *Report) {
	list := d.collect(opts, report)
	d.estimate(list, report)

	byRequests := judgeRequests(list, opts.alpha)
	var byPasses []*judged
	var columns []relabel.Column
	for _, j := range list {
		if j.By == "requests" {
			continue
		}
		byPasses = append(byPasses, j)
		columns = append(columns, relabel.Column{Old: j.values[0], New: j.values[1], Better: j.better,
			Threshold: float64(j.Threshold), Points: inPoints(j.Unit), Group: j.group})
	}
	// Two families of tests share α, each p is printed in parts of its share.
	share := 1 - byRequests
	result := relabel.Passes(columns, relabel.Options{Alpha: opts.alpha * share, Seed: 1})
	report.Labellings, report.Exact = result.Labellings, result.Exact
	enough := len(columns) == 0 || d.enoughPasses(opts.alpha*share, report)
	for i, j := range byPasses {
		o := result.Outcomes[i]
		j.By = "passes"
		j.Old.Value, j.New.Value, j.Delta = number(o.Old), number(o.New), number(o.Delta)
		j.Resolves = number(o.Resolves)
		j.decide(o.Worse/share, o.Better/share, opts.alpha)
		if enough && o.MinP > opts.alpha*share {
			report.problem("%s of %s: %d and %d values are too few for any change to be significant", j.Unit, j.Cell, j.Old.N, j.New.N)
		}
	}
	for _, j := range list {
		report.Comparisons = append(report.Comparisons, j.Comparison)
	}
	if len(list) == 0 && len(report.Problems) == 0 {
		report.problem("nothing to compare")
	}
}

// decide sets the verdict by the p-values of the two directions.
func (j *judged) decide(worse, better, alpha float64) {
	worse, better = min(1, worse), min(1, better)
	j.P = number(min(worse, better))
	switch {
	case worse <= alpha*(1+1e-9):
		j.Verdict = regression
	case better <= alpha*(1+1e-9):
		j.Verdict = improvement
	}
}

// enoughPasses notes where no comparison could have been red.
func (d *data) enoughPasses(alpha float64, report *Report) bool {
	smallest := 1 / relabel.Labellings(d.passes[0], d.passes[1])
	if smallest <= alpha*(1+1e-9) {
		return true
	}
	advice := fmt.Sprintf("measure %d passes a side (COUNT=%[1]d)", relabel.Count(alpha, 0))
	if n := relabel.Count(alpha, d.passes[0]); d.passes[0] > 0 && n <= 10 {
		advice += fmt.Sprintf(", or %d against the old ones", n)
	}
	report.problem("%d and %d passes are too few for any change to be significant, the smallest p is %.3f: %s", d.passes[0], d.passes[1], smallest, advice)
	return false
}

// estimate fills in medians and their intervals, and passes on what benchmath
// has to say about them.
func (d *data) estimate(list []*judged, report *Report) {
	warnings := map[string]int{}
	var order []string
	for _, j := range list {
		for side, e := range []*Estimate{&j.Old, &j.New} {
			values := slices.DeleteFunc(slices.Clone(j.values[side]), math.IsNaN)
			sample := benchmath.NewSample(values, &benchmath.DefaultThresholds)
			summary := d.unitMeta[side].GetAssumption(j.Unit).Summary(sample, 0.95)
			*e = Estimate{Value: number(summary.Center), Low: number(summary.Lo), High: number(summary.Hi), N: len(values)}
			for _, warning := range slices.Concat(sample.Warnings, summary.Warnings) {
				text := fmt.Sprintf("%s: %v", d.sides[side], warning)
				if warnings[text]++; warnings[text] == 1 {
					order = append(order, text)
				}
			}
		}
	}
	for _, text := range order {
		report.warn("%s (%d of %d comparisons)", text, warnings[text], len(list))
	}
}

// carryDoubts passes on what the runs themselves said against their numbers.
func (d *data) carryDoubts(report *Report) {
	type key struct {
		side int
		row  string
		kind string // the text up to its first figure: passes differ in those
	}
	count := map[key]int{}
	first := map[key]string{}
	var order []key
	for side := range 2 {
		for _, r := range d.rows {
			for _, run := range r.runs[side] {
				for _, doubt := range doubts(run) {
					k := key{side, r.name, doubt}
					if i := strings.IndexAny(doubt, "0123456789"); i >= 0 {
						k.kind = doubt[:i]
					}
					if count[k]++; count[k] == 1 {
						first[k], order = doubt, append(order, k)
					}
				}
			}
		}
	}
	for _, k := range order {
		text := first[k]
		if count[k] > 1 {
			text = fmt.Sprintf("%s (and in %d more passes)", text, count[k]-1)
		}
		report.warn("%s in %s: %s", k.row, d.sides[k.side], text)
	}
}

// doubts are those of the run's record where the samples have it, else of its
// log.
func doubts(run *results.Run) []string {
	if run.Record == nil {
		return run.Doubts()
	}
	var list []string
	for _, reason := range run.Record.Reasons {
		list = append(list, string(run.Record.Verdict)+": "+reason)
	}
	return append(list, run.Record.Warnings...)
}
