package workload

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
)

func ptr(n int) *int { return &n }

// reply is a good measured sample sent at send, whose tokens came at the given
// times, one each; all in milliseconds.
func reply(send int, tokens ...int) Sample {
	s := Sample{Measured: true, Status: OK, Send: at(send), Origin: at(send), Intended: at(send),
		FirstToken: at(tokens[0]), LastToken: at(tokens[len(tokens)-1]), End: at(tokens[len(tokens)-1]),
		Tokens: ptr(len(tokens)), FirstEvent: 1, FirstRead: 1, Events: len(tokens), Stamp: "kernel"}
	for i := 1; i < len(tokens); i++ {
		s.Gaps = append(s.Gaps, at(tokens[i]-tokens[i-1]))
		s.GapTokens = append(s.GapTokens, 1)
	}
	return s
}

func at(ms int) time.Duration { return time.Duration(ms) * time.Millisecond }

func outcome(s Shape, samples ...Sample) Outcome {
	return Outcome{Plan: &Plan{Shape: s, Cell: s.Load.Cell(s.Concurrency)}, Samples: samples}
}

func TestMetricsFollowTheirDefinitions(t *testing.T) {
	two := Shape{Concurrency: 2, Requests: 2}
	for _, test := range []struct {
		name    string
		samples []Sample
		want    map[string]float64
	}{
		{"two replies",
			// Sent at 0 and 100 ms; tokens at 50, 60, 80 and 200, 240.
			[]Sample{reply(0, 50, 60, 80), reply(100, 200, 240)},
			map[string]float64{
				"tokens/s":   5 / 0.240, // 5 tokens from the first send, 0, to the last arrival, 240
				"req/s":      2 / 0.240,
				"ttft-ms":    (50 + 100) / 2.0,
				"latency-ms": (80 + 140) / 2.0,
				"tpot-ms":    (30/2.0 + 40/1.0) / 2, // (80-50)/(3-1) and (240-200)/(2-1)
				"ok-%":       100,
			}},
		{"a ramp request counts for rates and in no latency",
			[]Sample{func() Sample { s := reply(0, 10); s.Measured = false; return s }(), reply(20, 100, 120)},
			map[string]float64{"tokens/s": 3 / 0.120, "req/s": 2 / 0.120, "ttft-ms": 80, "latency-ms": 100, "tpot-ms": 20}},
		{"a failed request is in no latency, and its arrivals end the span",
			[]Sample{reply(0, 50, 60), func() Sample {
				s := reply(0, 400, 500)
				s.Status, s.Class = Failed, engines.Reset
				return s
			}()},
			map[string]float64{"tokens/s": 2 / 0.500, "req/s": 1 / 0.500, "ttft-ms": 50, "latency-ms": 60, "ok-%": 50}},
		{"several tokens in an event: the first event's are not decode steps",
			// 4 tokens at 100, 2 at 120, 2 at 160: (160-100)/(8-4).
			[]Sample{{Measured: true, Status: OK, FirstToken: at(100), LastToken: at(160), Tokens: ptr(8), FirstEvent: 4, Events: 3,
				Gaps: []time.Duration{at(20), at(40)}, GapTokens: []int{2, 2}}},
			map[string]float64{"tpot-ms": 15}},
		{"an open loop counts from the intended send",
			[]Sample{func() Sample { s := reply(30, 50); s.Intended, s.Origin = 0, 0; return s }()},
			map[string]float64{"ttft-ms": 50, "latency-ms": 50}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := Summarize(outcome(two, test.samples...))
			for unit, want := range test.want {
				require.InDelta(t, want, m.Metrics[unit], 1e-9, unit)
			}
			require.Equal(t, m.Sent, m.OK+m.Failed+m.Cancelled)
		})
	}
}

func TestMetricsThatDoNotExistAreAbsent(t *testing.T) {
	uncounted := reply(0, 50, 60)
	uncounted.Tokens, uncounted.FirstEvent, uncounted.GapTokens = nil, 0, []int{0}
	usageOnly := reply(0, 50, 60)
	usageOnly.FirstEvent, usageOnly.GapTokens = 0, []int{0}
	failed := reply(0, 50)
	failed.Status = Failed
	one := Shape{Concurrency: 1, Requests: 1}
	for _, test := range []struct {
		name    string
		samples []Sample
		absent  []string
	}{
		{"nothing was sent", nil, []string{"tokens/s", "ttft-ms", "ok-%", "req/s", "latency-ms"}},
		{"nothing succeeded", []Sample{failed}, []string{"tokens/s", "ttft-ms", "latency-ms", "tpot-ms", "req/s"}},
		{"no counts", []Sample{uncounted}, []string{"tokens/s", "tpot-ms", "steady-tokens/s", "itl-p50-ms"}},
		{"no counts by event", []Sample{usageOnly}, []string{"tpot-ms", "itl-p50-ms", "steady-tokens/s"}},
		{"one token has no time per token", []Sample{reply(0, 50)}, []string{"tpot-ms", "itl-p50-ms"}},
		{"few samples have no percentiles", []Sample{reply(0, 50, 60)}, []string{"ttft-p50-ms", "ttft-p90-ms", "ttft-p99-ms", "latency-p50-ms"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := Summarize(outcome(one, test.samples...))
			for _, unit := range test.absent {
				require.NotContains(t, m.Metrics, unit)
			}
			for unit, v := range m.Metrics {
				require.False(t, math.IsNaN(v) || math.IsInf(v, 0), unit)
			}
		})
	}
}

func TestPercentilesNeedTheirUpperRank(t *testing.T) {
	samples := make([]Sample, 299)
	for i := range samples {
		samples[i] = reply(0, i+1, i+2) // TTFT 1 … 299 ms
	}
	m := Summarize(outcome(Shape{Concurrency: 1, Requests: 299}, samples...))
	require.InDelta(t, 150, m.Metrics["ttft-p50-ms"], 1e-9) // ceil(0.50 × 299) = 150
	require.InDelta(t, 270, m.Metrics["ttft-p90-ms"], 1e-9) // ceil(0.90 × 299) = 270
	require.InDelta(t, 297, m.Metrics["ttft-p99-ms"], 1e-9) // ceil(0.99 × 299) = 297

	m = Summarize(outcome(Shape{Concurrency: 1, Requests: 298}, samples[:298]...))
	require.NotContains(t, m.Metrics, "ttft-p99-ms")
	require.Contains(t, m.Metrics, "ttft-p90-ms")
}

func TestAQuantileIsNeverTheMaximum(t *testing.T) {
	for _, test := range []struct {
		n    int
		q    float64
		want int
		ok   bool
	}{
		{0, 0.5, 0, false},
		{1, 0.5, 0, false}, // ceil(0.5) = 1, the maximum of one
		{2, 0.5, 1, true},
		{4, 0.5, 2, true},
		{100, 0.99, 99, true},
		{99, 0.99, 0, false}, // ceil(98.01) = 99, the maximum
	} {
		values := make([]int, test.n)
		for i := range values {
			values[i] = i + 1
		}
		got, ok := Quantile(values, test.q)
		require.Equal(t, test.ok, ok, "%+v", test)
		require.Equal(t, test.want, got, "%+v", test)
	}
}

func TestSteadyCountsWhileAllSlotsAreInFlight(t *testing.T) {
	// Slot 1: 0 to 100; slot 2: 20 to 60, then 95 to 130. Both from 20 to 60
	// and from 95 to 100: 45 ms; the break of 35 is longer than a decode step
	// of 30 (the median of (100-10)/3, 20, 25). Tokens in it: slot 1 at 30 and
	// 100; slot 2 at 40 and 60. Not: slot 1 at 10 and 80, slot 2 at 105 and 130.
	samples := []Sample{reply(0, 10, 30, 80, 100), reply(20, 40, 60), reply(95, 105, 130)}
	d, tokens, known := Steady(samples, 2)
	require.True(t, known)
	require.Equal(t, at(45), d)
	require.Equal(t, 4, tokens)
}

func TestSteadyLeavesOutNoTokensOfAStepInWhichASlotChanged(t *testing.T) {
	// As above, but slot 2's second request comes at 70: a break of 10 is
	// within a decode step, so both were in flight from 20 to 100. Tokens in
	// it: slot 1 at 30, 80, 100; slot 2 at 40, 60, 90.
	samples := []Sample{reply(0, 10, 30, 80, 100), reply(20, 40, 60), reply(70, 90, 130)}
	d, tokens, known := Steady(samples, 2)
	require.True(t, known)
	require.Equal(t, at(80), d)
	require.Equal(t, 6, tokens)
	m := Summarize(outcome(Shape{Concurrency: 2, Requests: 3}, samples...))
	require.InDelta(t, 6/0.080, m.Metrics["steady-tokens/s"], 1e-9)
}

func TestFullnessIsTheShareOfTheSlotsTime(t *testing.T) {
	// Both slots from 0; slot 2 idles from 50 to 90, which is the last send:
	// (90 + 50) of 2 × 90.
	samples := []Sample{reply(0, 200), reply(0, 50), reply(90, 200)}
	share, ok := Fullness(samples, 2)
	require.True(t, ok)
	require.InDelta(t, 140.0/180, share, 1e-9)
}

func TestARequestThatGaveNothingHeldItsSlotUntilItWasFree(t *testing.T) {
	// Slot 2's request brought nothing and timed out at 190: both were in
	// flight from 0 to 190, in which slot 1 got 2 tokens.
	silent := Sample{Status: Failed, Class: engines.TTFTTimeout, Send: at(0), Origin: at(0), Released: at(190)}
	samples := []Sample{reply(0, 50, 100, 200), silent}
	d, tokens, known := Steady(samples, 2)
	require.True(t, known)
	require.Equal(t, at(190), d)
	require.Equal(t, 2, tokens)
}

func TestSlotsThatWereNeverFullTogetherFillNothing(t *testing.T) {
	samples := []Sample{reply(0, 50), reply(60, 100), reply(110, 150)}
	share, ok := Fullness(samples, 3)
	require.True(t, ok)
	require.Zero(t, share)
	_, ok = Fullness(samples, 4) // so many were not even sent
	require.False(t, ok)
}

func TestITLIsAbsentWhereEventsSharedReads(t *testing.T) {
	tokens := make([]int, 500)
	for i := range tokens {
		tokens[i] = 10 * (i + 1)
	}
	s := reply(0, tokens...)
	m := Summarize(outcome(Shape{Concurrency: 1, Requests: 1}, s))
	require.InDelta(t, 10, m.Metrics["itl-p50-ms"], 1e-9)
	require.InDelta(t, 10, m.Metrics["itl-p99-ms"], 1e-9)
	s.Coalesced = 26 // of 500: 5.2 %
	m = Summarize(outcome(Shape{Concurrency: 1, Requests: 1}, s))
	require.NotContains(t, m.Metrics, "itl-p50-ms")
	require.InDelta(t, 5.2, m.Metrics["coalesced-%"], 1e-9)
}

func TestRunsArePooled(t *testing.T) {
	one := Shape{Concurrency: 1, Requests: 1}
	m := Summarize(outcome(one, reply(0, 50, 100)), outcome(one, reply(1000, 1100, 1300)))
	require.InDelta(t, 4/(0.100+0.300), m.Metrics["tokens/s"], 1e-9) // spans add up: 100 and 300 ms
	require.InDelta(t, 75, m.Metrics["ttft-ms"], 1e-9)
}

func TestEveryMetricIsDeclared(t *testing.T) {
	samples := make([]Sample, 400)
	for i := range samples {
		samples[i] = reply(i, i+10, i+20, i+30)
		samples[i].Connect, samples[i].Head, samples[i].FirstChunk = 1, at(i+5), at(i+9)
	}
	o := outcome(Shape{Concurrency: 2, Requests: 400}, samples...)
	o.Delays, o.Chunks, o.Witness.CPU = make([]time.Duration, 400), 400, time.Second
	m := Summarize(o)
	for unit := range m.Metrics {
		_, ok := Lookup(unit)
		require.True(t, ok, unit)
	}
	for _, metric := range Metrics {
		require.Contains(t, m.Metrics, metric.Unit, "declared and never computed")
		require.NotZero(t, metric.Better)
		require.NotEmpty(t, metric.Text)
	}
}

// All tokens of every reply came in one read: how fast they came is not known.
func TestTPOTIsAbsentWhereItWouldBeZero(t *testing.T) {
	o := sound()
	for i := range o.Samples {
		o.Samples[i].LastToken = o.Samples[i].FirstToken
	}
	m := Summarize(o).Metrics
	require.NotContains(t, m, "tpot-ms")
	require.Contains(t, m, "ttft-ms")
}
