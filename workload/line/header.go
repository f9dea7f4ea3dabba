package line

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"enginebench/engines"
	"enginebench/workload"
)

// Header is what stands before the results of an invocation.
type Header struct {
	workload.Conditions
	Engines []Engine
	Notes   []string // for people
}

// Engine is an engine that results are of.
type Engine struct {
	Name string
	Info engines.Info
	From string // where its replies come from: its URL, or recordings of when
}

// WriteUnits writes which direction of each unit is better. It stands once,
// before everything else.
func WriteUnits(w io.Writer) {
	for _, m := range workload.Metrics {
		fmt.Fprintf(w, "Unit %s better=%s\n", m.Unit, map[int]string{+1: "higher", -1: "lower"}[m.Better])
	}
}

// Write writes the configuration as benchstat reads it, and lines for people,
// which it passes over.
func (h Header) Write(w io.Writer) {
	for _, pair := range h.Configuration() {
		fmt.Fprintf(w, "%s: %s\n", pair[0], pair[1])
	}
	for _, e := range h.Engines {
		fmt.Fprintf(w, "# %s\n", e.line())
		for _, warning := range e.Info.Warnings {
			fmt.Fprintf(w, "# %s: %s\n", e.Name, Flat(warning))
		}
	}
	for _, note := range h.Notes {
		fmt.Fprintf(w, "# %s\n", Flat(note))
	}
}

// Configuration is the keys and values that say under what conditions the
// results hold. Differing values split benchstat's tables, so there are few.
func (h Header) Configuration() [][2]string {
	lines := [][2]string{
		{"load", h.Load}, {"prompts", h.Prompts},
		{"output-tokens", strconv.Itoa(h.OutputTokens)}, {"seed", strconv.FormatUint(h.Seed, 10)},
	}
	for _, e := range h.Engines {
		if e.Info.Version != "" {
			lines = append(lines, [2]string{e.Name + "-version", Flat(e.Info.Version)})
		}
		if e.Info.Model != "" {
			lines = append(lines, [2]string{e.Name + "-model", Flat(e.Info.Model)})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(h.Describe)) {
		lines = append(lines, [2]string{key, Flat(h.Describe[key])})
	}
	return lines
}

// line names an engine for people: what runs, where, and how it is spoken to.
func (e Engine) line() string {
	is := e.Name + " is " + e.Info.Server
	if e.Info.Version != "" && !strings.Contains(e.Info.Server, e.Info.Version) {
		is += " " + e.Info.Version
	}
	parts := []string{is, e.Info.Dialect, e.From}
	switch {
	case e.Info.TakesTokens:
		parts = append(parts, "prompts as token ids")
	default:
		parts = append(parts, "prompts as text")
	}
	if !e.Info.ForcesOutput {
		parts = append(parts, "output lengths are its own")
	}
	if e.Info.Counts == "" {
		parts = append(parts, "no token counts: go tool recompute -tokenizer counts recordings")
	}
	return Flat(strings.Join(parts, ", "))
}
