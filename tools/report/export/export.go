// Package export writes a report for other tools: as JSON and CSV of our own,
// and, from samples, in the schemas of `vllm bench serve` and AIPerf. Each
// states the definition of what it carries, since one name has many meanings
// among these tools.
package export

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"

	"enginebench/tools/report/analysis"
)

// Formats are the formats beside Markdown.
var Formats = []string{"json", "csv", "vllm", "aiperf"}

// NeedsSamples says that a format cannot be made from benchmark lines.
func NeedsSamples(format string) bool { return format == "vllm" || format == "aiperf" }

// Schema is the value of "schema" in our JSON; a change that breaks readers
// changes it.
const Schema = "enginebench-report/1"

type document struct {
	Schema      string                `json:"schema"`
	Definitions map[string]definition `json:"definitions"` // by unit
	Baseline    string                `json:"baseline"`
	Engines     []engine              `json:"engines"`
	Settings    []setting             `json:"settings"`
	Exact       bool                  `json:"exact"` // false: values have the four digits that go test prints
	Cells       []cell                `json:"cells"`
	Differences []difference          `json:"differences"`
	Same        []same                `json:"same_outputs,omitempty"`
	Findings    []string              `json:"findings"`
	Doubts      []string              `json:"doubts"`
	Notes       []string              `json:"notes"`
}

type definition struct {
	Text   string `json:"text,omitempty"`
	Better string `json:"better,omitempty"` // "higher" or "lower"
}

type engine struct {
	Name     string `json:"name"`
	Title    string `json:"title"`
	Version  string `json:"version,omitempty"`
	Model    string `json:"model,omitempty"`
	Server   string `json:"server,omitempty"`
	Protocol string `json:"protocol,omitempty"`
	Dialect  string `json:"dialect,omitempty"`
}

type setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type cell struct {
	Engine   string          `json:"engine"`
	Kind     string          `json:"kind"`
	Level    string          `json:"level"`
	Runs     int             `json:"runs"`
	Failures []string        `json:"failures,omitempty"`
	Requests int             `json:"requests,omitempty"` // measured ones, in samples
	Findings []string        `json:"findings,omitempty"` // what its runs found, each as they said it
	Metrics  map[string]stat `json:"metrics"`            // by unit
}

type stat struct {
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	Values []float64 `json:"values"` // ascending, one a run
}

type difference struct {
	Kind        string   `json:"kind"`
	Level       string   `json:"level"`
	Unit        string   `json:"unit"`
	Engine      string   `json:"engine"` // against the baseline
	Better      string   `json:"better"` // who is
	Percent     float64  `json:"percent"`
	P           *float64 `json:"p,omitempty"` // absent: single runs, not tested
	Significant bool     `json:"significant"`
}

type same struct {
	What      string `json:"what"`
	Both      int    `json:"both"`
	Identical int    `json:"identical"`
	Unstable  int    `json:"unstable"`
}

// JSON writes the report as one JSON object.
func JSON(w io.Writer, r *analysis.Report) error {
	doc := document{Schema: Schema, Definitions: map[string]definition{}, Baseline: r.Engines[r.Baseline].ID, Exact: r.Exact,
		Cells: []cell{}, Differences: []difference{}, Findings: orEmpty(r.Findings), Doubts: []string{}, Notes: orEmpty(r.Notes)}
	for _, unit := range r.Units() {
		doc.Definitions[unit] = definition{analysis.Definition(unit), direction(r.Better(unit))}
	}
	for _, e := range r.Engines {
		doc.Engines = append(doc.Engines, engine{e.ID, e.Title, e.Version, e.Model, e.Server, e.Protocol, e.Dialect})
	}
	for _, s := range r.Settings {
		doc.Settings = append(doc.Settings, setting(s))
	}
	for _, d := range r.Doubts {
		doc.Doubts = append(doc.Doubts, d.String())
	}
	for _, s := range r.Same {
		doc.Same = append(doc.Same, same{s.What, s.Both, s.Identical, s.Unstable})
	}
	each(r, func(g *analysis.Group, c *analysis.Cell) { doc.Cells = append(doc.Cells, toCell(r, g, c)) })
	doc.Differences = append(doc.Differences, differences(r)...)
	return encode(w, doc)
}

// each visits every cell, by kind, level and engine.
func each(r *analysis.Report, visit func(*analysis.Group, *analysis.Cell)) {
	for _, g := range r.Groups {
		for _, level := range g.Levels {
			for _, e := range r.Engines {
				if c := g.Cell(e.ID, level); c != nil {
					visit(g, c)
				}
			}
		}
	}
}

func toCell(r *analysis.Report, g *analysis.Group, c *analysis.Cell) cell {
	out := cell{Engine: c.Name.Engine, Kind: g.Kind, Level: c.Name.Level.Value, Runs: len(c.Runs), Metrics: map[string]stat{}}
	for _, f := range c.Failures {
		out.Failures = append(out.Failures, strings.Join(f.Log, "; "))
	}
	if c.Samples != nil {
		out.Requests = c.Samples.All.Measured
	}
	for _, run := range c.Runs {
		said := run.Findings()
		if run.Record != nil {
			said = slices.Concat(said, run.Record.Findings)
		}
		for _, text := range said {
			if !slices.Contains(out.Findings, text) {
				out.Findings = append(out.Findings, text)
			}
		}
	}
	for _, unit := range r.Units() {
		if s, ok := c.Stat(unit); ok {
			out.Metrics[unit] = stat{s.Median, s.Min, s.Max, s.Values}
		}
	}
	return out
}

func differences(r *analysis.Report) []difference {
	var list []difference
	for _, g := range r.Groups {
		for _, unit := range r.Units() {
			for _, level := range g.Levels {
				for i, e := range r.Engines {
					d := r.Difference(g, level, unit, i)
					if i == r.Baseline || !d.Known {
						continue
					}
					out := difference{g.Kind, level.Value, unit, e.ID, d.Ahead.ID, d.Percent, nil, d.Significant}
					if d.Tested {
						out.P = &d.Comparison.P
					}
					list = append(list, out)
				}
			}
		}
	}
	return list
}

func direction(better int) string {
	switch {
	case better > 0:
		return "higher"
	case better < 0:
		return "lower"
	}
	return ""
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// CSV writes a row for each cell and unit, with the unit's definition in it.
func CSV(w io.Writer, r *analysis.Report) error {
	out := csv.NewWriter(w)
	rows := [][]string{{"engine", "title", "kind", "level", "unit", "better", "runs", "median", "min", "max", "definition"}}
	each(r, func(g *analysis.Group, c *analysis.Cell) {
		for _, unit := range r.Units() {
			s, ok := c.Stat(unit)
			if !ok {
				continue
			}
			rows = append(rows, []string{c.Name.Engine, r.Title(c.Name.Engine), g.Kind, c.Name.Level.Value, unit, direction(r.Better(unit)),
				strconv.Itoa(s.N()), exact(s.Median), exact(s.Min), exact(s.Max), analysis.Definition(unit)})
		}
	})
	return out.WriteAll(rows)
}

func exact(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
