package main

import (
	"fmt"
	"strings"

	"enginebench/tools/internal/results"
)

// fewFigures is the least number of measured figures whose equality is no
// accident: go test prints four digits, and passes of a quiet machine differ in
// the last two or three of them.
const fewFigures = 3

// checkRepeats refuses passes of a side that are copies of each other. Each of
// them would count as a measurement, and a handful of copies makes any
// difference significant.
func (d *data) checkRepeats(report *Report) (independent bool) {
	independent = true
	for side := range 2 {
		first := map[string]int{} // by all figures of a pass
		for pass := range d.passes[side] {
			figures, measured := d.figures(side, pass)
			if measured < fewFigures {
				continue
			}
			if before, ok := first[figures]; ok {
				independent = false
				report.problem("passes %d and %d of %s are the same in every figure, so they are one measurement: was a file read twice?", before+1, pass+1, d.sides[side])
				break
			}
			first[figures] = pass
		}
	}
	return independent
}

// figures is all that a pass printed, cell by cell, and how many of its figures
// a clock measured: shares of requests are the same in many passes.
func (d *data) figures(side, pass int) (text string, measured int) {
	var b strings.Builder
	for _, r := range d.rows {
		if pass >= len(r.runs[side]) {
			continue
		}
		printed := d.printed[r.runs[side][pass]]
		fmt.Fprintf(&b, "%s:%s\n", r.name, printed.text)
		measured += printed.measured
	}
	return b.String(), measured
}

// printed is what a line says, before a filter leaves out units or samples
// replace its values.
type printed struct {
	text     string
	measured int
}

func printedOf(run *results.Run) printed {
	var p printed
	for _, v := range run.Result.Values {
		p.text += fmt.Sprintf(" %v %s", v.Value, v.Unit)
		if !inPoints(v.Unit) && v.Value != 0 {
			p.measured++
		}
	}
	return p
}
