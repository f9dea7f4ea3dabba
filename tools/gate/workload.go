package main

import (
	"slices"
	"strings"

	"enginebench/tools/internal/results"
)

// sameWorkload are the configuration keys that say what was asked of an
// engine. Runs that differ in one answer different questions. The model of each
// engine (<engine>-model) belongs to them.
var sameWorkload = []string{"load", "prompts", "output-tokens", "seed"}

// checkConfiguration holds the configurations of the sides against each other:
// a different workload is a problem, a different version is what a comparison
// is for, and any other difference, of machines, a doubt. comparable is false
// where the workloads differ: then no number means anything.
func (d *data) checkConfiguration(opts options, report *Report) (comparable bool) {
	comparable = true
	engines := [2][]string{d.enginesOf(0), d.enginesOf(1)}
	compared := func(engine string) bool {
		return slices.Contains(engines[0], engine) && slices.Contains(engines[1], engine)
	}
	for _, key := range d.keys() {
		engine, isModel := strings.CutSuffix(key, "-model")
		ofEngine, isVersion := strings.CutSuffix(key, "-version")
		switch {
		case slices.Contains(opts.ignore, key), slices.Contains(d.projected, key):
			continue
		case isModel && !compared(engine), isVersion && !compared(ofEngine):
			continue // of an engine that is not held against itself
		}
		old, new := d.values(0, key), d.values(1, key)
		same := slices.Equal(old, new)
		switch {
		case same:
		case isModel || slices.Contains(sameWorkload, key):
			comparable = false
			report.problem("the workloads differ: %s is %s in %s and %s in %s; measure both alike, or say -ignore %s",
				key, list(old), d.sides[0], list(new), d.sides[1], key)
		default:
			report.Changed = append(report.Changed, Change{Key: key, Old: list(old), New: list(new)})
			if !isVersion {
				report.warn("%s differs: %s against %s", key, list(old), list(new))
			} else if len(old) > 1 || len(new) > 1 {
				report.warn("%s changes within a side: %s against %s", key, list(old), list(new))
			}
		}
	}
	return comparable
}

// list shows the values of a key; one that some results lack is "(none)".
func list(values []string) string {
	shown := make([]string, len(values))
	for i, v := range values {
		if shown[i] = v; v == "" {
			shown[i] = "(none)"
		}
	}
	return strings.Join(shown, " and ")
}

// all yields every run of a side.
func (d *data) all(side int) func(yield func(*results.Run) bool) {
	return func(yield func(*results.Run) bool) {
		for _, r := range d.rows {
			for _, run := range r.runs[side] {
				if !yield(run) {
					return
				}
			}
		}
	}
}

// engines are those that are compared.
func (d *data) engines() []string {
	engines := d.enginesOf(0)
	for _, engine := range d.enginesOf(1) {
		if !slices.Contains(engines, engine) {
			engines = append(engines, engine)
		}
	}
	return engines
}

func (d *data) enginesOf(side int) []string {
	var engines []string
	for run := range d.all(side) {
		if !slices.Contains(engines, run.Cell.Engine) {
			engines = append(engines, run.Cell.Engine)
		}
	}
	return engines
}

// keys are the configuration keys of all files, sorted.
func (d *data) keys() []string {
	seen := map[string]bool{}
	var keys []string
	for side := range 2 {
		for run := range d.all(side) {
			for _, c := range run.Result.Config {
				if c.File && !seen[c.Key] {
					seen[c.Key] = true
					keys = append(keys, c.Key)
				}
			}
		}
	}
	slices.Sort(keys)
	return keys
}

// values are those that a key takes on one side, sorted; "" where it is not set.
func (d *data) values(side int, key string) []string {
	var values []string
	for run := range d.all(side) {
		if v := run.Result.GetConfig(key); !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	slices.Sort(values)
	return values
}
