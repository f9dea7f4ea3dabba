package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"enginebench/tools/internal/results"
	"enginebench/workload"

	"golang.org/x/perf/benchmath"
)

// DefaultMetrics are the units that always have a table, in this order.
var DefaultMetrics = []string{"tokens/s", "latency-ms", "ttft-ms"}

// titles name the tables of units whose own name is too terse for a heading.
var titles = map[string]string{
	"tokens/s":        "Throughput (tokens/sec)",
	"latency-ms":      "Average Latency (ms) - End-to-End Generation Time",
	"ttft-ms":         "Time to First Token (ms)",
	"steady-tokens/s": "Steady Throughput (tokens/sec)",
	"tpot-ms":         "Time per Output Token (ms)",
	"req/s":           "Request Throughput (requests/sec)",
	"ok-%":            "Successful Requests (%)",
	"client-p99-us":   "Client Delay, p99 (µs)",
}

var families = map[string]string{"ttft": "Time to First Token", "latency": "Latency", "itl": "Inter-Token Latency"}

// Title is the heading of a unit's table.
func Title(unit string) string {
	if title, ok := titles[unit]; ok {
		return title
	}
	parts := strings.Split(unit, "-") // ttft-p99-ms
	if len(parts) == 3 && families[parts[0]] != "" {
		return fmt.Sprintf("%s, %s (%s)", families[parts[0]], parts[1], parts[2])
	}
	return unit
}

// chooseMetrics fixes which units get a table.
func (r *Report) chooseMetrics(runs []*results.Run, asked []string) error {
	var seen values
	for _, run := range runs {
		for _, v := range run.Result.Values {
			seen.add(v.Unit)
		}
	}
	order := func(unit string) int {
		if i := slices.IndexFunc(workload.Metrics, func(m workload.Metric) bool { return m.Unit == unit }); i >= 0 {
			return i
		}
		return len(workload.Metrics)
	}
	slices.SortStableFunc(seen, func(a, b string) int { return cmp.Compare(order(a), order(b)) })
	units := values(slices.Clone(DefaultMetrics))
	for _, unit := range asked {
		switch {
		case unit == "all":
			for _, unit := range seen {
				units.add(unit)
			}
		case slices.Contains(seen, unit):
			units.add(unit)
		default:
			return fmt.Errorf("-metrics=%s: no cell has that unit; there are %s", unit, strings.Join(seen, ", "))
		}
	}
	r.seen, r.metrics = seen, units
	for _, unit := range units {
		if r.Better(unit) == 0 {
			r.Notes = append(r.Notes, fmt.Sprintf("Nothing says whether higher or lower values of %s are better, so its differences are not judged; a line \"Unit %s better=higher\" in the input would.", unit, unit))
		}
	}
	return nil
}

// Metrics are the units that have a table.
func (r *Report) Metrics() []string { return r.metrics }

// Units are all units that the runs have, in the order of [workload.Metrics],
// foreign ones after them.
func (r *Report) Units() []string { return r.seen }

// Table is one unit of a group: a row a level, a value an engine, and the
// differences against the baseline.
type Table struct {
	Unit, Title string
	Header      []string
	Rows        [][]string
	Note        string // a sentence on what the table lacks; "" where nothing
}

// Table makes the table of a unit.
func (r *Report) Table(g *Group, unit string) Table {
	t := Table{Unit: unit, Title: Title(unit), Header: []string{g.Title}}
	for _, e := range r.Engines {
		t.Header = append(t.Header, e.Title)
	}
	others := r.others()
	for _, other := range others {
		if len(others) == 1 {
			t.Header = append(t.Header, "Difference")
		} else {
			t.Header = append(t.Header, r.Engines[other].Short+" vs "+r.Engines[r.Baseline].Short)
		}
	}
	for _, level := range g.Levels {
		row := []string{level.Value}
		for _, e := range r.Engines {
			if s, ok := g.Cell(e.ID, level).Stat(unit); ok {
				row = append(row, Number(s.Median))
			} else {
				row = append(row, "N/A")
			}
		}
		for _, other := range others {
			row = append(row, r.Difference(g, level, unit, other).String())
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// others are the engines beside the baseline.
func (r *Report) others() []int {
	var others []int
	for i := range r.Engines {
		if i != r.Baseline {
			others = append(others, i)
		}
	}
	return others
}

// Number writes a value as tables do: two decimals.
func Number(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }

// Difference is an engine against the baseline at one level in one unit.
type Difference struct {
	Known       bool    // both have a value, the direction is known, and the baseline is not 0
	Ahead       *Engine // the better one
	Behind      *Engine
	Percent     float64 // by how much of the baseline's value, ≥ 0
	Tested      bool    // both have repeats, so that Comparison says something
	Significant bool    // true where not tested: nothing says otherwise
	Comparison  benchmath.Comparison
}

// Difference compares engine other with the baseline: d = (other - baseline) /
// baseline where higher is better, (baseline - other) / baseline where lower
// is. With two runs or more on both sides the medians are compared under
// Mann-Whitney's U test at 5 %.
func (r *Report) Difference(g *Group, level results.Level, unit string, other int) Difference {
	base, engine := &r.Engines[r.Baseline], &r.Engines[other]
	b, okB := g.Cell(base.ID, level).Stat(unit)
	e, okE := g.Cell(engine.ID, level).Stat(unit)
	better := r.Better(unit)
	if !okB || !okE || better == 0 || b.Median == 0 {
		return Difference{}
	}
	d := Difference{Known: true, Ahead: engine, Behind: base, Significant: true}
	d.Percent = float64(better) * (e.Median - b.Median) / math.Abs(b.Median) * 100
	if !(d.Percent > 0) {
		d.Ahead, d.Behind, d.Percent = base, engine, math.Abs(d.Percent)
	}
	if b.N() > 1 && e.N() > 1 {
		th := benchmath.DefaultThresholds
		d.Comparison = r.units.GetAssumption(unit).Compare(benchmath.NewSample(e.Values, &th), benchmath.NewSample(b.Values, &th))
		d.Tested = true
		d.Significant = d.Comparison.P < d.Comparison.Alpha
	}
	return d
}

// String is the difference as tables print it: "vLLM +7.6%"; "~" with p and n
// where it is not significant; "-" where there is none.
func (d Difference) String() string {
	switch {
	case !d.Known:
		return "-"
	case !d.Significant:
		return "~ (" + d.Comparison.String() + ")"
	}
	return fmt.Sprintf("%s +%.1f%%", d.Ahead.Short, d.Percent)
}
