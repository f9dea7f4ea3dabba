// Package figures draws a report's pictures: it picks what plot draws.
package figures

import (
	"fmt"

	"enginebench/tools/internal/results"
	"enginebench/tools/report/analysis"
	"enginebench/tools/report/distribution"
	"enginebench/tools/report/plot"
)

// Of draws a report's pictures: for each kind of load level throughput, TTFT,
// latency, scaling, TTFT against throughput, and the dashboard; those that have
// no data are left out.
func Of(r *analysis.Report, style plot.Style) []plot.Figure {
	var all []plot.Figure
	for _, g := range r.Groups {
		all = append(all, OfGroup(r, g, style)...)
	}
	return all
}

// suffix tells the files of several kinds of level apart.
func suffix(r *analysis.Report, g *analysis.Group) string {
	if len(r.Groups) == 1 {
		return ""
	}
	return "-" + g.Kind
}

// OfGroup draws the pictures of one kind of load level.
func OfGroup(r *analysis.Report, g *analysis.Group, style plot.Style) []plot.Figure {
	var figures []plot.Figure
	suffix := suffix(r, g)
	speed, ttft, latency := Series(r, g, "tokens/s"), Series(r, g, "ttft-ms"), Series(r, g, "latency-ms")
	if len(speed) > 0 {
		figures = append(figures, plot.Throughput(style, "throughput"+suffix, "Throughput", g.Title, "tokens/s", speed))
	}
	if len(ttft) > 0 {
		figures = append(figures, plot.Lines(style, "ttft"+suffix, "Time to first token", g.Title, "ms", ttft))
	}
	if len(latency) > 0 {
		figures = append(figures, plot.Lines(style, "latency"+suffix, "Latency, end to end", g.Title, "ms", latency))
	}
	if len(speed) > 0 && len(g.Levels) > 1 && g.Kind != "rate" {
		figures = append(figures, plot.Scaling(style, "scaling"+suffix, "Scaling", g.Title, speed))
	}
	if curve := against(r, g, "tokens/s", "ttft-ms"); len(curve) > 0 {
		figures = append(figures, plot.Tradeoff(style, "ttft-throughput"+suffix, "TTFT against throughput",
			"throughput (tokens/s); points: "+g.Kind, "ms", curve))
	}
	if len(speed) > 0 && len(ttft) > 0 && len(g.Levels) > 1 {
		title, rows := winners(r, g)
		figures = append(figures, plot.Dashboard(style, "dashboard"+suffix, plot.Overview{
			Title: "Dashboard", Levels: g.Title, Throughput: speed, TTFT: ttft, ThroughputUnit: "tokens/s", TTFTUnit: "ms",
			ThroughputTitle: "Throughput", TTFTTitle: "Time to first token", Scalings: "Scaling",
			Winners: rows, WinnersTitle: title,
		}))
	}
	return figures
}

// Series is a unit of every engine by level, with the range of its runs.
func Series(r *analysis.Report, g *analysis.Group, unit string) []plot.Series {
	var series []plot.Series
	for i, e := range r.Engines {
		s := plot.Series{Name: e.Title, Color: i}
		for _, level := range g.Levels {
			if stat, ok := g.Cell(e.ID, level).Stat(unit); ok {
				s.Points = append(s.Points, plot.Point{X: level.Number(), Label: level.Value, Y: stat.Median, Lo: stat.Min, Hi: stat.Max})
			}
		}
		if len(s.Points) > 0 {
			series = append(series, s)
		}
	}
	return series
}

// against is one unit against another, a point a level.
func against(r *analysis.Report, g *analysis.Group, x, y string) []plot.Series {
	var series []plot.Series
	for i, e := range r.Engines {
		s := plot.Series{Name: e.Title, Color: i}
		for _, level := range g.Levels {
			c := g.Cell(e.ID, level)
			sx, okX := c.Stat(x)
			sy, okY := c.Stat(y)
			if okX && okY {
				s.Points = append(s.Points, plot.Point{X: sx.Median, Label: level.Value, Y: sy.Median, Lo: sy.Min, Hi: sy.Max})
			}
		}
		if len(s.Points) > 0 {
			series = append(series, s)
		}
	}
	return series
}

// winners is the dashboard's table: of two engines who is ahead at each level
// and by how much, of more who has the best median.
func winners(r *analysis.Report, g *analysis.Group) (title string, rows [][]string) {
	title = "Ahead, and by how much"
	switch {
	case len(r.Engines) < 2:
		return "", nil
	case len(r.Engines) > 2:
		title = "Best median"
	}
	rows = [][]string{{g.Title, "Throughput", "Latency", "TTFT"}}
	for _, level := range g.Levels {
		row := []string{level.Value}
		for _, unit := range analysis.DefaultMetrics {
			if len(r.Engines) > 2 {
				row = append(row, best(r, g, level, unit))
				continue
			}
			d := r.Difference(g, level, unit, 1-r.Baseline)
			text := d.String()
			if d.Known && !d.Significant {
				text = "~"
			}
			row = append(row, text)
		}
		rows = append(rows, row)
	}
	return title, rows
}

// best names the engine with the best median.
func best(r *analysis.Report, g *analysis.Group, level results.Level, unit string) string {
	name, value := "-", 0.0
	for _, e := range r.Engines {
		s, ok := g.Cell(e.ID, level).Stat(unit)
		if v := s.Median * float64(r.Better(unit)); ok && (name == "-" || v > value) {
			name, value = e.Short, v
		}
	}
	return name
}

// cdfPoints is enough for a curve without corners.
const cdfPoints = 200

// Distributions are the pictures of one level's samples: the cumulative
// distributions of TTFT, latency and inter-token latency.
func Distributions(r *analysis.Report, g *analysis.Group, level results.Level, style plot.Style) []plot.Figure {
	kinds := []struct {
		name, title string
		of          func(*distribution.Run) []distribution.Point
	}{
		{"ttft", "Time to first token", func(run *distribution.Run) []distribution.Point { return run.TTFT.CDF(cdfPoints) }},
		{"latency", "Latency", func(run *distribution.Run) []distribution.Point { return run.Latency.CDF(cdfPoints) }},
		{"itl", "Inter-token latency", func(run *distribution.Run) []distribution.Point { return run.ITL.CDF(cdfPoints) }},
	}
	var figures []plot.Figure
	for _, kind := range kinds {
		var series []plot.Series
		for i, e := range r.Engines {
			c := g.Cell(e.ID, level)
			if c == nil || c.Samples == nil {
				continue
			}
			s := plot.Series{Name: e.Title, Color: i}
			for _, p := range kind.of(c.Samples.All) {
				s.Points = append(s.Points, plot.Point{X: analysis.Milliseconds(p.Value), Y: p.Share})
			}
			if len(s.Points) > 0 {
				series = append(series, s)
			}
		}
		if len(series) > 0 {
			figures = append(figures, plot.CDF(style, fmt.Sprintf("cdf-%s-%s-%s", kind.name, g.Kind, level.Value), kind.title, "ms", series))
		}
	}
	return figures
}

// Timelines are the pictures of one level's load over time, an engine each: of
// its first run.
func Timelines(r *analysis.Report, g *analysis.Group, level results.Level, style plot.Style) []plot.Figure {
	var figures []plot.Figure
	for i, e := range r.Engines {
		c := g.Cell(e.ID, level)
		if c == nil || c.Samples == nil || len(c.Samples.Runs) == 0 {
			continue
		}
		t := &c.Samples.Runs[0].Timeline
		if t.Len() == 0 {
			continue
		}
		busy, speed := plot.Series{Color: i}, plot.Series{Color: i}
		for k := range t.Len() {
			at := (float64(k) + 0.5) * t.Width().Seconds()
			busy.Points = append(busy.Points, point(at, t.InFlight(k)))
			speed.Points = append(speed.Points, point(at, t.TokensPerSecond(k)))
		}
		seconds := float64(t.Len()) * t.Width().Seconds()
		figures = append(figures, plot.Timeline(style, fmt.Sprintf("timeline-%s-%s-%s", e.ID, g.Kind, level.Value), e.Title+", first run over time", []plot.Panel{
			{Title: e.Title + ", first run: in flight", Unit: "requests", Seconds: seconds, Series: []plot.Series{busy}},
			{Title: "Tokens", Unit: "tokens/s", Seconds: seconds, Series: []plot.Series{speed}},
		}))
	}
	return figures
}

func point(x, y float64) plot.Point { return plot.Point{X: x, Y: y, Lo: y, Hi: y} }
