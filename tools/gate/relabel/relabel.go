// Package relabel tests whether two sets of passes differ, over many
// comparisons at once, without a guess at the distribution of the noise.
//
// A pass measures every cell once, so that its numbers share the machine, the
// hour and the temperature. If old and new are the same engine, then which
// passes were called old is chance, and any other way to hand out the labels
// could have come about as well. [Passes] hands them out in all ways, for all
// comparisons jointly, and asks of each change: in what share of the
// labellings is the largest change anywhere at least as large? That share is
// the p-value, adjusted for the whole comparison (Westfall and Young, 1993,
// max-T, step-down): with 42 comparisons on noise alone, the chance that even
// one of them has p <= 0.05 is at most 5 %, whatever their correlation.
//
// # The statistic
//
// Of a comparison of one unit in one cell, with x the logarithms of its values:
//
//	T = (mean of new x - mean of old x) / (s * sqrt(1/n + 1/m))   if the change is beyond its threshold
//	    -Inf                                                      if not
//	s^2 = (d*v + 4*u) / (d + 4)
//
// v is the variance within old and new together with d = n + m - 2 degrees of
// freedom, u the median of v over the cells of that unit. Logarithms make cells
// and units comparable. Six passes know their own variance badly, and the cells
// of a unit are alike, so each borrows four degrees of freedom from the others:
// with the variance of the cell alone, chance small variances win the maximum;
// with the pooled one alone, the noisiest cell wins it. And a change within its
// threshold is no regression whatever its p, so that a relabelling which makes
// one does not count either. All of this is computed anew for each labelling,
// which is what makes it exact.
//
// [BenchmarkPower] compares that choice with others.
package relabel

import (
	"math"
	"slices"
)

// Column is one comparison: the values of one unit in one cell.
type Column struct {
	// Old and New hold a value for each pass, in the order of the passes; NaN
	// where a pass has none. All columns have the same number of passes.
	Old, New []float64
	// Better is +1 where higher values are better, -1 where lower ones are.
	Better int
	// Threshold is the smallest change that matters: relative to the old
	// center, 0.05 for 5 %, or with Points in the unit of the values.
	Threshold float64
	// Points compares means by their difference (shares in percent); else
	// medians are compared by their ratio.
	Points bool
	// Group numbers the columns whose variances are alike: those of one unit.
	Group int
}

// Options are how thoroughly to relabel.
type Options struct {
	// Alpha is the family-wise error rate that Outcome.Resolves refers to;
	// default 0.05.
	Alpha float64
	// MaxExact is the most labellings that are all gone through; where there
	// are more, Draws of them are drawn. Default 200,000.
	MaxExact int
	// Draws is the number of random labellings, the true one among them;
	// default 50,000.
	Draws int
	// Seed of the draws.
	Seed uint64
}

// Result is what came out for all columns.
type Result struct {
	Outcomes   []Outcome // as the columns
	Labellings int       // gone through, the true one among them
	Exact      bool      // these are all there are
}

// Outcome is what came out for one column.
type Outcome struct {
	Old, New float64 // medians; means with Points
	// Delta is New/Old - 1, or New - Old with Points.
	Delta float64
	// Worse is the adjusted p-value of a regression, Better that of an
	// improvement: one-sided each, and 1 where the change is not beyond the
	// threshold.
	Worse, Better float64
	// MinP is the smallest p-value that these passes could have given.
	MinP float64
	// Resolves is the smallest worsening, in the measure of Delta without its
	// sign, that would have been significant in this comparison; one of this
	// size has about an even chance. At least Threshold; +Inf where no change
	// could be.
	Resolves float64
}

// Passes compares columns of passes, all together. It panics if columns differ
// in the number of passes; a column without a value on either side comes out
// with p = 1.
func Passes(columns []Column, opts Options) Result {
	t := newTable(columns)
	return t.run(t.moderated, opts)
}

// score fills in the statistic of every column for one labelling: for a
// worsening and for an improvement, -Inf where there is none.
type score func(isNew []bool, worse, better []float64)

// table is the columns, ready to be relabelled often.
type table struct {
	columns []column
	groups  int
	old     int // passes
	new     int
	scratch []float64 // of a group's variances
}

type column struct {
	Column
	pass  []int     // the passes that have a value, in ascending order of the values
	value []float64 // their values
	x     []float64 // the same on the scale of the statistic, centered
	sumXX float64

	// of the latest labelling
	a, b         []float64 // values of old and new, ascending
	diff         float64   // mean of new x - mean of old x
	variance     float64   // within old and new
	spread       float64   // sqrt(1/n + 1/m)
	centerA      float64
	centerB      float64
	grown, shrun bool // the change is beyond the threshold, upwards or downwards
}

func newTable(columns []Column) *table {
	t := &table{columns: make([]column, len(columns))}
	for i, c := range columns {
		if i == 0 {
			t.old, t.new = len(c.Old), len(c.New)
		}
		if len(c.Old) != t.old || len(c.New) != t.new {
			panic("relabel: columns differ in the number of passes")
		}
		t.columns[i] = newColumn(c)
		t.groups = max(t.groups, c.Group+1)
	}
	return t
}

func newColumn(c Column) column {
	out := column{Column: c}
	all := slices.Concat(c.Old, c.New)
	for i, v := range all {
		if !math.IsNaN(v) {
			out.pass = append(out.pass, i)
		}
	}
	slices.SortStableFunc(out.pass, func(i, j int) int {
		switch {
		case all[i] < all[j]:
			return -1
		case all[i] > all[j]:
			return 1
		}
		return 0
	})
	for _, i := range out.pass {
		out.value = append(out.value, all[i])
	}
	out.x = scale(out.value, c.Points)
	for _, x := range out.x {
		out.sumXX += x * x
	}
	out.a, out.b = make([]float64, 0, len(all)), make([]float64, 0, len(all))
	return out
}

// scale maps ascending values to the scale of the statistic, with mean 0:
// logarithms, so that differences are relative; percents as shares. Values
// that have no logarithm are taken relative to their mean size.
func scale(values []float64, points bool) []float64 {
	x := make([]float64, len(values))
	size := 0.0
	for _, v := range values {
		size += math.Abs(v) / float64(len(values))
	}
	mean := 0.0
	for i, v := range values {
		switch {
		case points:
			x[i] = v / 100
		case values[0] > 0:
			x[i] = math.Log(v)
		case size > 0:
			x[i] = v / size
		}
		mean += x[i] / float64(len(values))
	}
	for i := range x {
		x[i] -= mean
	}
	return x
}

// label computes the parts of the statistic for one labelling. ok is false
// where one side has no value.
func (c *column) label(isNew []bool) (ok bool) {
	c.a, c.b = c.a[:0], c.b[:0]
	sumB, sumA := 0.0, 0.0
	for i, pass := range c.pass {
		if isNew[pass] {
			c.b = append(c.b, c.value[i])
			sumB += c.x[i]
		} else {
			c.a = append(c.a, c.value[i])
			sumA += c.x[i]
		}
	}
	if len(c.a) == 0 || len(c.b) == 0 {
		return false
	}
	n, m := float64(len(c.a)), float64(len(c.b))
	c.diff = sumB/m - sumA/n
	c.spread = math.Sqrt(1/n + 1/m)
	within := max(0, c.sumXX-sumA*sumA/n-sumB*sumB/m)
	c.variance = within/max(1, n+m-2) + quantum
	c.centerA, c.centerB = c.center(c.a), c.center(c.b)
	bound := c.Threshold
	if !c.Points {
		bound *= math.Abs(c.centerA)
	}
	c.grown, c.shrun = c.centerB-c.centerA > bound, c.centerA-c.centerB > bound
	return true
}

// quantum is the variance that four printed digits leave at least (steps of up
// to 1e-3 of the value, as a uniform distribution). It keeps a column of equal
// values from dividing by 0.
const quantum = 1e-6 / 12

func (c *column) center(sorted []float64) float64 {
	if c.Points {
		return mean(sorted)
	}
	return median(sorted)
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// borrowed is how many degrees of freedom a column's variance takes from the
// columns of its group.
const borrowed = 4

// moderated is the statistic of the package comment.
func (t *table) moderated(isNew []bool, worse, better []float64) {
	beyond := false
	for i := range t.columns {
		c := &t.columns[i]
		if !c.label(isNew) {
			c.variance, c.grown, c.shrun = math.NaN(), false, false
		}
		beyond = beyond || c.grown || c.shrun
		worse[i], better[i] = math.Inf(-1), math.Inf(-1)
	}
	if !beyond {
		return
	}
	for group := range t.groups {
		u := math.NaN()
		for i := range t.columns {
			c := &t.columns[i]
			if c.Group != group || !c.grown && !c.shrun {
				continue
			}
			if math.IsNaN(u) {
				u = t.groupVariance(group)
			}
			c.put(c.diff/(c.moderate(u)*c.spread), i, worse, better)
		}
	}
}

// put stores the statistic, positive where new is larger, for a change beyond
// the threshold.
func (c *column) put(statistic float64, i int, worse, better []float64) {
	switch {
	case c.grown && c.Better < 0:
		worse[i] = statistic
	case c.shrun && c.Better > 0:
		worse[i] = -statistic
	case c.grown:
		better[i] = statistic
	case c.shrun:
		better[i] = -statistic
	}
}

// moderate is the standard deviation s, from the column's own variance and the
// group's.
func (c *column) moderate(group float64) float64 {
	d := float64(len(c.pass) - 2)
	return math.Sqrt((d*c.variance + borrowed*group) / (d + borrowed))
}

// groupVariance is the median of the variances of a group under the latest
// labelling.
func (t *table) groupVariance(group int) float64 {
	t.scratch = t.scratch[:0]
	for i := range t.columns {
		if c := &t.columns[i]; c.Group == group && !math.IsNaN(c.variance) {
			t.scratch = append(t.scratch, c.variance)
		}
	}
	slices.Sort(t.scratch)
	return median(t.scratch)
}
