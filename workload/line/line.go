// Package line writes what cells came to in Go's benchmark format, which
// benchstat and the tools of this project read: the last step of the pipeline
// before anything is decided.
//
//	Unit tokens/s better=higher
//	load: closed
//	vllm-version: 0.32.0
//	# vllm is vLLM 0.32.0, openai.completions, http://localhost:8000, prompts as token ids
//	BenchmarkServe/engine=vllm/concurrency=1-2     	       1	      7686 latency-ms	…
//
// A live run leaves the results themselves to package testing and gives it
// [Values]; a tool that has no benchmark running writes them by [Result], to
// the same bytes.
package line

import (
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"enginebench/workload"
)

// Name is the name of a cell's benchmark, with the suffix that package testing
// puts after it: "BenchmarkServe/engine=vllm/concurrency=32-2" where Go uses
// two cores.
func Name(engine, cell string) string {
	name := "BenchmarkServe/engine=" + engine + "/" + cell
	if procs := runtime.GOMAXPROCS(0); procs != 1 {
		name = fmt.Sprintf("%s-%d", name, procs)
	}
	return name
}

// Values are the metrics of a cell's line, by unit: the default set, or all.
func Values(m workload.Summary, all bool) map[string]float64 {
	values := map[string]float64{}
	for _, metric := range workload.Metrics {
		if v, ok := m.Metrics[metric.Unit]; ok && (all || !metric.All) {
			values[metric.Unit] = v
		}
	}
	return values
}

// Result is the line of one run of a cell, without its newline, as package
// testing prints it; name is padded to width.
func Result(name string, width int, values map[string]float64) string {
	return fmt.Sprintf("%-*s\t%s", width, name, testing.BenchmarkResult{N: 1, Extra: values})
}

// Notes are what is printed below a line: the reasons of a verdict that is not
// VALID, the warnings, and the findings, a line each.
func Notes(j workload.Judgement, warnings, findings []string) []string {
	var notes []string
	for _, reason := range j.Reasons {
		notes = append(notes, Flat(string(j.Verdict)+": "+reason))
	}
	for _, warning := range warnings {
		notes = append(notes, Flat("warning: "+warning))
	}
	for _, finding := range findings {
		notes = append(notes, Flat(finding))
	}
	return notes
}

// Failure is why an INVALID cell has no line, on one line.
func Failure(j workload.Judgement) string {
	return Flat(string(j.Verdict) + ": " + strings.Join(j.Reasons, "; "))
}

// Flat puts a text on one line, since a line break would end its place in the
// output.
func Flat(s string) string { return strings.Join(strings.Fields(s), " ") }

// Join is several errors in one, whose texts stand side by side and not, as
// those of [errors.Join], on a line each; nil where there are none.
func Join(all []error) error {
	if len(all) == 0 {
		return nil
	}
	errs, format := make([]any, len(all)), make([]string, len(all))
	for i, err := range all {
		errs[i], format[i] = err, "%w"
	}
	return fmt.Errorf(strings.Join(format, "; "), errs...)
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_./:=,@%+-]+$`)

// Quote quotes an argument for a POSIX shell, where it needs that.
func Quote(arg string) string {
	if plain.MatchString(arg) {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}
