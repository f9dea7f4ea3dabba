package plot

import (
	"cmp"
	"math"
	"strconv"

	"gonum.org/v1/plot"
)

// logFrom is the ratio of largest to smallest value from which an axis is
// logarithmic: on a linear one the smallest would be less than a line's width
// off the bottom.
const logFrom = 30

// extent is the smallest and largest value of series, with their ranges.
func extent(series []Series) (least, most float64) {
	least, most = math.Inf(1), math.Inf(-1)
	for _, s := range series {
		for _, p := range s.Points {
			least, most = min(least, p.Lo), max(most, p.Hi)
		}
	}
	return least, most
}

// scaleY makes the vertical axis logarithmic where the range asks for it, and
// says so behind the title; else it starts at 0.
func scaleY(p *chart, least, most float64) {
	if least > 0 && most/least >= logFrom {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, logTicks{}
		p.note("log scale")
		p.Y.Min, p.Y.Max = roundDown(least), roundUp(most)
		return
	}
	p.Y.Min, p.Y.Max = 0, most*1.15
	if !(p.Y.Max > 0) {
		p.Y.Max = 1
	}
	p.Y.Tick.Marker = linearTicks{}
}

// scaleX places levels: logarithmically where each is a multiple of the one
// before, as 1, 2, 4, 8, with a tick a level.
func scaleX(p *chart, series []Series) {
	labels := map[float64]string{}
	least, most := math.Inf(1), math.Inf(-1)
	for _, s := range series {
		for _, pt := range s.Points {
			labels[pt.X] = pt.Label
			least, most = min(least, pt.X), max(most, pt.X)
		}
	}
	var ticks []plot.Tick
	for _, x := range sortedKeys(labels) {
		ticks = append(ticks, plot.Tick{Value: x, Label: labels[x]})
	}
	if len(ticks) == 0 {
		return
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	if least > 0 && most/least >= 8 {
		p.X.Scale = plot.LogScale{}
		margin := math.Pow(most/least, 0.04)
		p.X.Min, p.X.Max = least/margin, most*margin
		return
	}
	margin := max((most-least)*0.05, 0.5)
	p.X.Min, p.X.Max = least-margin, most+margin
}

// roundDown and roundUp are the nearest of 1, 2, 5 times a power of ten.
func roundDown(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{5, 2} {
		if m*power <= v {
			return m * power
		}
	}
	return power
}

func roundUp(v float64) float64 {
	down := roundDown(v)
	if down == v {
		return v
	}
	power := math.Pow(10, math.Floor(math.Log10(down)+1e-9))
	for _, m := range []float64{2, 5} {
		if m*power >= v {
			return m * power
		}
	}
	return 10 * power
}

// logTicks marks 1, 2 and 5 of each decade, powers of ten alone over more than
// three decades.
type logTicks struct{}

func (logTicks) Ticks(least, most float64) []plot.Tick {
	if !(least > 0) || math.IsInf(most, 0) {
		return nil
	}
	many := most/least > 1000
	var ticks []plot.Tick
	for power := math.Pow(10, math.Floor(math.Log10(least))); power <= most*1.0001; power *= 10 {
		for m := 1.0; m < 10; m++ {
			v := m * power
			if v < least*0.9999 || v > most*1.0001 {
				continue
			}
			label := ""
			if m == 1 || !many && (m == 2 || m == 5) {
				label = tickLabel(v, most)
			}
			ticks = append(ticks, plot.Tick{Value: v, Label: label})
		}
	}
	return ticks
}

// linearTicks marks about so many (default 6) round values.
type linearTicks struct{ about float64 }

func (l linearTicks) Ticks(least, most float64) []plot.Tick {
	span := most - least
	if !(span > 0) || math.IsInf(span, 0) {
		return nil
	}
	step := roundUp(span / cmp.Or(l.about, 6))
	var ticks []plot.Tick
	for i := math.Ceil(least/step - 1e-9); i*step <= most+1e-9*step; i++ {
		v := i*step + 0 // -0 + 0 is 0
		ticks = append(ticks, plot.Tick{Value: v, Label: tickLabel(v, most)})
	}
	return ticks
}

// tickLabel writes a tick of an axis that ends at most: in thousands where that
// is ten thousand or more.
func tickLabel(v, most float64) string {
	if most >= 10000 && v != 0 {
		return strconv.FormatFloat(v/1000, 'g', 4, 64) + "k"
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
