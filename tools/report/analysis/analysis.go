// Package analysis turns runs into what a report says: cells by engine and load
// level, tables with differences, findings, and every doubt that travels with
// the numbers. It prints nothing; markdown, html, plot and export do.
package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"enginebench/tools/internal/results"
	"enginebench/tools/report/distribution"
	"enginebench/workload"
	"enginebench/workload/line"

	"golang.org/x/perf/benchfmt"
)

// Options say how results are read.
type Options struct {
	Labels   []Label  // titles; labelled engines come first, in this order
	Baseline string   // engine that differences are taken against; "": vllm if there, else the first
	Metrics  []string // units that get a table beside the default three; "all": every one
}

// Label is a title for an engine.
type Label struct{ Engine, Title string }

// Report is everything a report says.
type Report struct {
	Engines  []Engine
	Baseline int // index in Engines
	Groups   []*Group
	Settings []Setting // what all cells have in common, or the values they differ in
	Findings []string
	Doubts   []Doubt
	Notes    []string
	Same     []Same   // see [Report.CompareSets] and [Report.CompareEngines]
	Remarks  []string // "# …" lines of the runs
	Exact    bool     // values are exact, from samples, for every run

	units    benchfmt.UnitMetadataMap
	seen     values   // every unit that a run has
	metrics  []string // those with a table
	commands values   // "# command: …" lines
}

// Engine is one column.
type Engine struct {
	ID    string
	Title string
	Short string // the title's first word, or all of it where that tells no two engines apart
	// What the runs say about it, each value once.
	Version, Model, Server, Protocol, Dialect, Counts string
}

// Setting is a condition of the runs.
type Setting struct{ Name, Value string }

// Group is the cells of one kind of load level: they share tables and plots.
type Group struct {
	Kind   string // "concurrency", "wave", "rate"
	Title  string // of the levels' column: "Concurrency"
	Levels []results.Level
	cells  map[results.Cell]*Cell
}

// Cell is an engine at a level, over all its runs.
type Cell struct {
	Name     results.Cell
	Runs     []*results.Run
	Failures []results.Failure
	Samples  *distribution.Cell // nil without samples
}

// Cell finds a cell; nil if it was neither measured nor failed.
func (g *Group) Cell(engine string, level results.Level) *Cell {
	return g.cells[results.Cell{Engine: engine, Level: level}]
}

// Stat is a metric of a cell over its runs.
type Stat struct {
	Median, Min, Max float64
	Values           []float64 // ascending
}

// N is the number of runs.
func (s Stat) N() int { return len(s.Values) }

// Stat summarises a unit over the cell's runs; ok is false where no run has a
// finite value of it. A nil cell has none.
func (c *Cell) Stat(unit string) (s Stat, ok bool) {
	if c == nil {
		return Stat{}, false
	}
	for _, run := range c.Runs {
		if v, has := run.Result.Value(unit); has && !math.IsNaN(v) && !math.IsInf(v, 0) {
			s.Values = append(s.Values, v)
		}
	}
	if len(s.Values) == 0 {
		return Stat{}, false
	}
	slices.Sort(s.Values)
	n := len(s.Values)
	s.Median = (s.Values[(n-1)/2] + s.Values[n/2]) / 2
	s.Min, s.Max = s.Values[0], s.Values[len(s.Values)-1]
	return s, true
}

// New reads inputs, and samples where there are any (nil otherwise). At least
// one cell must have been measured.
func New(inputs []*results.Input, samples *distribution.Set, opts Options) (*Report, error) {
	r := &Report{units: benchfmt.UnitMetadataMap{}}
	runs, failures, err := r.gather(inputs)
	if err != nil {
		return nil, err
	}
	if samples != nil {
		r.match(runs, samples)
	}
	r.group(runs, failures, samples)
	if err := r.nameEngines(runs, failures, samples, opts); err != nil {
		return nil, err
	}
	if err := r.chooseMetrics(runs, opts.Metrics); err != nil {
		return nil, err
	}
	r.settings(runs)
	r.findings(runs, samples)
	r.doubts(inputs, runs, failures, samples)
	return r, nil
}

// match finds the runs' records. Where all runs of a cell have theirs, what
// else the samples hold of it is of other runs, and is left out.
func (r *Report) match(runs []*results.Run, samples *distribution.Set) {
	matched := results.Match(runs, samples.Records)
	r.Exact = matched == len(runs)
	if !r.Exact {
		r.noteUnmatched(matched, len(runs))
	}
	kept, whole := map[*workload.RunRecord]bool{}, map[results.Cell]bool{}
	for _, run := range runs {
		kept[run.Record] = true
		if _, seen := whole[run.Cell]; !seen || run.Record == nil {
			whole[run.Cell] = run.Record != nil
		}
	}
	for _, record := range samples.Records {
		if record.Verdict == workload.Invalid {
			kept[record] = true // it has no line, and its reasons are doubts
		}
	}
	forgotten := 0
	for cell, whole := range whole {
		if whole {
			forgotten += samples.Restrict(cell, kept)
		}
	}
	if forgotten > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("The samples hold %s that the benchmark output does not; they are left out.", plural(forgotten, "more run")))
	}
}

// gather pools the inputs' runs: cells of one benchmark, of one name.
func (r *Report) gather(inputs []*results.Input) (runs []*results.Run, failures []results.Failure, err error) {
	bases := map[string]int{}
	var names []string
	for _, in := range inputs {
		for key, meta := range in.Units {
			if r.units[key] == nil {
				r.units[key] = meta
			}
		}
		for _, run := range in.Runs {
			base := string(run.Result.Name.Base())
			if bases[base]++; bases[base] == 1 {
				names = append(names, base)
			}
		}
		failures = append(failures, in.Failures...)
		for _, remark := range in.Remarks {
			if command, ok := strings.CutPrefix(remark, results.CommandRemark); ok {
				r.commands.add(command)
			} else if !slices.Contains(r.Remarks, remark) {
				r.Remarks = append(r.Remarks, remark)
			}
		}
	}
	if len(names) == 0 {
		if len(failures) > 0 {
			return nil, nil, fmt.Errorf("nothing to report: every cell failed, the first is %s (%s)", failures[0].Cell, line.Flat(strings.Join(failures[0].Log, "; ")))
		}
		return nil, nil, fmt.Errorf("nothing to report: no cell in %s; want lines such as BenchmarkServe/engine=vllm/concurrency=32", inputNames(inputs))
	}
	base := names[0]
	if bases["Serve"] > 0 {
		base = "Serve"
	}
	for _, in := range inputs {
		for _, run := range in.Runs {
			if string(run.Result.Name.Base()) == base {
				runs = append(runs, run)
			}
		}
	}
	for _, name := range names {
		if name != base {
			r.Notes = append(r.Notes, fmt.Sprintf("Benchmark%s is left out (%d lines): this report is about Benchmark%s.", name, bases[name], base))
		}
	}
	return runs, failures, nil
}

func inputNames(inputs []*results.Input) string {
	var names []string
	for _, in := range inputs {
		names = append(names, in.Name)
	}
	if len(names) == 0 {
		return "the input"
	}
	return strings.Join(names, ", ")
}

func (r *Report) group(runs []*results.Run, failures []results.Failure, samples *distribution.Set) {
	groups := map[string]*Group{}
	cell := func(name results.Cell) *Cell {
		g := groups[name.Level.Kind]
		if g == nil {
			g = &Group{Kind: name.Level.Kind, Title: results.LevelKinds[name.Level.Kind], cells: map[results.Cell]*Cell{}}
			groups[name.Level.Kind] = g
			r.Groups = append(r.Groups, g)
		}
		c := g.cells[name]
		if c == nil {
			c = &Cell{Name: name, Samples: samples.Cell(name)}
			g.cells[name] = c
			if !slices.Contains(g.Levels, name.Level) {
				g.Levels = append(g.Levels, name.Level)
			}
		}
		return c
	}
	for _, run := range runs {
		c := cell(run.Cell)
		c.Runs = append(c.Runs, run)
	}
	for _, failure := range failures {
		c := cell(failure.Cell)
		c.Failures = append(c.Failures, failure)
	}
	for _, g := range r.Groups {
		slices.SortFunc(g.Levels, results.Level.Compare)
	}
	slices.SortFunc(r.Groups, func(a, b *Group) int { return cmp.Compare(a.Kind, b.Kind) })
}

func (r *Report) nameEngines(runs []*results.Run, failures []results.Failure, samples *distribution.Set, opts Options) error {
	var ids []string
	see := func(id string) {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, run := range runs {
		see(run.Cell.Engine)
	}
	for _, failure := range failures {
		see(failure.Cell.Engine)
	}
	rank := func(id string) int {
		if i := slices.IndexFunc(opts.Labels, func(l Label) bool { return l.Engine == id }); i >= 0 {
			return i
		}
		return len(opts.Labels)
	}
	slices.SortStableFunc(ids, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	words := map[string]int{}
	for _, id := range ids {
		e := Engine{ID: id, Title: id}
		if i := rank(id); i < len(opts.Labels) {
			e.Title = opts.Labels[i].Title
		}
		e.Short, _, _ = strings.Cut(e.Title, " ")
		words[e.Short]++
		r.Engines = append(r.Engines, e)
	}
	for i := range r.Engines {
		e := &r.Engines[i]
		if words[e.Short] > 1 {
			e.Short = e.Title
		}
		r.describe(e, runs, samples)
	}
	for _, label := range opts.Labels {
		if !slices.Contains(ids, label.Engine) {
			r.Notes = append(r.Notes, fmt.Sprintf("-label names the engine %s, which has no cell here.", label.Engine))
		}
	}
	baseline := opts.Baseline
	if baseline == "" && slices.Contains(ids, "vllm") {
		baseline = "vllm"
	}
	if baseline == "" {
		return nil
	}
	if r.Baseline = slices.Index(ids, baseline); r.Baseline < 0 {
		return fmt.Errorf("-baseline=%s: no cell of that engine; there are %s", baseline, strings.Join(ids, ", "))
	}
	return nil
}

// describe collects what lines and records say about an engine.
func (r *Report) describe(e *Engine, runs []*results.Run, samples *distribution.Set) {
	var version, model, server, protocol, dialect, counts values
	for _, run := range runs {
		version.add(condition(run, e.ID+"-version"))
		model.add(condition(run, e.ID+"-model"))
	}
	if samples != nil {
		for _, record := range samples.Records {
			if record.Engine == e.ID {
				version.add(record.Info.Version)
				model.add(record.Info.Model)
				server.add(record.Info.Server)
				protocol.add(record.Info.Protocol)
				dialect.add(record.Info.Dialect)
				counts.add(record.Info.Counts)
			}
		}
	}
	e.Version, e.Model, e.Server = version.String(), model.String(), server.String()
	e.Protocol, e.Dialect, e.Counts = protocol.String(), dialect.String(), counts.String()
}

// values is a list of texts, each once.
type values []string

func (v *values) add(s string) {
	if s != "" && !slices.Contains(*v, s) {
		*v = append(*v, s)
	}
}

func (v values) String() string { return strings.Join(v, ", ") }

// Better is +1 where higher values of unit are better, -1 where lower ones are,
// 0 where nobody says.
func (r *Report) Better(unit string) int { return results.Better(r.units, unit) }

// Engine finds an engine by its id.
func (r *Report) Engine(id string) *Engine {
	for i := range r.Engines {
		if r.Engines[i].ID == id {
			return &r.Engines[i]
		}
	}
	return nil
}

// Definition is a unit's definition in a sentence, "" for a unit that is not of
// this project.
func Definition(unit string) string {
	for _, m := range workload.Metrics {
		if m.Unit == unit {
			return m.Text
		}
	}
	return ""
}
