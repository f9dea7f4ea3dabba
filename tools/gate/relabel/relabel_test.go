package relabel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

var nan = math.NaN()

func times(n int, v float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = v
	}
	return out
}

func TestPassesByHand(t *testing.T) {
	for name, test := range map[string]struct {
		column        Column
		delta         float64
		worse, better float64
		labellings    int
	}{
		// 3 of 6 passes are new: C(6,3) = 20 labellings. Only the true one has
		// old and new apart, so 1/20.
		"slower": {
			Column{Old: []float64{100, 102, 101}, New: []float64{120, 121, 119}, Better: -1, Threshold: 0.05},
			120./101 - 1, 1. / 20, 1, 20},
		// The same numbers as tokens/s are an improvement.
		"more is better": {
			Column{Old: []float64{100, 102, 101}, New: []float64{120, 121, 119}, Better: +1, Threshold: 0.05},
			120./101 - 1, 1, 1. / 20, 20},
		"fewer is worse": {
			Column{Old: []float64{120, 121, 119}, New: []float64{100, 102, 101}, Better: +1, Threshold: 0.05},
			101./120 - 1, 1. / 20, 1, 20},
		// Old and new are apart, by 1 %: within the threshold.
		"within the threshold": {
			Column{Old: times(4, 100), New: times(4, 101), Better: -1, Threshold: 0.05},
			0.01, 1, 1, 70},
		// Equal values in each set: only C(8,4) = 70 labellings matter, and the
		// true one alone divides by the quantum only.
		"no variance": {
			Column{Old: times(4, 100), New: times(4, 110), Better: -1, Threshold: 0.05},
			0.1, 1. / 70, 1, 70},
		"equal": {
			Column{Old: times(4, 100), New: times(4, 100), Better: -1, Threshold: 0},
			0, 1, 1, 70},
		// One new pass against 19 old ones: 20 labellings, and the new pass is
		// the slowest of all.
		"one new pass": {
			Column{Old: []float64{100, 101, 99, 100, 102, 98, 100, 101, 99, 100, 100, 101, 99, 100, 102, 98, 100, 101, 99}, New: []float64{120}, Better: -1, Threshold: 0.05},
			0.2, 1. / 20, 1, 20},
		// 100 % four times against 97, 96, 97 and 98 %: 3 points less.
		"points": {
			Column{Old: times(4, 100), New: []float64{97, 96, 97, 98}, Better: +1, Threshold: 1, Points: true},
			-3, 1. / 70, 1, 70},
		// One bad pass of four is chance: it is new in half of the labellings,
		// which all look alike.
		"one bad pass": {
			Column{Old: times(4, 100), New: []float64{100, 100, 80, 100}, Better: +1, Threshold: 1, Points: true},
			-5, 35. / 70, 1, 70},
		// Values without logarithms: 0 is a legal measurement.
		"zeros": {
			Column{Old: times(4, 0), New: []float64{1, 2, 1, 2}, Better: -1, Threshold: 0.05},
			math.Inf(1), 1. / 70, 1, 70},
		"no value on one side": {
			Column{Old: times(4, 100), New: times(4, nan), Better: -1, Threshold: 0.05},
			nan, 1, 1, 70},
	} {
		t.Run(name, func(t *testing.T) {
			got := Passes([]Column{test.column}, Options{})
			require.True(t, got.Exact)
			require.Equal(t, test.labellings, got.Labellings)
			o := got.Outcomes[0]
			if math.IsNaN(test.delta) {
				require.True(t, math.IsNaN(o.Delta))
			} else if math.IsInf(test.delta, 1) {
				require.True(t, math.IsInf(o.Delta, 1))
			} else {
				require.InDelta(t, test.delta, o.Delta, 1e-12)
			}
			require.InDelta(t, test.worse, o.Worse, 1e-12, "worse")
			require.InDelta(t, test.better, o.Better, 1e-12, "better")
		})
	}
}

// A column whose scatter alone reaches the statistic of another one raises the
// other's p-value: the maximum is over both.
func TestPValuesAreAdjustedForAllColumns(t *testing.T) {
	slow := Column{Old: []float64{100, 108, 104, 96}, New: []float64{112, 120, 116, 107}, Better: -1, Threshold: 0.05}
	wild := Column{Old: []float64{100, 100, 150, 150}, New: []float64{100, 100, 150, 150}, Better: -1, Threshold: 0.05, Group: 1}
	alone := Passes([]Column{slow}, Options{}).Outcomes[0].Worse
	both := Passes([]Column{slow, wild}, Options{}).Outcomes
	require.Less(t, alone, both[0].Worse)
	require.Equal(t, 1.0, both[1].Worse)

	// The more significant column does not stand in the way of the next.
	slower := Column{Old: []float64{100, 101, 102, 103}, New: []float64{130, 131, 132, 133}, Better: -1, Threshold: 0.05, Group: 2}
	three := Passes([]Column{slow, wild, slower}, Options{}).Outcomes
	// The true labelling, and the one that calls the four 150s new.
	require.InDelta(t, 2./70, three[2].Worse, 1e-12)
	require.Equal(t, both[0].Worse, three[0].Worse)
}

func TestPassesDoNotDependOnTheUnitOfMeasure(t *testing.T) {
	ms := Column{Old: []float64{100, 108, 104, 96}, New: []float64{112, 120, 116, 107}, Better: -1, Threshold: 0.05}
	us := ms
	us.Old, us.New = nil, nil
	for i := range ms.Old {
		us.Old, us.New = append(us.Old, 1000*ms.Old[i]), append(us.New, 1000*ms.New[i])
	}
	a, b := Passes([]Column{ms}, Options{}).Outcomes[0], Passes([]Column{us}, Options{}).Outcomes[0]
	require.Equal(t, a.Worse, b.Worse)
	require.InDelta(t, a.Resolves, b.Resolves, 1e-9)
}

// Of 4 + 4 passes a column has 3 + 3. Its labels are kept by the C(2,1) = 2
// labellings that swap the two passes it lacks, of C(8,4) = 70.
func TestMissingPassesRaiseTheSmallestP(t *testing.T) {
	c := Column{Old: []float64{100, nan, 101, 102}, New: []float64{120, 121, 122, nan}, Better: -1, Threshold: 0.05}
	o := Passes([]Column{c}, Options{}).Outcomes[0]
	require.InDelta(t, 2./70, o.MinP, 1e-12)
	require.InDelta(t, 2./70, o.Worse, 1e-12)

	c.Old, c.New = []float64{100, nan, nan, nan}, []float64{120, 121, nan, nan}
	o = Passes([]Column{c}, Options{}).Outcomes[0]
	require.InDelta(t, 10./70, o.MinP, 1e-12) // C(5,2) / 70
	require.True(t, math.IsInf(o.Resolves, 1))
}

// Where a change is not significant, one of the size Resolves would be.
func TestResolvesIsTheEdgeOfSignificance(t *testing.T) {
	old := []float64{100, 103, 97, 101, 99, 104}
	with := func(slower float64) Outcome {
		c := Column{Old: old, Better: -1, Threshold: 0.01}
		for _, v := range []float64{98, 102, 101, 104, 96, 100} {
			c.New = append(c.New, v*(1+slower))
		}
		return Passes([]Column{c}, Options{}).Outcomes[0]
	}
	edge := with(0).Resolves
	require.Greater(t, edge, 0.01)
	require.Greater(t, with(edge*0.7).Worse, 0.05)
	require.LessOrEqual(t, with(edge*1.5).Worse, 0.05)
}

func TestManyPassesAreDrawnRepeatably(t *testing.T) {
	c := Column{Old: times(12, 100), New: times(12, 120), Better: -1, Threshold: 0.05}
	opts := Options{Draws: 2000, Seed: 7}
	got := Passes([]Column{c}, opts)
	require.False(t, got.Exact) // C(24,12) = 2,704,156
	require.Equal(t, 2000, got.Labellings)
	require.InDelta(t, 1./2000, got.Outcomes[0].Worse, 1e-12)
	require.Equal(t, got, Passes([]Column{c}, opts))
}

func TestEveryLabellingOnce(t *testing.T) {
	for _, sides := range [][2]int{{1, 1}, {3, 3}, {4, 2}, {2, 5}, {6, 6}} {
		seen := map[string]bool{}
		for isNew := range draw(sides[0], sides[1], 1000, 0, 0).all {
			key, count := "", 0
			for i, is := range isNew {
				if is {
					key, count = key+"n", count+1
				} else {
					key += "o"
				}
				if len(seen) == 0 {
					require.Equal(t, i >= sides[0], is, "the true labels come first")
				}
			}
			require.Equal(t, sides[1], count)
			require.False(t, seen[key], key)
			seen[key] = true
		}
		require.Len(t, seen, int(Labellings(sides[0], sides[1])))
	}
}

func TestLabellings(t *testing.T) {
	require.Equal(t, 70.0, Labellings(4, 4))
	require.Equal(t, 924.0, Labellings(6, 6))
	require.Equal(t, 184756.0, Labellings(10, 10))
	require.Equal(t, 28.0, Labellings(6, 2))
	require.Equal(t, 1.0, Labellings(0, 3))
}

func TestCount(t *testing.T) {
	require.Equal(t, 3, Count(0.05, 0)) // 1/20; 2 passes a side: 1/6
	require.Equal(t, 4, Count(0.02, 0)) // 1/70
	require.Equal(t, 2, Count(0.05, 6)) // 1/28
	require.Equal(t, 1, Count(0.05, 19))
	require.Equal(t, 19, Count(0.05, 1))
}

func TestRequestsByHand(t *testing.T) {
	for name, test := range map[string]struct {
		old, new Tally
		p        float64
	}{
		// 4 failures among 8 requests, all of them new: 1 of C(8,4) = 70.
		"all on one side": {Tally{4, 4}, Tally{0, 4}, 1. / 70},
		// at least 3 of them new: (C(4,3) C(4,1) + 1) / 70 = 17/70.
		"one old":         {Tally{3, 4}, Tally{1, 4}, 17. / 70},
		"none failed":     {Tally{10, 10}, Tally{10, 10}, 1},
		"old failed more": {Tally{8, 10}, Tally{10, 10}, 1},
		// 1 failure among 30, new has 10 of the 30.
		"unequal sides": {Tally{20, 20}, Tally{9, 10}, 1. / 3},
	} {
		t.Run(name, func(t *testing.T) {
			require.InDelta(t, test.p, Requests(test.old, test.new), 1e-9)
		})
	}
	require.Equal(t, 97.5, Tally{OK: 39, Sent: 40}.Percent())
}

func TestHolm(t *testing.T) {
	// 3 * 0.01; 2 * 0.02; 0.04 and not below the one before.
	require.InDeltaSlice(t, []float64{0.04, 0.03, 0.04}, Holm([]float64{0.02, 0.01, 0.04}), 1e-12)
	require.InDeltaSlice(t, []float64{1, 1}, Holm([]float64{0.9, 0.8}), 1e-12)
	require.Empty(t, Holm(nil))
}
