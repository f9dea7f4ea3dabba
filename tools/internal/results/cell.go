package results

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// LevelKinds are the keys that name a load level in a benchmark's name, with
// the title of a table's column. One run has one kind.
var LevelKinds = map[string]string{
	"concurrency": "Concurrency",         // closed loop: requests always in flight
	"wave":        "Concurrency (waves)", // waves: requests sent at once
	"rate":        "Rate (requests/s)",   // open loop
}

// Level is a load level: what is varied between the cells of one engine.
type Level struct {
	Kind  string // a key of LevelKinds
	Value string // as it was written: "32", "0.5"
}

// String is the level as names write it: "concurrency=32".
func (l Level) String() string { return l.Kind + "=" + l.Value }

// Number is the level's value, NaN where it is not a number.
func (l Level) Number() float64 {
	n, err := strconv.ParseFloat(l.Value, 64)
	if err != nil {
		return nan
	}
	return n
}

// Compare orders levels by kind, then by number, then by text.
func (l Level) Compare(other Level) int {
	return cmp.Or(cmp.Compare(l.Kind, other.Kind), cmp.Compare(l.Number(), other.Number()), cmp.Compare(l.Value, other.Value))
}

// ParseLevel reads "concurrency=32", as benchmark names and samples write it.
func ParseLevel(s string) (Level, error) {
	kind, value, ok := strings.Cut(s, "=")
	if _, known := LevelKinds[kind]; !ok || !known || value == "" {
		return Level{}, fmt.Errorf("parse load level %q: want concurrency=, wave= or rate= and a value", s)
	}
	return Level{Kind: kind, Value: value}, nil
}

// Cell names what is measured: an engine at a load level.
type Cell struct {
	Engine string
	Level  Level
}

// String is the cell as a benchmark's name writes it: "engine=vllm/concurrency=32".
func (c Cell) String() string { return "engine=" + c.Engine + "/" + c.Level.String() }

// ParseName finds the cell in a benchmark's name, with or without "Benchmark"
// and the GOMAXPROCS suffix. ok is false for a benchmark that is not a cell:
// one that has no engine= or level part, or any other part.
func ParseName(name string) (cell Cell, ok bool) {
	base, parts := benchfmt.Name(strings.TrimPrefix(name, "Benchmark")).Parts()
	if len(base) == 0 {
		return Cell{}, false
	}
	for _, part := range parts {
		text := string(part)
		if strings.HasPrefix(text, "-") {
			continue // GOMAXPROCS
		}
		text = strings.TrimPrefix(text, "/")
		if engine, found := strings.CutPrefix(text, "engine="); found && cell.Engine == "" {
			cell.Engine = engine
			continue
		}
		level, err := ParseLevel(text)
		if err != nil || cell.Level.Kind != "" {
			return Cell{}, false
		}
		cell.Level = level
	}
	return cell, cell.Engine != "" && cell.Level.Kind != ""
}
