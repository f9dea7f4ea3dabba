package analysis

import (
	"fmt"
	"strings"
	"time"

	"enginebench/tools/report/distribution"
)

// quantile is one column of the percentiles' table.
type quantile struct {
	title string
	unit  string
	q     float64
	of    func(*distribution.Run) sampled
}

// sampled is what a run's samples have quantiles of.
type sampled interface {
	Quantile(q float64) (time.Duration, bool)
}

func ttft(r *distribution.Run) sampled    { return &r.TTFT }
func latency(r *distribution.Run) sampled { return &r.Latency }
func itl(r *distribution.Run) sampled     { return &r.ITL }

var quantiles = []quantile{
	{"TTFT p50", "ttft-p50-ms", 0.50, ttft},
	{"TTFT p90", "ttft-p90-ms", 0.90, ttft},
	{"TTFT p99", "ttft-p99-ms", 0.99, ttft},
	{"Latency p50", "latency-p50-ms", 0.50, latency},
	{"Latency p90", "latency-p90-ms", 0.90, latency},
	{"Latency p99", "latency-p99-ms", 0.99, latency},
	{"ITL p50", "itl-p50-ms", 0.50, itl},
	{"ITL p99", "itl-p99-ms", 0.99, itl},
}

// Percentiles is the table of every cell's percentiles in ms: over all requests
// of all runs where there are samples, else the median over runs of each run's
// own. It has no rows where there is neither. A percentile that no cell has is
// no column, and the note says why.
func (r *Report) Percentiles(g *Group) Table {
	t := Table{Title: "Percentiles (ms)"}
	var cells []*Cell
	for _, level := range g.Levels {
		for _, e := range r.Engines {
			if c := g.Cell(e.ID, level); c != nil {
				cells = append(cells, c)
				t.Rows = append(t.Rows, []string{e.Title, level.Value})
			}
		}
	}
	column := func(title, absent string, of func(*Cell) (string, bool)) (any bool) {
		var texts []string
		for _, c := range cells {
			text, ok := of(c)
			if !ok {
				text = absent
			}
			any = any || ok
			texts = append(texts, text)
		}
		if any {
			t.Header = append(t.Header, title)
			for i, text := range texts {
				t.Rows[i] = append(t.Rows[i], text)
			}
		}
		return any
	}
	t.Header = []string{"Engine", g.Title}
	column("Requests", "-", func(c *Cell) (string, bool) {
		if c.Samples == nil {
			return "", false
		}
		return fmt.Sprint(c.Samples.All.Measured), true
	})
	var missing []quantile
	for _, q := range quantiles {
		if !column(q.title, "N/A", func(c *Cell) (string, bool) { return c.percentile(q) }) {
			missing = append(missing, q)
		}
	}
	if len(missing) == len(quantiles) {
		t.Rows = nil
	}
	t.Note = lacking(missing, cells)
	return t
}

// lacking says why there are no columns of some percentiles.
func lacking(missing []quantile, cells []*Cell) string {
	most := 0
	for _, c := range cells {
		if c.Samples != nil {
			most = max(most, c.Samples.All.Measured)
		}
	}
	var few values // sentences on what has too few requests
	var others []string
	short := func(q quantile) bool { return !strings.HasPrefix(q.unit, "itl-") && most < distribution.Least(q.q) }
	for _, q := range missing {
		if !short(q) {
			others = append(others, q.title)
			continue
		}
		var same []string
		for _, other := range missing {
			if other.q == q.q && short(other) {
				same = append(same, other.title)
			}
		}
		least := distribution.Least(q.q)
		few.add(fmt.Sprintf("No cell has %s: a p%.0f needs %d requests a cell (-requests=%d).", strings.Join(same, ", "), 100*q.q, least, least+1))
	}
	if len(others) > 0 {
		few.add("No cell has " + strings.Join(others, ", ") + ".")
	}
	return strings.Join(few, " ")
}

func (c *Cell) percentile(q quantile) (text string, ok bool) {
	if c.Samples != nil {
		d, ok := q.of(c.Samples.All).Quantile(q.q)
		return Number(Milliseconds(d)), ok
	}
	s, ok := c.Stat(q.unit)
	return Number(s.Median), ok
}

// Milliseconds is a duration in ms.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
