package distribution_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"enginebench/tools/internal/results"
	"enginebench/tools/report/distribution"
	"enginebench/workload"

	"github.com/stretchr/testify/require"
)

const ms = time.Millisecond

func read(t *testing.T, lines ...any) *distribution.Set {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "vllm.concurrency=2.jsonl"))
	require.NoError(t, err)
	for _, line := range lines {
		key := "sample"
		if _, ok := line.(*workload.RunRecord); ok {
			key = "run"
		}
		require.NoError(t, json.NewEncoder(f).Encode(map[string]any{key: line}))
	}
	require.NoError(t, f.Close())
	set, err := distribution.Read(dir)
	require.NoError(t, err)
	return set
}

// sample is a request of 4 tokens: the first at send + 100 ms, one 20 ms later,
// and two at once after 40 ms more: TPOT is 60 ms / 3 = 20 ms.
func sample(send time.Duration, change func(*workload.Sample)) *workload.Sample {
	tokens := 4
	s := &workload.Sample{Engine: "vllm", Cell: "concurrency=2", Measured: true, Status: workload.OK, Prompt: "p", Send: send, Origin: send,
		FirstToken: send + 100*ms, LastToken: send + 160*ms, End: send + 160*ms, PromptLen: 10, EnginePromptLen: 10, Wanted: 4, Forced: true, Tokens: &tokens,
		FirstEvent: 1, Events: 3, Gaps: []time.Duration{20 * ms, 40 * ms}, GapTokens: []int{1, 2}, Stamp: "kernel"}
	if change != nil {
		change(s)
	}
	return s
}

func TestSamplesBecomeRuns(t *testing.T) {
	set := read(t,
		&workload.RunRecord{Engine: "vllm", Cell: "concurrency=2", Run: 0, Sent: 3},
		sample(10*ms, nil),
		sample(20*ms, func(s *workload.Sample) { s.Measured = false }), // ramp: counts for tokens, not for latencies
		sample(30*ms, func(s *workload.Sample) { s.Status, s.Class = workload.Failed, "reset" }),
		&workload.RunRecord{Engine: "vllm", Cell: "concurrency=2", Run: 1},
		sample(5*ms, func(s *workload.Sample) { s.Run, s.FirstToken = 1, 205*ms }),
		sample(5*ms, func(s *workload.Sample) { s.Run, s.Status, s.Class = 1, workload.Cancelled, "cancelled" }),
	)
	require.Len(t, set.Records, 2)
	cell := set.Cell(results.Cell{Engine: "vllm", Level: results.Level{Kind: "concurrency", Value: "2"}})
	require.NotNil(t, cell)
	require.Len(t, cell.Runs, 2)
	first := cell.Runs[0]
	require.Equal(t, 3, first.Record.Sent)
	require.Equal(t, []int{3, 2, 1, 0, 1}, []int{first.Sent, first.OK, first.Failed, first.Cancelled, first.Measured})
	require.Equal(t, []time.Duration{100 * ms}, first.TTFT.Sorted())
	require.Equal(t, []time.Duration{160 * ms}, first.Latency.Sorted())
	require.Equal(t, []time.Duration{20 * ms}, first.TPOT.Sorted(), "60 ms for the 3 tokens after the first event")
	require.Equal(t, []time.Duration{20 * ms}, first.SecondToken.Sorted())
	require.Equal(t, 2, first.ITL.N(), "20 ms, and 40 ms / 2 tokens")
	require.EqualValues(t, 8, first.Output.Sum)
	require.EqualValues(t, 20, first.Input.Sum)
	require.Equal(t, []time.Duration{10 * ms, 190 * ms}, []time.Duration{first.First, first.Last}, "20 ms + 160 ms; the failed one's last token counts for the span")

	all := cell.All
	require.Equal(t, []int{5, 3, 1, 1, 2}, []int{all.Sent, all.OK, all.Failed, all.Cancelled, all.Measured})
	require.Equal(t, []time.Duration{100 * ms, 200 * ms}, all.TTFT.Sorted())
	require.Equal(t, map[string]int{"reset": 1, "cancelled": 1}, all.Errors)
	require.Nil(t, (*distribution.Set)(nil).Cell(cell.Name))
}

// Each process counts its runs from 0: a record begins another run.
func TestRunsOfSeveralProcessesStayApart(t *testing.T) {
	record := func() *workload.RunRecord { return &workload.RunRecord{Engine: "vllm", Cell: "concurrency=2", Run: 0} }
	invalid := record()
	invalid.Verdict = workload.Invalid
	set := read(t, record(), sample(0, nil), sample(0, nil), record(), sample(0, nil), invalid, sample(0, nil))
	cell := set.Cells()[0]
	require.Len(t, cell.Runs, 3)
	require.Equal(t, []int{2, 1, 1}, []int{cell.Runs[0].Sent, cell.Runs[1].Sent, cell.Runs[2].Sent})
	require.Equal(t, []int{0, 1, 2}, []int{cell.Runs[0].Number, cell.Runs[1].Number, cell.Runs[2].Number})
	require.Equal(t, 3, cell.All.Sent, "an INVALID run has no numbers")

	require.Equal(t, 2, set.Restrict(cell.Name, map[*workload.RunRecord]bool{set.Records[1]: true}))
	require.Len(t, set.Records, 1)
	require.Len(t, cell.Runs, 1)
	require.Equal(t, 1, cell.All.Sent)
}

func TestChecksCountBrokenAssumptions(t *testing.T) {
	cached, five := 6, 5
	set := read(t,
		sample(0, func(s *workload.Sample) { s.Tokens = &five }),
		sample(0, func(s *workload.Sample) { s.EnginePromptLen = 12 }),
		sample(0, func(s *workload.Sample) { s.CachedLen = &cached }),
		sample(0, func(s *workload.Sample) { s.Tokens, s.Stamp = nil, "user" }),
		sample(0, func(s *workload.Sample) { s.Coalesced = 2 }),
	)
	require.Equal(t, distribution.Checks{WrongCount: 1, PromptMismatch: 1, Cached: 1, CachedTokens: 6, PromptTokens: 10, Uncounted: 1, Events: 15, Coalesced: 2},
		set.Cells()[0].All.Checks)
}

// Two requests: 0.5 … 10.5 ms with tokens at 4 and 6 ms, and 2 … 3 ms.
func TestTimelineCountsTimeInFlight(t *testing.T) {
	two := 2
	set := read(t,
		sample(0, func(s *workload.Sample) {
			s.Send, s.Origin, s.FirstToken, s.LastToken, s.End = 500*time.Microsecond, 500*time.Microsecond, 4*ms, 6*ms, 10500*time.Microsecond
			s.Tokens, s.Gaps, s.GapTokens = &two, []time.Duration{2 * ms}, []int{1}
		}),
		sample(0, func(s *workload.Sample) {
			s.Send, s.Origin, s.End, s.LastToken, s.Status = 2*ms, 2*ms, 3*ms, 0, workload.Failed
		}),
	)
	line := set.Cells()[0].Runs[0].Timeline
	require.Equal(t, ms, line.Width())
	require.Equal(t, 11, line.Len())
	require.Equal(t, 0.5, line.InFlight(0))
	require.Equal(t, 1.0, line.InFlight(1))
	require.Equal(t, 2.0, line.InFlight(2))
	require.Equal(t, 0.5, line.InFlight(10))
	require.Equal(t, 1000.0, line.TokensPerSecond(4), "one token in a millisecond")
	require.Equal(t, 1000.0, line.TokensPerSecond(6))
	require.Equal(t, 0.0, line.TokensPerSecond(5))
}

// A run of any length has a timeline of bounded size that loses nothing.
func TestTimelineWidensItsBins(t *testing.T) {
	var lines []any
	for i := range 50 {
		lines = append(lines, sample(time.Duration(i)*7*time.Second+ms, nil))
	}
	line := set(t, lines).Timeline
	require.LessOrEqual(t, line.Len(), 128)
	busy, tokens := 0.0, 0.0
	for i := range line.Len() {
		busy += line.InFlight(i) * line.Width().Seconds()
		tokens += line.TokensPerSecond(i) * line.Width().Seconds()
	}
	require.InDelta(t, 50*0.160, busy, 1e-6)
	require.InDelta(t, 50*4, tokens, 1e-6)
}

func set(t *testing.T, lines []any) *distribution.Run { return read(t, lines...).Cells()[0].Runs[0] }

func TestQuantilesNeedEnoughRequests(t *testing.T) {
	times := func(n int) *distribution.Times {
		var lines []any
		for i := range n {
			lines = append(lines, sample(ms, func(s *workload.Sample) { s.FirstToken = ms + time.Duration(i+1)*ms }))
		}
		return &set(t, lines).TTFT
	}
	for _, test := range []struct {
		q    float64
		n    int
		want time.Duration // nearest rank of 1 … n ms; 0: too few
	}{
		{0.50, 4, 0}, {0.50, 5, 3 * ms}, // 0.5^5 < 5 %; ceil(2.5) = 3
		{0.90, 28, 0}, {0.90, 29, 27 * ms}, // ceil(26.1) = 27
		{0.99, 298, 0}, {0.99, 299, 297 * ms}, // ceil(296.01) = 297
	} {
		d, ok := times(test.n).Quantile(test.q)
		require.Equal(t, test.want != 0, ok, test)
		require.Equal(t, test.want, d, test)
	}
}

// Bins are within 0.05 % of the exact quantiles, whatever the scale.
func TestBinsAreCloseToExact(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, scale := range []float64{1e2, 1e5, 1e7, 1e10} {
		var bins distribution.Bins
		var exact []time.Duration
		sum := 0.0
		for range 5000 {
			d := time.Duration(scale * math.Exp(random.NormFloat64()))
			bins.Add(d)
			exact = append(exact, d)
			sum += float64(d)
		}
		slices.Sort(exact)
		for _, q := range []float64{0.5, 0.9, 0.99} {
			want, ok := workload.Quantile(exact, q)
			require.True(t, ok)
			got, ok := bins.Quantile(q)
			require.True(t, ok)
			require.InEpsilon(t, float64(want), float64(got), 0.0005, "scale %g, q %g", scale, q)
		}
		mean, _, least, most, _ := bins.Moments()
		require.InEpsilon(t, sum/5000, mean, 1e-9)
		require.Equal(t, exact[0], least)
		require.Equal(t, exact[len(exact)-1], most)
	}
}

func TestCDFsRiseToOne(t *testing.T) {
	var bins distribution.Bins
	var lines []any
	for i := range 970 {
		bins.Add(time.Duration(i%97+1) * ms)
		lines = append(lines, sample(ms, func(s *workload.Sample) { s.FirstToken = ms + time.Duration(i%97+1)*ms }))
	}
	for name, cdf := range map[string][]distribution.Point{"bins": bins.CDF(50), "times": set(t, lines).TTFT.CDF(50)} {
		require.LessOrEqual(t, len(cdf), 52, name)
		require.Equal(t, 1.0, cdf[len(cdf)-1].Share, name)
		for i := range len(cdf) - 1 {
			require.Less(t, cdf[i].Share, cdf[i+1].Share, name)
			require.LessOrEqual(t, cdf[i].Value, cdf[i+1].Value, name)
		}
		for _, p := range cdf { // ten values a millisecond: share(v) is v/97, or up to a step less within one
			require.InDelta(t, float64(p.Value)/float64(97*ms), p.Share, 0.0104, name)
		}
	}
	require.Empty(t, new(distribution.Bins).CDF(50))
	require.Empty(t, new(distribution.Times).CDF(50))
}
