package plot

import (
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Overview is what a dashboard shows.
type Overview struct {
	Title, Levels       string
	Throughput, TTFT    []Series
	ThroughputUnit      string
	TTFTUnit            string
	Winners             [][]string // a table: its header, then its rows
	WinnersTitle        string
	ThroughputTitle     string
	TTFTTitle, Scalings string // titles of the other two panels
}

// Dashboard is throughput, TTFT, scaling, and a table of winners, two by two.
func Dashboard(style Style, name string, o Overview) Figure {
	f := Figure{Name: name, Title: o.Title, Width: 11 * vg.Inch, Height: 8 * vg.Inch}
	f.draw = func(c draw.Canvas) {
		background(style, c)
		scale := scaling(style, o.Scalings, o.Levels, o.Throughput)
		c = drawLegend(pad(c), scale.legend)
		tile([][]*chart{
			{throughput(style, o.ThroughputTitle, o.Levels, o.ThroughputUnit, o.Throughput), lines(style, o.TTFTTitle, o.Levels, o.TTFTUnit, o.TTFT)},
			{scale, nil},
		}, c)
		corner := draw.Crop(c, (c.Max.X-c.Min.X)/2+vg.Points(18), 0, 0, -(c.Max.Y-c.Min.Y)/2)
		table(corner, o.WinnersTitle, o.Winners)
	}
	return f
}

// table writes rows of text, the first one as a header. Columns are as wide as
// their longest text asks for, in a font in which all of them fit.
func table(c draw.Canvas, title string, rows [][]string) {
	head := sans(fontSize + 2)
	head.XAlign, head.YAlign = draw.XCenter, draw.YTop
	c.FillText(head, vg.Point{X: c.Center().X, Y: c.Max.Y - vg.Points(6)}, title)
	if len(rows) == 0 {
		return
	}
	top := c.Max.Y - vg.Points(30)
	height := min((top-c.Min.Y)/vg.Length(len(rows)), vg.Points(26))
	widths, style := columns(rows, c.Max.X-c.Min.X)
	style.XAlign, style.YAlign = draw.XCenter, draw.YCenter
	rule := draw.LineStyle{Color: grey, Width: vg.Points(0.75)}
	for i, row := range rows {
		y := top - height*vg.Length(i) - height/2
		x := c.Min.X
		for j, cell := range row {
			c.FillText(style, vg.Point{X: x + widths[j]/2, Y: y}, cell)
			x += widths[j]
		}
		c.StrokeLine2(rule, c.Min.X, y-height/2, c.Max.X, y-height/2)
	}
}

// columns shares a width out among the columns of a table, and picks the font.
func columns(rows [][]string, width vg.Length) ([]vg.Length, draw.TextStyle) {
	const gap = 12 // points between two columns
	style := sans(fontSize)
	widths := make([]vg.Length, len(rows[0]))
	var sum vg.Length
	for j := range widths {
		for _, row := range rows {
			widths[j] = max(widths[j], style.Width(row[j])+vg.Points(gap))
		}
		sum += widths[j]
	}
	if sum > width {
		style.Font.Size *= width / sum
	}
	for j := range widths {
		widths[j] *= width / sum
	}
	return widths, style
}
