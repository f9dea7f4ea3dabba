package relabel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The simulated comparison: 14 cells (two engines at seven levels), 3 units.
const (
	simCells = 14
	simUnits = 3
)

// noise is a model of the scatter of passes. Of a value's variance a share
// common is the pass's, a share cell the pass's in that cell, the rest its own.
type noise struct {
	sd     float64 // of the values, relative
	uneven float64 // the cells' sd differ from it by a factor e^normal(0, uneven)
	common float64
	cell   float64
	heavy  bool // Student's t with 3 degrees of freedom in place of the normal
}

// draw is a comparison on noise alone: columns of log-values, by cell, then unit.
func (n noise) draw(r *rand.Rand, passes int) [][]float64 {
	z := func() float64 {
		g := r.NormFloat64()
		if n.heavy {
			a, b, c := r.NormFloat64(), r.NormFloat64(), r.NormFloat64()
			return g / math.Sqrt(a*a+b*b+c*c) // t3 / sqrt(3): variance 1
		}
		return g
	}
	columns := make([][]float64, simCells*simUnits)
	sd := make([]float64, len(columns))
	for i := range columns {
		columns[i] = make([]float64, passes)
		sd[i] = n.sd * math.Exp(n.uneven*r.NormFloat64())
	}
	for u := range simUnits {
		sd[u] = n.sd // the first cell, the one that is slowed down
	}
	own := math.Sqrt(1 - n.common - n.cell)
	for p := range passes {
		pass := math.Sqrt(n.common) * z()
		for c := range simCells {
			cell := math.Sqrt(n.cell) * z()
			for u := range simUnits {
				i := c*simUnits + u
				columns[i][p] = sd[i] * (pass + cell + own*z())
			}
		}
	}
	return columns
}

// simulate draws comparisons with the first slowed cells slower by the given
// share in every unit, and counts those with a red column among them and among
// the others.
func simulate(n noise, count, runs, slowed int, slower float64, statistic func(*table) score) (hit, falseAlarm int) {
	for run := range runs {
		r := rand.New(rand.NewPCG(uint64(run), 1))
		columns := make([]Column, 0, simCells*simUnits)
		for i, logs := range n.draw(r, 2*count) {
			c := Column{Better: -1, Threshold: 0.05, Group: i % simUnits}
			for p, x := range logs {
				v := 100 * math.Exp(x)
				if p < count {
					c.Old = append(c.Old, v)
					continue
				}
				if i < slowed*simUnits {
					v *= 1 + slower
				}
				c.New = append(c.New, v)
			}
			columns = append(columns, c)
		}
		t := newTable(columns)
		result := t.run(statistic(t), Options{MaxExact: 100, Draws: 250, Seed: uint64(run)})
		red, wrong := false, false
		for i, o := range result.Outcomes {
			if o.Worse <= 0.05 && o.Delta > 0.05 {
				red = red || i < slowed*simUnits
				wrong = wrong || i >= slowed*simUnits
			}
		}
		if red {
			hit++
		}
		if wrong {
			falseAlarm++
		}
	}
	return hit, falseAlarm
}

func moderated(t *table) score { return t.moderated }

// most is the largest count that chance allows for a rate of 5 % in runs
// comparisons, three standard deviations up.
func most(runs int) int {
	return int(0.05*float64(runs) + 3*math.Sqrt(0.05*0.95*float64(runs)))
}

var noises = map[string]noise{
	"even":       {sd: 0.05, common: 0.3, cell: 0.4},
	"uneven":     {sd: 0.05, uneven: 0.5, common: 0.3, cell: 0.4},
	"heavy":      {sd: 0.05, uneven: 0.5, common: 0.3, cell: 0.4, heavy: true},
	"correlated": {sd: 0.05, uneven: 0.5, common: 0.7, cell: 0.2},
	"apart":      {sd: 0.05, uneven: 0.5},
}

// Of 400 comparisons of 42 columns on noise alone, 20 are expected to be red at
// most, and 33 are within three standard deviations.
func TestFalseAlarmsStayWithinAlpha(t *testing.T) {
	const runs = 400
	for name, n := range noises {
		for _, count := range []int{4, 6} {
			if count == 6 && name != "uneven" && name != "heavy" {
				continue // as many labellings as take their time
			}
			t.Run(fmt.Sprintf("%s/count=%d", name, count), func(t *testing.T) {
				t.Parallel()
				_, alarms := simulate(n, count, runs, 0, 0, moderated)
				require.LessOrEqual(t, alarms, most(runs))
			})
		}
	}
}

// Noise without any correlation, each column judged for itself at 5 %: the simulation does have
// what it takes to raise false alarms.
func TestUnadjustedTestsCryWolf(t *testing.T) {
	const runs = 100
	alarms := 0
	for run := range runs {
		r := rand.New(rand.NewPCG(uint64(run), 1))
		for i, logs := range noises["apart"].draw(r, 12) {
			c := Column{Better: -1, Threshold: 0.05, Group: i}
			for p, x := range logs {
				if p < 6 {
					c.Old = append(c.Old, math.Exp(x))
				} else {
					c.New = append(c.New, math.Exp(x))
				}
			}
			if Passes([]Column{c}, Options{MaxExact: 100, Draws: 250}).Outcomes[0].Worse <= 0.05 {
				alarms++
				break
			}
		}
	}
	require.Greater(t, alarms, 3*most(runs))
}

// Four cells of fourteen are half as slow again: the others must not be named with them
// more often than on noise alone.
func TestRealRegressionsDoNotBlameOthers(t *testing.T) {
	const runs = 400
	for _, name := range []string{"even", "uneven"} {
		hits, alarms := simulate(noises[name], 4, runs, 4, 0.5, moderated)
		require.Equal(t, runs, hits)
		require.LessOrEqual(t, alarms, most(runs))
	}
}

// A 12 % slowdown of one cell in fourteen is red at 6 passes and 3 % noise in at
// least 9 of 10 comparisons.
func TestSlowdownOfOneCellIsSeen(t *testing.T) {
	n := noises["uneven"]
	n.sd = 0.03
	hits, _ := simulate(n, 6, 100, 1, 0.12, moderated)
	require.GreaterOrEqual(t, hits, 90)
}

// statistics are the alternatives to [table.moderated]; "any change" is the
// same without regard to the threshold.
var statistics = map[string]func(*table) score{
	"moderated":  moderated,
	"own":        func(t *table) score { return t.studentised(0, true) },
	"pooled":     func(t *table) score { return t.studentised(1e6, true) },
	"rank-sum":   func(t *table) score { return t.rankSum },
	"any-change": func(t *table) score { return t.studentised(borrowed, false) },
	"excess":     func(t *table) score { return t.excess },
}

// studentised is moderated with other weights.
func (t *table) studentised(borrowed float64, threshold bool) score {
	return func(isNew []bool, worse, better []float64) {
		u := t.labelAll(isNew, worse, better)
		for i := range t.columns {
			c := &t.columns[i]
			if threshold && !c.grown && !c.shrun {
				continue
			}
			d := float64(len(c.pass) - 2)
			worse[i] = c.diff / math.Sqrt((d*c.variance+borrowed*u[c.Group])/(d+borrowed)) / c.spread
		}
	}
}

func (t *table) labelAll(isNew []bool, worse, better []float64) (u []float64) {
	for i := range t.columns {
		t.columns[i].label(isNew)
		worse[i], better[i] = math.Inf(-1), math.Inf(-1)
	}
	for g := range t.groups {
		u = append(u, t.groupVariance(g))
	}
	return u
}

// excess is how far a change lies beyond its threshold.
func (t *table) excess(isNew []bool, worse, better []float64) {
	u := t.labelAll(isNew, worse, better)
	for i := range t.columns {
		c := &t.columns[i]
		worse[i] = (c.diff - math.Log1p(c.Threshold)) / (c.moderate(u[c.Group]) * c.spread)
	}
}

// rankSum is the sum of the ranks of the new passes.
func (t *table) rankSum(isNew []bool, worse, better []float64) {
	t.labelAll(isNew, worse, better)
	for i := range t.columns {
		c := &t.columns[i]
		sum := 0.0
		for rank, pass := range c.pass {
			if isNew[pass] {
				sum += float64(rank)
			}
		}
		if c.grown {
			worse[i] = sum
		}
	}
}

// BenchmarkPower prints, as red-%, how often one cell of fourteen that got
// slower is red: with 3 units, a threshold of 5 %, uneven noise that a pass's
// cells share in part.
func BenchmarkPower(b *testing.B) {
	const runs = 400
	names := []string{"moderated"}
	for name := range statistics {
		if name != "moderated" {
			names = append(names, name)
		}
	}
	slices.Sort(names[1:])
	for _, name := range names {
		for _, count := range []int{4, 6, 10} {
			for _, sd := range []float64{0.01, 0.03, 0.05} {
				for _, slower := range []float64{0, 0.05, 0.08, 0.12} {
					b.Run(fmt.Sprintf("statistic=%s/count=%d/noise=%.0f%%/slower=%.0f%%", name, count, 100*sd, 100*slower), func(b *testing.B) {
						n := noises["uneven"]
						n.sd = sd
						red := 0
						for b.Loop() {
							if slower == 0 { // false alarms of all cells
								_, red = simulate(n, count, runs, 0, 0, statistics[name])
							} else {
								red, _ = simulate(n, count, runs, 1, slower, statistics[name])
							}
						}
						b.ReportMetric(0, "ns/op")
						b.ReportMetric(100*float64(red)/runs, "red-%")
					})
				}
			}
		}
	}
}
