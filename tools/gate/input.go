package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"enginebench/tools/internal/results"
	"enginebench/workload/line"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchproc"
)

// data is the inputs, sorted into what is compared with what.
type data struct {
	sides     [2]string // names of old and new
	rows      []*row
	passes    [2]int
	unitMeta  [2]benchfmt.UnitMetadataMap
	projected []string // keys that tell rows and columns apart
	seen      []string // units, before the filter, in order
	keysSeen  []string // configuration keys, before the filter, sorted
	failed    [2][]results.Cell
	inputs    []input
	filter    *benchproc.Filter
	printed   map[*results.Run]printed
}

// row is one cell on both sides.
type row struct {
	name  string
	cells [2]results.Cell
	runs  [2][]*results.Run // a run a pass
}

// input is one file and what to call it.
type input struct {
	*results.Input
	label string
	data  []byte
}

// projections tell cells and sides apart, in benchstat's language.
type projections struct {
	filter   *benchproc.Filter
	row, col *benchproc.Projection
}

func (o *options) projections() (p projections, err error) {
	if p.filter, err = benchproc.NewFilter(o.filter); err != nil {
		return p, fmt.Errorf("parse -filter %q: %w", o.filter, err)
	}
	var parser benchproc.ProjectionParser
	if p.row, err = parser.Parse(o.row, p.filter); err != nil {
		return p, fmt.Errorf("parse -row %q: %w", o.row, err)
	}
	if p.col, err = parser.Parse(o.col, p.filter); err != nil {
		return p, fmt.Errorf("parse -col %q: %w", o.col, err)
	}
	return p, nil
}

// load reads the inputs and sorts their runs. An error means that nothing can
// be compared; problems with single cells go to the report.
func load(opts options, stdin io.Reader, report *Report) (*data, error) {
	p, err := opts.projections()
	if err != nil {
		return nil, err
	}
	inputs, err := readAll(opts.paths, stdin)
	if err != nil {
		return nil, err
	}
	d := &data{inputs: inputs, filter: p.filter, printed: map[*results.Run]printed{}}
	for _, projection := range []*benchproc.Projection{p.row, p.col} {
		for _, field := range projection.FlattenedFields() {
			d.projected = append(d.projected, field.Name)
		}
	}
	if err := d.sort(inputs, p); err != nil {
		return nil, err
	}
	for _, in := range inputs {
		d.failures(in, p, report)
		if len(in.Foreign) > 0 {
			report.warn("%s: left out, no cells of an engine: %s", in.label, strings.Join(in.Foreign, ", "))
		}
	}
	return d, nil
}

func readAll(paths []string, stdin io.Reader) ([]input, error) {
	var inputs []input
	for i, path := range paths {
		label, file, labelled := strings.Cut(path, "=")
		if !labelled {
			label, file = path, path
			if slices.Index(paths, path) != i || slices.Contains(paths[i+1:], path) {
				label = fmt.Sprintf("%s#%d", path, i) // a file against itself
			}
		}
		in, err := read(file, stdin)
		if err != nil {
			return nil, err
		}
		in.label = label
		inputs = append(inputs, in)
	}
	return inputs, nil
}

// read reads a file and refuses what is not the whole output of a run.
func read(path string, stdin io.Reader) (in input, err error) {
	if path == "-" {
		in.data, err = io.ReadAll(stdin)
	} else {
		in.data, err = os.ReadFile(path)
	}
	if err != nil {
		return in, fmt.Errorf("read benchmark output: %w", err)
	}
	if in.Input, err = results.Read(path, bytes.NewReader(in.data)); err != nil {
		return in, err
	}
	switch {
	case len(bytes.TrimSpace(in.data)) == 0:
		return in, fmt.Errorf("%s is empty; want the output of go test -bench", path)
	case len(in.Runs) == 0 && len(in.Failures) > 0:
		return in, fmt.Errorf("%s: no cell was measured: %s", path, reason(in.Failures[0]))
	case len(in.Runs) == 0 && len(in.Foreign) > 0:
		return in, fmt.Errorf("%s: no cell of an engine among its benchmarks (%s, …); want BenchmarkServe/engine=…/concurrency=…", path, in.Foreign[0])
	case len(in.Runs) == 0:
		return in, fmt.Errorf("%s: no benchmark result in it; want the output of go test -bench", path)
	case in.CutOff() != "":
		return in, fmt.Errorf("%s %s", path, in.CutOff())
	}
	return in, nil
}

// sort sorts the runs of all inputs into rows and sides.
func (d *data) sort(inputs []input, p projections) error {
	type group struct{ row, col benchproc.Key }
	groups := map[group][]*results.Run{}
	metadata := map[benchproc.Key]benchfmt.UnitMetadataMap{}
	var rows, cols []benchproc.Key
	for _, in := range inputs {
		for _, run := range in.Runs {
			run.Result.SetConfig(".file", in.label)
			for _, v := range run.Result.Values {
				if !slices.Contains(d.seen, v.Unit) {
					d.seen = append(d.seen, v.Unit)
				}
			}
			for _, c := range run.Result.Config {
				if c.File && !slices.Contains(d.keysSeen, c.Key) {
					d.keysSeen = append(d.keysSeen, c.Key)
				}
			}
			d.printed[run] = printedOf(run)
			if keep, err := p.filter.Apply(run.Result); err != nil {
				return fmt.Errorf("apply -filter: %w", err)
			} else if !keep {
				continue
			}
			g := group{p.row.Project(run.Result), p.col.Project(run.Result)}
			if !slices.Contains(rows, g.row) {
				rows = append(rows, g.row)
			}
			if !slices.Contains(cols, g.col) {
				cols = append(cols, g.col)
			}
			groups[g] = append(groups[g], run)
			metadata[g.col] = in.Units
		}
	}
	slices.Sort(d.keysSeen)
	benchproc.SortKeys(rows)
	benchproc.SortKeys(cols)
	if len(cols) != 2 {
		return wrongColumns(inputs, cols)
	}
	name := namer(rows)
	for side, col := range cols {
		d.sides[side], d.unitMeta[side] = col.StringValues(), metadata[col]
	}
	for _, key := range rows {
		r := &row{name: name(key)}
		for side, col := range cols {
			r.runs[side] = groups[group{key, col}]
			d.passes[side] = max(d.passes[side], len(r.runs[side]))
			if len(r.runs[side]) > 0 {
				r.cells[side] = r.runs[side][0].Cell
			}
		}
		d.rows = append(d.rows, r)
	}
	return nil
}

func wrongColumns(inputs []input, cols []benchproc.Key) error {
	var names []string
	for _, col := range cols {
		names = append(names, cmp.Or(col.StringValues(), `""`))
	}
	switch {
	case len(cols) == 0:
		return fmt.Errorf("no result matches -filter")
	case len(cols) == 1:
		return fmt.Errorf("only one side to compare: all results that match are of %s; give two inputs, or a -col that takes two values", names[0])
	}
	return fmt.Errorf("more than two sides to compare: %s; narrow them by -filter, or choose another -col", strings.Join(names, ", "))
}

// namer makes short names of rows: fields that are empty or the same
// everywhere, such as .name, are left out; "vllm concurrency=32".
func namer(rows []benchproc.Key) func(benchproc.Key) string {
	varies := map[*benchproc.Field]bool{}
	for _, field := range benchproc.NonSingularFields(rows) {
		varies[field] = true
	}
	return func(key benchproc.Key) string {
		var parts []string
		for _, field := range key.Projection().FlattenedFields() {
			value := key.Get(field)
			switch {
			case value == "" || field.Name == ".name" && !varies[field]:
			case strings.HasPrefix(field.Name, ".") || field.Name == "/engine":
				parts = append(parts, value)
			default:
				parts = append(parts, strings.TrimPrefix(field.Name, "/")+"="+value)
			}
		}
		return cmp.Or(strings.Join(parts, " "), "all")
	}
}

// failures notes the cells that printed no line, as far as they are compared,
// and a run that failed without naming one.
func (d *data) failures(in input, p projections, report *Report) {
	times := map[results.Cell]int{}
	var first []results.Failure
	for _, failure := range in.Failures {
		like := d.like(failure.Cell, in)
		if keep, _ := p.filter.Apply(like); !keep {
			continue
		}
		if times[failure.Cell]++; times[failure.Cell] == 1 {
			first = append(first, failure)
		}
		if side := slices.Index(d.sides[:], p.col.Project(like).StringValues()); side >= 0 {
			d.failed[side] = append(d.failed[side], failure.Cell)
		}
	}
	for _, failure := range first {
		runs := ""
		if n := times[failure.Cell]; n > 1 {
			runs = fmt.Sprintf(" %d times", n)
		}
		report.problem("%s failed%s in %s: %s", cellName(failure.Cell), runs, in.label, reason(failure))
	}
	if len(in.Failures) == 0 && failedRun.Match(in.data) {
		report.problem("%s: the run failed (FAIL) without naming a cell: look into it", in.label)
	}
}

// like makes up a result of a cell that has none, for filters and projections.
func (d *data) like(cell results.Cell, in input) *benchfmt.Result {
	like := in.Runs[0].Result
	name, _ := like.Name.Parts()
	result := &benchfmt.Result{Name: benchfmt.Name(string(name) + "/" + cell.String())}
	for _, c := range like.Config {
		result.SetConfig(c.Key, string(c.Value))
	}
	for _, unit := range d.seen {
		result.Values = append(result.Values, benchfmt.Value{Unit: unit})
	}
	return result
}

// failedRun is go test's verdict on a run, or a parent's on its cells.
var failedRun = regexp.MustCompile(`(?m)^FAIL(\t.*)?\r?$|^--- FAIL: `)

// cellName is a cell as the default rows name it.
func cellName(c results.Cell) string { return c.Engine + " " + c.Level.String() }

// reason is a failure in a few words.
func reason(f results.Failure) string {
	text := "no reason given"
	if len(f.Log) > 0 {
		text = line.Flat(f.Log[0])
	}
	return fmt.Sprintf("%s (line %d)", text, f.Line)
}
