package relabel

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// run goes through the labellings and counts.
func (t *table) run(statistic score, opts Options) Result {
	alpha := cmp.Or(opts.Alpha, 0.05)
	labellings := draw(t.old, t.new, cmp.Or(opts.MaxExact, 200_000), cmp.Or(opts.Draws, 50_000), opts.Seed)

	worse, better := make([]float64, len(t.columns)), make([]float64, len(t.columns))
	var worsened, improved *stepDown
	var largest []float64
	out := Result{Outcomes: make([]Outcome, len(t.columns)), Exact: labellings.exact}
	for isNew := range labellings.all {
		statistic(isNew, worse, better)
		if out.Labellings == 0 { // the true labels
			worsened, improved = newStepDown(worse), newStepDown(better)
			for i := range t.columns {
				out.Outcomes[i] = t.describe(i, isNew)
			}
		}
		largest = append(largest, worsened.count(worse))
		improved.count(better)
		out.Labellings++
	}
	if out.Labellings == 0 {
		return out
	}

	critical := criticalValue(largest, alpha)
	for i := range out.Outcomes {
		o := &out.Outcomes[i]
		o.Worse, o.Better = 1, 1
		o.Resolves = t.resolves(i, o.Resolves, critical)
		if o.MinP > alpha {
			o.Resolves = math.Inf(1)
		}
	}
	for i, p := range worsened.pValues(out.Labellings) {
		out.Outcomes[i].Worse = p
	}
	for i, p := range improved.pValues(out.Labellings) {
		out.Outcomes[i].Better = p
	}
	return out
}

// describe is what is known of a column without relabelling. Its Resolves is the
// standard error of the difference, on the statistic's scale, until
// [table.resolves] turns it into a change.
func (t *table) describe(i int, isNew []bool) Outcome {
	c := &t.columns[i]
	nan := math.NaN()
	o := Outcome{Old: nan, New: nan, Delta: nan, Resolves: nan, MinP: t.minP(i)}
	if !c.label(isNew) {
		return o
	}
	o.Old, o.New = c.centerA, c.centerB
	o.Resolves = c.moderate(t.groupVariance(c.Group)) * c.spread
	switch {
	case c.Points:
		o.Delta = o.New - o.Old
	case o.New == o.Old:
		o.Delta = 0
	default:
		o.Delta = o.New/o.Old - 1
	}
	return o
}

// resolves turns the critical value of T into a change of a column, given the
// standard error of its difference.
func (t *table) resolves(i int, standardError, critical float64) float64 {
	c := &t.columns[i]
	if math.IsNaN(standardError) {
		return math.Inf(1)
	}
	if math.IsInf(critical, -1) {
		return c.Threshold
	}
	x := critical * standardError
	switch {
	case c.Points:
		x *= 100
	case c.Better < 0:
		x = math.Expm1(x)
	default:
		x = -math.Expm1(-x)
	}
	return max(c.Threshold, x)
}

// criticalValue is the largest T that is not significant: of the labellings'
// maxima, the one with more than a share alpha at or above it.
func criticalValue(maxima []float64, alpha float64) float64 {
	slices.SortFunc(maxima, func(a, b float64) int { return cmp.Compare(b, a) })
	return maxima[min(allowed(alpha, len(maxima)), len(maxima)-1)]
}

// allowed is how many of n labellings may be at least as extreme as the true
// one for it to be significant.
func allowed(alpha float64, n int) int { return int(alpha*float64(n) + 1e-9) }

// stepDown counts, for the columns with a change beyond their threshold in the
// true labelling, the labellings that are at least as extreme. The column with
// the largest statistic is held against the maximum over all columns, the next
// against the maximum over all but that one, and so on.
type stepDown struct {
	order  []int     // columns with a statistic, the largest first
	rank   []bool    // by column: it is in order
	limit  []float64 // by order: the statistic, less rounding
	counts []int     // by order
}

func newStepDown(statistic []float64) *stepDown {
	s := &stepDown{rank: make([]bool, len(statistic))}
	for i, v := range statistic {
		if !math.IsInf(v, -1) {
			s.order = append(s.order, i)
			s.rank[i] = true
		}
	}
	slices.SortStableFunc(s.order, func(i, j int) int { return cmp.Compare(statistic[j], statistic[i]) })
	for _, i := range s.order {
		s.limit = append(s.limit, statistic[i]-1e-9*math.Abs(statistic[i]))
	}
	s.counts = make([]int, len(s.order))
	return s
}

// count takes in one labelling and returns its maximum.
func (s *stepDown) count(statistic []float64) float64 {
	largest := math.Inf(-1)
	for i, v := range statistic {
		if !s.rank[i] {
			largest = max(largest, v)
		}
	}
	for k, i := range slices.Backward(s.order) {
		largest = max(largest, statistic[i])
		if largest >= s.limit[k] {
			s.counts[k]++
		}
	}
	return largest
}

// pValues yields column and adjusted p-value; they do not fall along the order.
func (s *stepDown) pValues(labellings int) func(yield func(int, float64) bool) {
	return func(yield func(int, float64) bool) {
		p := 0.0
		for k, i := range s.order {
			p = max(p, float64(s.counts[k])/float64(labellings))
			if !yield(i, p) {
				return
			}
		}
	}
}

// drawing is a sequence of labellings, the true one first.
type drawing struct {
	exact bool
	all   func(yield func(isNew []bool) bool)
}

func draw(old, new, maxExact, draws int, seed uint64) drawing {
	truth := make([]bool, old+new)
	for i := range new {
		truth[old+i] = true
	}
	if Labellings(old, new) <= float64(maxExact) {
		return drawing{exact: true, all: func(yield func([]bool) bool) { everyLabelling(truth, new, yield) }}
	}
	return drawing{all: func(yield func([]bool) bool) {
		r := rand.New(rand.NewPCG(seed, 0))
		isNew := slices.Clone(truth)
		for range draws {
			if !yield(isNew) {
				return
			}
			r.Shuffle(len(isNew), func(i, j int) { isNew[i], isNew[j] = isNew[j], isNew[i] })
		}
	}}
}

// everyLabelling yields each way to choose the new passes once, the true one
// first: the last ones, then the other combinations in falling order.
func everyLabelling(truth []bool, new int, yield func([]bool) bool) {
	n := len(truth)
	isNew := slices.Clone(truth)
	chosen := make([]int, new)
	for i := range chosen {
		chosen[i] = n - new + i
	}
	for {
		if !yield(isNew) {
			return
		}
		// The last index that can move down does, and those after it go to the
		// very end.
		k := 0
		for k < new && chosen[k] == k {
			k++
		}
		if k == new {
			return
		}
		clear(isNew)
		chosen[k]--
		for i := range k {
			chosen[i] = chosen[k] - k + i
		}
		for _, i := range chosen {
			isNew[i] = true
		}
	}
}

// Labellings is the number of ways to call new of old+new passes new.
func Labellings(old, new int) float64 {
	ways := 1.0
	for i := 1; i <= min(old, new); i++ {
		ways = ways * float64(old+new-min(old, new)+i) / float64(i)
	}
	return math.Round(ways)
}

// minP is the share of the labellings that leave a column as it is: its passes
// keep their labels, those without a value may swap theirs.
func (t *table) minP(i int) float64 {
	old, new := 0, 0
	for _, pass := range t.columns[i].pass {
		if pass < t.old {
			old++
		} else {
			new++
		}
	}
	if old == 0 || new == 0 {
		return 1
	}
	return Labellings(t.old-old, t.new-new) / Labellings(t.old, t.new)
}

// Count is the smallest number of new passes that can be significant at alpha
// against old passes; with old = 0, that of equally many passes a side.
func Count(alpha float64, old int) int {
	for n := 1; ; n++ {
		side := old
		if old == 0 {
			side = n
		}
		if 1/Labellings(side, n) <= alpha+1e-12 || n > 1e6 {
			return n
		}
	}
}
