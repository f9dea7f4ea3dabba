package plot

import (
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const quarter = math.Pi / 2

// Throughput is bars by level, a group a level, each with its value.
func Throughput(style Style, name, title, levels, unit string, series []Series) Figure {
	return figure(style, name, title, func() *chart { return throughput(style, title, levels, unit, series) })
}

func throughput(style Style, title, levels, unit string, series []Series) *chart {
	p := base(style, title, levels, unit)
	position := categories(series)
	_, most := extent(series)
	p.Y.Min, p.Y.Max, p.Y.Tick.Marker = 0, max(most, 1e-9)*1.22, linearTicks{} // room for labels
	p.X.Min, p.X.Max = -0.5, float64(len(position))-0.5
	var ticks []plot.Tick
	for _, x := range sortedKeys(position) {
		ticks = append(ticks, plot.Tick{Value: float64(position[x].place), Label: position[x].label})
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	p.X.Tick.Length = 0
	p.Add(grid{horizontal: true})
	width := 0.8 / float64(len(series))
	for i, s := range series {
		b := bars{color: style.color(s.Color), left: -0.4 + width*float64(i), width: width, all: series}
		for _, pt := range s.Points {
			pt.X = float64(position[pt.X].place)
			b.points = append(b.points, pt)
		}
		p.add(s.Name, b)
	}
	return p
}

type category struct {
	place int
	label string
}

// categories numbers the levels in order.
func categories(series []Series) map[float64]category {
	found := map[float64]category{}
	for _, s := range series {
		for _, pt := range s.Points {
			found[pt.X] = category{label: pt.Label}
		}
	}
	for i, x := range sortedKeys(found) {
		found[x] = category{i, found[x].label}
	}
	return found
}

// Lines is a value by level, a line a series; the axes are logarithmic where
// the ranges ask for it.
func Lines(style Style, name, title, levels, unit string, series []Series) Figure {
	return figure(style, name, title, func() *chart { return lines(style, title, levels, unit, series) })
}

func lines(style Style, title, levels, unit string, series []Series) *chart {
	p := base(style, title, levels, unit)
	least, most := extent(series)
	scaleX(p, series)
	scaleY(p, least, most)
	p.Add(grid{horizontal: true})
	for i, s := range series {
		l := line{points: s.Points, color: style.color(s.Color), shape: shape(i)}
		p.add(s.Name, l)
	}
	return p
}

// Scaling is how many times the lowest level's throughput each level has, with
// the ideal: as many times as the load grew.
func Scaling(style Style, name, title, levels string, series []Series) Figure {
	return figure(style, name, title, func() *chart { return scaling(style, title, levels, series) })
}

func scaling(style Style, title, levels string, series []Series) *chart {
	var factors []Series
	ideal := map[float64]Point{}
	for _, s := range series {
		if len(s.Points) == 0 || s.Points[0].Y <= 0 || s.Points[0].X <= 0 {
			continue
		}
		first := s.Points[0]
		f := Series{Name: s.Name, Color: s.Color}
		for _, pt := range s.Points {
			f.Points = append(f.Points, Point{X: pt.X, Label: pt.Label, Y: pt.Y / first.Y, Lo: pt.Lo / first.Y, Hi: pt.Hi / first.Y})
			load := pt.X / first.X
			ideal[pt.X] = Point{X: pt.X, Label: pt.Label, Y: load, Lo: load, Hi: load}
		}
		factors = append(factors, f)
	}
	var straight []Point
	for _, x := range sortedKeys(ideal) {
		straight = append(straight, ideal[x])
	}
	all := append(slices.Clone(factors), Series{Points: straight})
	p := base(style, title, levels, "times the lowest level's throughput")
	least, most := extent(all)
	scaleX(p, all)
	scaleY(p, least, most)
	p.Add(grid{horizontal: true})
	if len(straight) > 0 {
		l := line{points: straight, color: color.RGBA{0x80, 0x80, 0x80, 0xFF}, dashes: []vg.Length{vg.Points(4), vg.Points(3)}}
		p.add("ideal (linear)", l)
	}
	for i, s := range factors {
		l := line{points: s.Points, color: style.color(s.Color), shape: shape(i)}
		p.add(s.Name, l)
	}
	return p
}

// Tradeoff is one value against another, each point labelled with its level:
// the curve people choose an operating point on. Points carry X and Y; Label is
// the level.
func Tradeoff(style Style, name, title, x, y string, series []Series) Figure {
	return figure(style, name, title, func() *chart {
		p := base(style, title, x, y)
		least, most := extent(series)
		scaleY(p, least, most)
		right := 0.0
		for _, s := range series {
			for _, pt := range s.Points {
				right = max(right, pt.X)
			}
		}
		p.X.Min, p.X.Max, p.X.Tick.Marker = 0, max(right, 1e-9)*1.08, linearTicks{}
		p.Add(grid{horizontal: true, vertical: true})
		for i, s := range series {
			l := line{points: s.Points, color: style.color(s.Color), shape: shape(i), labels: true, above: i%2 == 1}
			p.add(s.Name, l)
		}
		return p
	})
}

// CDF is cumulative distributions: the share of values up to each.
func CDF(style Style, name, title, unit string, series []Series) Figure {
	f := figure(style, name, title, func() *chart {
		p := base(style, title, unit, "share of values up to")
		left, right := math.Inf(1), math.Inf(-1)
		for _, s := range series {
			for _, pt := range s.Points {
				left, right = min(left, pt.X), max(right, pt.X)
			}
		}
		if left > 0 && right/left >= logFrom {
			p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, logTicks{}
			p.X.Label.Text += " (log scale)"
			p.X.Min, p.X.Max = roundDown(left), roundUp(right)
		} else {
			margin := max((right-left)*0.08, right*1e-3, 1e-9)
			p.X.Min, p.X.Max, p.X.Tick.Marker = max(0, left-margin), right+margin, linearTicks{}
		}
		p.Y.Min, p.Y.Max, p.Y.Tick.Marker = 0, 1.02, linearTicks{}
		p.Add(grid{horizontal: true, vertical: true})
		for _, s := range series {
			l := line{points: steps(s.Points), color: style.color(s.Color), noRange: true}
			p.add(s.Name, l)
		}
		return p
	})
	return f
}

// steps makes a staircase of a cumulative distribution.
func steps(points []Point) []Point {
	var out []Point
	before := 0.0
	for _, pt := range points {
		out = append(out, Point{X: pt.X, Y: before}, Point{X: pt.X, Y: pt.Y})
		before = pt.Y
	}
	return out
}

// Timeline is values over time, one panel under the other.
func Timeline(style Style, name, title string, panels []Panel) Figure {
	f := Figure{Name: name, Title: title, Width: 8 * vg.Inch, Height: 4.5 * vg.Inch}
	f.draw = func(c draw.Canvas) {
		background(style, c)
		var charts [][]*chart
		for i, panel := range panels {
			x := ""
			if i == len(panels)-1 {
				x = "time since the run's start (s)"
			}
			p := base(style, panel.Title, x, panel.Unit)
			_, most := extent(panel.Series)
			p.Y.Min, p.Y.Max, p.Y.Tick.Marker = 0, max(most, 1e-9)*1.1, linearTicks{about: 3}
			p.X.Min, p.X.Max, p.X.Tick.Marker = 0, max(panel.Seconds, 1e-9), linearTicks{}
			p.Add(grid{horizontal: true})
			for _, s := range panel.Series {
				p.Add(line{points: s.Points, color: style.color(s.Color), noRange: true})
			}
			charts = append(charts, []*chart{p})
		}
		tile(charts, pad(c))
	}
	return f
}

// Panel is one picture of a timeline.
type Panel struct {
	Title   string
	Unit    string
	Seconds float64 // how long the time axis is
	Series  []Series
}

// tile draws charts in rows and columns, axes aligned, without their legends.
func tile(charts [][]*chart, c draw.Canvas) {
	plots := make([][]*plot.Plot, len(charts))
	for row := range charts {
		for _, chart := range charts[row] {
			if chart == nil {
				plots[row] = append(plots[row], nil)
			} else {
				plots[row] = append(plots[row], chart.Plot)
			}
		}
	}
	tiles := draw.Tiles{Rows: len(plots), Cols: len(plots[0]), PadX: vg.Points(18), PadY: vg.Points(12)}
	for row, canvases := range plot.Align(plots, tiles, c) {
		for col, canvas := range canvases {
			if plots[row][col] != nil {
				plots[row][col].Draw(canvas)
			}
		}
	}
}
