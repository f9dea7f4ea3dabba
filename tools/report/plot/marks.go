package plot

import (
	"cmp"
	"image/color"
	"maps"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// grid draws a light line at each labelled tick.
type grid struct{ vertical, horizontal bool }

func (g grid) Plot(c draw.Canvas, p *plot.Plot) {
	tx, ty := p.Transforms(&c)
	line := draw.LineStyle{Color: grey, Width: vg.Points(0.5)}
	for _, t := range p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) {
		if y := ty(t.Value); g.horizontal && t.Label != "" && y >= c.Min.Y && y <= c.Max.Y {
			c.StrokeLine2(line, c.Min.X, y, c.Max.X, y)
		}
	}
	for _, t := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
		if x := tx(t.Value); g.vertical && t.Label != "" && x >= c.Min.X && x <= c.Max.X {
			c.StrokeLine2(line, x, c.Min.Y, x, c.Max.Y)
		}
	}
}

// line draws a series: a line, a marker a point, and the range of repeats.
type line struct {
	points  []Point
	color   color.RGBA
	shape   draw.GlyphDrawer // nil: no markers
	dashes  []vg.Length
	labels  bool // write each point's label beside it
	above   bool // labels stand above the points, not below
	noRange bool
}

func (l line) style() draw.LineStyle {
	return draw.LineStyle{Color: l.color, Width: vg.Points(1.75), Dashes: l.dashes}
}

func (l line) glyph() draw.GlyphStyle {
	return draw.GlyphStyle{Color: l.color, Radius: vg.Points(3), Shape: l.shape}
}

func (l line) Plot(c draw.Canvas, p *plot.Plot) {
	tx, ty := p.Transforms(&c)
	var path []vg.Point
	for _, pt := range l.points {
		path = append(path, vg.Point{X: tx(pt.X), Y: ty(pt.Y)})
	}
	c.StrokeLines(l.style(), c.ClipLinesXY(path)...)
	for i, pt := range l.points {
		if !l.noRange && pt.Hi > pt.Lo {
			whisker(c, l.color, path[i].X, ty(pt.Lo), ty(pt.Hi))
		}
		if l.shape != nil && c.Contains(path[i]) {
			c.DrawGlyph(l.glyph(), path[i])
		}
		if l.labels {
			style := sans(fontSize - 1)
			style.Color, style.XAlign, style.YAlign = l.color, draw.XLeft, draw.YTop
			at := vg.Point{X: path[i].X + vg.Points(4), Y: path[i].Y - vg.Points(3)}
			if l.above {
				style.XAlign, style.YAlign = draw.XRight, draw.YBottom
				at = vg.Point{X: path[i].X - vg.Points(3), Y: path[i].Y + vg.Points(2)}
			}
			c.FillText(style, at, pt.Label)
		}
	}
}

// Thumbnail draws the series in a legend.
func (l line) Thumbnail(c *draw.Canvas) {
	y := c.Center().Y
	c.StrokeLine2(l.style(), c.Min.X, y, c.Max.X, y)
	if l.shape != nil {
		c.DrawGlyph(l.glyph(), vg.Point{X: c.Center().X, Y: y})
	}
}

func whisker(c draw.Canvas, col color.RGBA, x, lo, hi vg.Length) {
	style, half := draw.LineStyle{Color: col, Width: vg.Points(1)}, vg.Points(3)
	c.StrokeLine2(style, x, lo, x, hi)
	c.StrokeLine2(style, x-half, lo, x+half, lo)
	c.StrokeLine2(style, x-half, hi, x+half, hi)
}

// bars draws one series of a grouped bar chart: category i is at x = i.
type bars struct {
	points      []Point
	color       color.RGBA
	left, width float64  // within the category, in its width
	all         []Series // of the chart, whose labels stand on end where one is wider than its bar
}

func (b bars) Plot(c draw.Canvas, p *plot.Plot) {
	tx, ty := p.Transforms(&c)
	upright := b.narrow(tx(b.width) - tx(0))
	for _, pt := range b.points {
		left, right := tx(pt.X+b.left), tx(pt.X+b.left+b.width)
		top := ty(pt.Y)
		c.SetColor(b.color)
		c.Fill(vg.Rectangle{Min: vg.Point{X: left, Y: c.Min.Y}, Max: vg.Point{X: right - vg.Points(1), Y: top}}.Path())
		middle := (left + right - vg.Points(1)) / 2
		if pt.Hi > pt.Lo {
			whisker(c, color.RGBA{A: 0xFF}, middle, ty(pt.Lo), ty(pt.Hi))
			top = max(top, ty(pt.Hi))
		}
		style := sans(fontSize - 1)
		style.XAlign, style.YAlign = draw.XCenter, draw.YBottom
		at := vg.Point{X: middle, Y: top + vg.Points(3)}
		if upright {
			style.Rotation, style.XAlign, style.YAlign = quarter, draw.XLeft, draw.YCenter
		}
		c.FillText(style, at, Short(pt.Y))
	}
}

// narrow says that some label of the chart is wider than a bar.
func (b bars) narrow(width vg.Length) bool {
	style := sans(fontSize - 1)
	for _, s := range b.all {
		for _, pt := range s.Points {
			if style.Width(Short(pt.Y)) > width {
				return true
			}
		}
	}
	return false
}

// Thumbnail draws the series in a legend.
func (b bars) Thumbnail(c *draw.Canvas) {
	c.SetColor(b.color)
	c.Fill(c.Rectangle.Path())
}
