package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"

	"golang.org/x/perf/benchmath"
	"golang.org/x/perf/benchunit"
)

// printers are the values of -format.
var printers = map[string]func(io.Writer, *Report) error{
	"text":     printText,
	"markdown": printMarkdown,
	"json":     printJSON,
	"github":   printGitHub,
}

func printJSON(w io.Writer, r *Report) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}

// byUnit calls f with the comparisons of each unit, in order.
func (r *Report) byUnit(f func(unit string, list []Comparison)) {
	for rest := r.Comparisons; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Unit == rest[0].Unit {
			n++
		}
		f(rest[0].Unit, rest[:n])
		rest = rest[n:]
	}
}

// values are old and new as benchstat shows them: scaled alike, with the
// interval.
func (c Comparison) values() (old, new string) {
	scaler := benchunit.CommonScale([]float64{float64(c.Old.Value), float64(c.New.Value)}, benchunit.ClassOf(c.Unit))
	show := func(e Estimate) string {
		text := scaler.Format(float64(e.Value))
		if c.By == "requests" {
			return fmt.Sprintf("%s%% of %d", text, e.N)
		}
		if math.IsNaN(float64(e.Low)) {
			return text
		}
		return text + " ± " + benchmath.Summary{Center: float64(e.Value), Lo: float64(e.Low), Hi: float64(e.High)}.PctRangeString()
	}
	return show(c.Old), show(c.New)
}

// change is the delta: "-11.40%", or "-2.50 points".
func (c Comparison) change() string {
	if math.IsNaN(float64(c.Delta)) || math.IsInf(float64(c.Delta), 0) {
		return "?"
	}
	if inPoints(c.Unit) {
		return fmt.Sprintf("%+.2f points", float64(c.Delta))
	}
	return fmt.Sprintf("%+.2f%%", 100*float64(c.Delta))
}

// size shows a threshold or a resolution of the comparison's unit.
func (c Comparison) size(n number) string {
	switch {
	case math.IsNaN(float64(n)) || math.IsInf(float64(n), 0):
		return "any size"
	case inPoints(c.Unit):
		if n == 1 {
			return "1 point"
		}
		return fmt.Sprintf("%.3g points", float64(n))
	}
	return fmt.Sprintf("%.3g%%", 100*float64(n))
}

// p is the p-value where the change is beyond the threshold.
func (c Comparison) p() string {
	switch {
	case c.P >= 1:
		return ""
	case c.P < 0.001:
		return "<0.001"
	}
	return fmt.Sprintf("%.3f", float64(c.P))
}

// flag is the verdict as a table shows it.
func (c Comparison) flag() string {
	switch c.Verdict {
	case regression:
		return "REGRESSION"
	case improvement:
		return "better"
	}
	return ""
}

// heading says of a unit what is compared and what could be seen.
func heading(list []Comparison) string {
	first, coarse := list[0], list[0]
	for _, c := range list {
		if float64(c.Resolves) > float64(coarse.Resolves) {
			coarse = c
		}
	}
	text := fmt.Sprintf("%s is better, a change within %s is none", first.Better, first.size(first.Threshold))
	if r := float64(coarse.Resolves); !math.IsNaN(r) && !math.IsInf(r, 0) && coarse.Resolves > coarse.Threshold {
		text += fmt.Sprintf("; the noise hides less than %s (%s)", coarse.size(coarse.Resolves), coarse.Cell)
	}
	return text
}

// scope says how much was compared.
func (r *Report) scope() string {
	if len(r.Comparisons) == 0 {
		return "nothing compared"
	}
	units := 0
	cells := map[string]bool{}
	r.byUnit(func(string, []Comparison) { units++ })
	for _, c := range r.Comparisons {
		cells[c.Cell] = true
	}
	text := fmt.Sprintf("%s of %s in %s, %d old and %d new passes, at most %g%% false alarms",
		count(len(r.Comparisons), "comparison"), count(units, "unit"), count(len(cells), "cell"), r.Old.Passes, r.New.Passes, 100*r.Alpha)
	switch {
	case r.Labellings > 0 && r.Exact:
		text += fmt.Sprintf(" (all %d ways to call passes old and new)", r.Labellings)
	case r.Labellings > 0:
		text += fmt.Sprintf(" (%d random ways to call passes old and new)", r.Labellings)
	}
	return text
}

func count(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "s"):
		return fmt.Sprintf("%d %ses", n, noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// conclusion is the verdict in one sentence.
func (r *Report) conclusion() string {
	list, better := r.of(regression), len(r.of(improvement))
	var parts []string
	if len(list) > 0 {
		cells := map[string]bool{}
		for _, c := range list {
			cells[c.Cell] = true
		}
		parts = append(parts, fmt.Sprintf("%s in %s", count(len(list), "regression"), count(len(cells), "cell")))
	}
	for _, o := range r.Outputs {
		if o.Verdict == regression {
			parts = append(parts, o.Engine+" answers differently")
		}
	}
	if len(r.Problems) > 0 {
		parts = append(parts, count(len(r.Problems), "problem"))
	}
	if len(parts) == 0 {
		parts = append(parts, "nothing got worse")
	}
	if better > 0 {
		parts = append(parts, count(better, "improvement"))
	}
	return strings.Join(parts, "; ")
}

// sentence says how alike the outputs of an engine are.
func (o Outputs) sentence() string {
	if math.IsNaN(float64(o.Share)) {
		return o.Engine + ": no prompt was answered on both sides with outputs to compare"
	}
	text := fmt.Sprintf("%s: %.2f%% of outputs are the same, %d of %d prompts", o.Engine, 100*float64(o.Share), o.Identical, o.Prompts)
	if o.Unstable > 0 {
		text += fmt.Sprintf(" (%d were answered in different ways on one side alone)", o.Unstable)
	}
	if !math.IsNaN(float64(o.Minimum)) {
		text += fmt.Sprintf("; wanted at least %g%%", 100*float64(o.Minimum))
	}
	return text
}

// sentence is a comparison in one line: what annotations say.
func (c Comparison) sentence() string {
	old, new := c.values()
	return fmt.Sprintf("%s of %s: %s → %s, %s (p=%s)", c.Unit, c.Cell, old, new, c.change(), c.p())
}
