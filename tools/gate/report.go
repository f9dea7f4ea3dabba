package main

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
)

// schema names the shape of the JSON form. Fields may be added under the same
// name; a change of meaning gets another.
const schema = "enginebench/gate/1"

// Report is the outcome of a comparison, and what -format json prints.
type Report struct {
	Schema  string `json:"schema"`
	Verdict string `json:"verdict"` // "ok", "regression" or "cannot tell"
	Exit    int    `json:"exit"`
	Old     Side   `json:"old"`
	New     Side   `json:"new"`
	// Alpha is the probability of a false alarm in the whole comparison.
	Alpha float64 `json:"alpha"`
	// Labellings is in how many ways passes were called old and new; Exact:
	// these are all ways there are.
	Labellings  int          `json:"labellings"`
	Exact       bool         `json:"exact"`
	Changed     []Change     `json:"changed"` // configuration that differs and may
	Comparisons []Comparison `json:"comparisons"`
	Outputs     []Outputs    `json:"outputs"`    // with samples: same answers?
	NotJudged   []string     `json:"not-judged"` // units that were measured and not compared
	Problems    []string     `json:"problems"`   // what could not be compared, and why
	Warnings    []string     `json:"warnings"`   // doubts about what was
}

// Side is one of the two runs.
type Side struct {
	Name   string `json:"name"`
	Passes int    `json:"passes"`
}

// Change is a configuration key that differs between the sides.
type Change struct {
	Key string `json:"key"`
	Old string `json:"old"`
	New string `json:"new"`
}

// Verdicts of a comparison.
const (
	unchanged   = "unchanged" // no significant change beyond the threshold
	regression  = "regression"
	improvement = "improvement"
)

// Comparison is one unit of one cell. Values are medians over passes; of
// percents the mean, or the share of all requests. Numbers that do not exist
// are null.
type Comparison struct {
	Cell      string   `json:"cell"`
	Unit      string   `json:"unit"`
	Better    string   `json:"better"` // "higher" or "lower"
	Old       Estimate `json:"old"`
	New       Estimate `json:"new"`
	Delta     number   `json:"delta"`     // new/old - 1; of percents new - old, in points
	Threshold number   `json:"threshold"` // in the measure of delta
	// P is the p-value of the change in the direction it went, adjusted for the
	// whole comparison; 1 within the threshold.
	P number `json:"p"`
	// Resolves is the smallest worsening that would be significant, in the
	// measure of delta; null where none could be, or not known.
	Resolves number `json:"resolves"`
	By       string `json:"by"` // what was relabelled: "passes" or "requests"
	Verdict  string `json:"verdict"`
}

// Estimate is a value with its 95 % interval, null where there are too few
// passes for one.
type Estimate struct {
	Value number `json:"value"`
	Low   number `json:"low"`
	High  number `json:"high"`
	N     int    `json:"n"` // passes, or requests
}

// Outputs is how far the outputs of an engine are the same.
type Outputs struct {
	Engine    string `json:"engine"`
	Prompts   int    `json:"prompts"`   // answered on both sides
	Identical int    `json:"identical"` // of those, the same on both
	Unstable  int    `json:"unstable"`  // of those, one side alone answered in different ways
	Share     number `json:"share"`
	Minimum   number `json:"minimum"` // of -same-min; null: none asked for
	Verdict   string `json:"verdict"`
}

// number is a float64 that JSON shows as null where it is not finite.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

var noNumber = number(math.NaN())

// newReport is a report with empty lists, which JSON shows as such.
func newReport() *Report {
	return &Report{Schema: schema, Changed: []Change{}, Comparisons: []Comparison{}, Outputs: []Outputs{},
		NotJudged: []string{}, Problems: []string{}, Warnings: []string{}}
}

// problem and warn note a line each, once.
func (r *Report) problem(format string, args ...any) { r.Problems = note(r.Problems, format, args) }
func (r *Report) warn(format string, args ...any)    { r.Warnings = note(r.Warnings, format, args) }

func note(list []string, format string, args []any) []string {
	line := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	if slices.Contains(list, line) {
		return list
	}
	return append(list, line)
}

// of lists the comparisons with a verdict, the largest changes first.
func (r *Report) of(verdict string) []Comparison {
	var list []Comparison
	for _, c := range r.Comparisons {
		if c.Verdict == verdict {
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b Comparison) int {
		switch x, y := a.multiple(), b.multiple(); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return list
}

// multiple is the size of a change in thresholds: what percents and points have
// in common.
func (c Comparison) multiple() float64 {
	return math.Abs(float64(c.Delta)) / max(float64(c.Threshold), 1e-9)
}

// conclude sets the verdict. A regression that was found stays one, whatever
// else could not be compared.
func (r *Report) conclude() {
	found := len(r.of(regression)) > 0
	for _, o := range r.Outputs {
		found = found || o.Verdict == regression
	}
	switch {
	case found:
		r.Verdict, r.Exit = "regression", exitRegression
	case len(r.Problems) > 0:
		r.Verdict, r.Exit = "cannot tell", exitCannotTell
	default:
		r.Verdict, r.Exit = "ok", exitOK
	}
}
