package workload

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLoadsAreReadAndWrittenAlike(t *testing.T) {
	for _, test := range []struct{ text, cell string }{
		{"closed", "concurrency=4"},
		{"waves", "wave=4"},
		{"rate=8", "rate=8"},
		{"rate=0.5", "rate=0.5"},
	} {
		load, err := ParseLoad(test.text)
		require.NoError(t, err)
		require.Equal(t, test.text, load.String())
		require.Equal(t, test.cell, load.Cell(4))
	}
	for _, bad := range []string{"", "open", "rate=", "rate=0", "rate=-1", "rate=NaN", "rate=Inf", "wave"} {
		_, err := ParseLoad(bad)
		require.ErrorContains(t, err, "closed, waves, or rate=N", bad)
	}
}

func TestClosedLoopBeginsWithARampOfRandomLengths(t *testing.T) {
	// 4 slots, 10 measured requests: 14 in all, the first 4 of them ramp.
	p := mustPlan(Shape{Concurrency: 4, Requests: 10, OutputTokens: 100, Seed: 1})
	require.Len(t, p.Requests, 14)
	lengths := map[int]bool{}
	for i, r := range p.Requests {
		require.Equal(t, i >= 4, r.Measured)
		require.Equal(t, i, r.Request.ID.Index)
		require.Equal(t, "concurrency=4", r.Request.ID.Cell)
		if r.Measured {
			require.Equal(t, 100, r.Request.OutputTokens)
			continue
		}
		require.GreaterOrEqual(t, r.Request.OutputTokens, 1)
		require.LessOrEqual(t, r.Request.OutputTokens, 100)
		lengths[r.Request.OutputTokens] = true
	}
	require.Greater(t, len(lengths), 1, "slots that start in step stay in step")
}

func TestEqualShapesGiveEqualPlans(t *testing.T) {
	s := Shape{Load: Load{Rate: 5}, Concurrency: 3, Requests: 50, OutputTokens: 9, Seed: 7}
	require.Equal(t, mustPlan(s), mustPlan(s))
	other := s
	other.Seed = 8
	require.NotEqual(t, mustPlan(s).Requests[1].Intended, mustPlan(other).Requests[1].Intended)
}

func TestOpenLoopArrivesAtItsRate(t *testing.T) {
	// 10000 exponential gaps of mean 1/50 s: their mean errs by 1 % (1/sqrt(n)).
	p := mustPlan(Shape{Load: Load{Rate: 50}, Concurrency: 1, Requests: 10001, OutputTokens: 1, Seed: 3})
	require.Zero(t, p.Requests[0].Intended)
	require.InDelta(t, 200, p.Requests[10000].Intended.Seconds(), 10)
	for i := 1; i < len(p.Requests); i++ {
		require.GreaterOrEqual(t, p.Requests[i].Intended, p.Requests[i-1].Intended)
	}
}

func TestWarmupIsShortAndNotMeasured(t *testing.T) {
	p, err := Warmup(Shape{Concurrency: 64, Requests: 640, OutputTokens: 512}, "i", "s", makePrompts(3))
	require.NoError(t, err)
	require.Len(t, p.Requests, 3)
	for _, r := range p.Requests {
		require.False(t, r.Measured)
		require.Equal(t, warmupTokens, r.Request.OutputTokens)
		require.Equal(t, WarmupCell, r.Request.ID.Cell)
	}
}

func TestAPlanNeedsPositiveNumbersAndItsPrompts(t *testing.T) {
	for _, s := range []Shape{{Requests: 1, OutputTokens: 1}, {Concurrency: 1, OutputTokens: 1}, {Concurrency: 1, Requests: 1}} {
		_, err := NewPlan(s, "", "", makePrompts(s.Total()))
		require.ErrorContains(t, err, "at least 1")
	}
	_, err := NewPlan(Shape{Concurrency: 2, Requests: 2, OutputTokens: 1}, "", "", makePrompts(3))
	require.ErrorContains(t, err, "3 prompts for 4 requests")
}

func BenchmarkNewPlan(b *testing.B) {
	s := Shape{Concurrency: 64, Requests: 640, OutputTokens: 512}
	from := makePrompts(s.Total())
	for b.Loop() {
		if _, err := NewPlan(s, "i", "s", from); err != nil {
			b.Fatal(err)
		}
	}
}
