package enginebench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"enginebench/workload"
)

// header writes what stands before the results: the direction of each unit,
// the configuration as benchstat reads it, and lines for people, which it
// passes over.
func (s *session) header(w io.Writer) {
	for _, m := range workload.Metrics {
		fmt.Fprintf(w, "Unit %s better=%s\n", m.Unit, map[int]string{+1: "higher", -1: "lower"}[m.Better])
	}
	for _, line := range s.configuration() {
		fmt.Fprintf(w, "%s: %s\n", line[0], line[1])
	}
	for _, t := range s.targets {
		fmt.Fprintf(w, "# %s\n", t.line())
		for _, warning := range t.info.Warnings {
			fmt.Fprintf(w, "# %s: %s\n", t.name, flat(warning))
		}
	}
	for _, note := range s.notes {
		fmt.Fprintf(w, "# %s\n", flat(note))
	}
}

// configuration is the keys and values that say under what conditions the
// results hold. Differing values split benchstat's tables, so there are few.
func (s *session) configuration() [][2]string {
	common := s.common()
	lines := [][2]string{
		{"load", common.Load}, {"prompts", common.Prompts},
		{"output-tokens", strconv.Itoa(common.OutputTokens)}, {"seed", strconv.FormatUint(common.Seed, 10)},
	}
	for _, t := range s.targets {
		if t.info.Version != "" {
			lines = append(lines, [2]string{t.name + "-version", flat(t.info.Version)})
		}
		if t.info.Model != "" {
			lines = append(lines, [2]string{t.name + "-model", flat(t.info.Model)})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(common.Describe)) {
		lines = append(lines, [2]string{key, flat(common.Describe[key])})
	}
	return lines
}

// line names a target for people: what runs, where, and how it is spoken to.
func (t *target) line() string {
	parts := []string{t.name + " is " + t.info.Server}
	if t.info.Version != "" && !strings.Contains(t.info.Server, t.info.Version) {
		parts[0] += " " + t.info.Version
	}
	parts = append(parts, t.info.Dialect)
	if t.url != "" {
		parts = append(parts, t.url)
	} else {
		parts = append(parts, "replayed from recordings of "+t.cells[0].recorded.Header.When.UTC().Format("2006-01-02"))
	}
	switch {
	case t.info.TakesTokens:
		parts = append(parts, "prompts as token ids")
	default:
		parts = append(parts, "prompts as text")
	}
	if !t.info.ForcesOutput {
		parts = append(parts, "output lengths are its own")
	}
	if t.info.Counts == "" {
		parts = append(parts, "no token counts: go tool recompute -tokenizer counts recordings")
	}
	return flat(strings.Join(parts, ", "))
}

func flat(s string) string { return strings.Join(strings.Fields(s), " ") }
