package main

import (
	"regexp"
	"slices"
	"strings"

	"enginebench/tools/internal/results"
)

// dropOneSided takes away the engines that only one side has: there is nothing
// to hold them against, and that they were measured at all is no difference of
// the workloads. Of each side they are one problem, not one a cell.
func (d *data) dropOneSided(opts options, report *Report) {
	alone := d.alone()
	if len(alone[0])+len(alone[1]) == 0 {
		return
	}
	gone := slices.Concat(alone[0], alone[1])
	d.rows = slices.DeleteFunc(d.rows, func(r *row) bool {
		return slices.ContainsFunc(slices.Concat(r.runs[0], r.runs[1]), func(run *results.Run) bool { return slices.Contains(gone, run.Cell.Engine) })
	})
	advice := "no engine is left to compare"
	if both := d.engines(); len(both) > 0 {
		advice = "compare the others with -filter " + narrower(opts.filter, both)
	}
	for side, engines := range alone {
		switch len(engines) {
		case 0:
		case 1:
			report.problem("engine %s is only in %s: %s", engines[0], d.sides[side], advice)
		default:
			report.problem("engines %s are only in %s: %s", strings.Join(engines, ", "), d.sides[side], advice)
		}
	}
	d.passes = [2]int{}
	for _, r := range d.rows {
		for side, runs := range r.runs {
			d.passes[side] = max(d.passes[side], len(runs))
		}
	}
}

// alone lists the engines that have cells on one side only. One whose cells
// failed on the other side was measured there too, and one that shares a row
// with another engine is compared with that.
func (d *data) alone() (alone [2][]string) {
	met := map[string]bool{}
	var seen [2][]string
	see := func(side int, engine string) {
		if !slices.Contains(seen[side], engine) {
			seen[side] = append(seen[side], engine)
		}
	}
	for _, r := range d.rows {
		for side, runs := range r.runs {
			for _, run := range runs {
				see(side, run.Cell.Engine)
				met[run.Cell.Engine] = met[run.Cell.Engine] || len(r.runs[1-side]) > 0
			}
		}
	}
	for side, cells := range d.failed {
		for _, cell := range cells {
			met[cell.Engine] = met[cell.Engine] || slices.Contains(seen[1-side], cell.Engine)
		}
	}
	for side, engines := range seen {
		for _, engine := range engines {
			if !met[engine] && !slices.Contains(seen[1-side], engine) {
				alone[side] = append(alone[side], engine)
			}
		}
	}
	return alone
}

// narrower is a filter that lets in those engines of what filter does, as a
// shell takes it.
func narrower(filter string, engines []string) string {
	narrow := "/engine:" + engines[0]
	if len(engines) > 1 {
		narrow = "/engine:(" + strings.Join(engines, " OR ") + ")"
	}
	if filter != "*" {
		narrow += " (" + filter + ")"
	}
	return "'" + strings.ReplaceAll(narrow, "'", `'\''`) + "'"
}

// carryRemarks passes on what the inputs say about themselves and about the
// engines that are compared. One that was left out is a doubt unless the filter
// leaves it out as well.
func (d *data) carryRemarks(report *Report) {
	compared := d.engines()
	for _, in := range d.inputs {
		for _, remark := range in.Remarks {
			if introduction.MatchString(remark) || strings.HasPrefix(remark, results.CommandRemark) {
				continue
			}
			if out := leftOut.FindStringSubmatch(remark); out != nil {
				if !d.wanted(out[1], in) {
					continue
				}
			} else if engine := in.engineOf(remark); engine != "" && !slices.Contains(compared, engine) {
				continue
			}
			report.warn("%s: %s", in.label, remark)
		}
	}
}

// introduction is the remark that says what an engine is. It and the command
// are for people to look up; other remarks are doubts.
var introduction = regexp.MustCompile(`^([a-z][a-z0-9_.]*) is `)

// A remark is about an engine where it begins with its name, or says that it
// was left out.
var (
	aboutEngine = regexp.MustCompile(`^([a-z][a-z0-9_.]*): `)
	leftOut     = regexp.MustCompile(`^left out: engine ([a-z][a-z0-9_.]*)`)
)

// engineOf is the engine that a remark is about; "" for one about the whole
// run. An engine has cells or is introduced, even if -bench then chose none of
// its cells.
func (in *input) engineOf(remark string) string {
	about := aboutEngine.FindStringSubmatch(remark)
	if about == nil {
		return ""
	}
	introduced := slices.ContainsFunc(in.Remarks, func(r string) bool {
		m := introduction.FindStringSubmatch(r)
		return m != nil && m[1] == about[1]
	})
	if introduced || in.has(about[1]) {
		return about[1]
	}
	return ""
}

// has says whether an engine has a cell in the input, measured or failed.
func (in *input) has(engine string) bool {
	return slices.ContainsFunc(in.Runs, func(r *results.Run) bool { return r.Cell.Engine == engine }) ||
		slices.ContainsFunc(in.Failures, func(f results.Failure) bool { return f.Cell.Engine == engine })
}

// wanted says whether the filter would let in some cell of an engine that the
// input has none of.
func (d *data) wanted(engine string, in input) bool {
	return slices.ContainsFunc(in.Runs, func(r *results.Run) bool {
		keep, _ := d.filter.Apply(d.like(results.Cell{Engine: engine, Level: r.Cell.Level}, in))
		return keep
	})
}
