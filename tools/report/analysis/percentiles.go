package analysis

import (
	"fmt"
	"time"

	"enginebench/tools/report/distribution"
)

// quantile is one column of the percentiles' table.
type quantile struct {
	title string
	unit  string
	of    func(*distribution.Run) (time.Duration, bool)
}

var quantiles = []quantile{
	{"TTFT p50", "ttft-p50-ms", func(r *distribution.Run) (time.Duration, bool) { return r.TTFT.Quantile(0.50) }},
	{"TTFT p90", "ttft-p90-ms", func(r *distribution.Run) (time.Duration, bool) { return r.TTFT.Quantile(0.90) }},
	{"TTFT p99", "ttft-p99-ms", func(r *distribution.Run) (time.Duration, bool) { return r.TTFT.Quantile(0.99) }},
	{"Latency p50", "latency-p50-ms", func(r *distribution.Run) (time.Duration, bool) { return r.Latency.Quantile(0.50) }},
	{"Latency p90", "latency-p90-ms", func(r *distribution.Run) (time.Duration, bool) { return r.Latency.Quantile(0.90) }},
	{"Latency p99", "latency-p99-ms", func(r *distribution.Run) (time.Duration, bool) { return r.Latency.Quantile(0.99) }},
	{"ITL p50", "itl-p50-ms", func(r *distribution.Run) (time.Duration, bool) { return r.ITL.Quantile(0.50) }},
	{"ITL p99", "itl-p99-ms", func(r *distribution.Run) (time.Duration, bool) { return r.ITL.Quantile(0.99) }},
}

// Percentiles is the table of every cell's percentiles in ms: over all requests
// of all runs where there are samples, else the median over runs of each run's
// own. It has no rows where there is neither.
func (r *Report) Percentiles(g *Group) Table {
	t := Table{Title: "Percentiles (ms)", Header: []string{"Engine", g.Title, "Requests"}}
	for _, q := range quantiles {
		t.Header = append(t.Header, q.title)
	}
	any := false
	for _, level := range g.Levels {
		for _, e := range r.Engines {
			c := g.Cell(e.ID, level)
			if c == nil {
				continue
			}
			row := []string{e.Title, level.Value, "-"}
			if c.Samples != nil {
				row[2] = fmt.Sprint(c.Samples.All.Measured)
			}
			for _, q := range quantiles {
				text, ok := c.percentile(q)
				any = any || ok
				row = append(row, text)
			}
			t.Rows = append(t.Rows, row)
		}
	}
	if !any {
		t.Rows = nil
	}
	return t
}

func (c *Cell) percentile(q quantile) (text string, ok bool) {
	if c.Samples != nil {
		if d, ok := q.of(c.Samples.All); ok {
			return Number(Milliseconds(d)), true
		}
		return "N/A", false
	}
	if s, ok := c.Stat(q.unit); ok {
		return Number(s.Median), true
	}
	return "N/A", false
}

// Milliseconds is a duration in ms.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
