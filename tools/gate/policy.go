package main

import (
	"maps"
	"slices"
	"strings"

	"golang.org/x/perf/benchunit"
)

// checkPolicy refuses what flags say of units and keys that no input has. A
// misspelt threshold would leave the default one in force without a word.
func (d *data) checkPolicy(opts options, report *Report) (understood bool) {
	understood = true
	units := slices.SortedStableFunc(slices.Values(d.seen), func(a, b string) int { return place(a) - place(b) })
	for _, unit := range slices.Sorted(maps.Keys(opts.thresholds.set)) {
		if !slices.Contains(d.seen, tidy(unit)) {
			understood = false
			report.problem("-threshold: no unit %s in the inputs; there are %s", unit, strings.Join(units, ", "))
		}
	}
	for _, unit := range opts.units {
		if !slices.Contains(d.seen, tidy(unit)) && !slices.Equal(opts.units, []string{"all"}) {
			understood = false
			report.problem("-unit: no unit %s in the inputs; there are %s", unit, strings.Join(units, ", "))
		}
	}
	for _, key := range opts.ignore {
		if !slices.Contains(d.keysSeen, key) {
			understood = false
			report.problem("-ignore: no key %s in the inputs; there are %s", key, strings.Join(d.keysSeen, ", "))
		}
	}
	return understood
}

// tidy is a unit as benchfmt reads it: ns/op is sec/op.
func tidy(unit string) string {
	_, tidied := benchunit.Tidy(1, unit)
	return tidied
}
