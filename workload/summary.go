package workload

import (
	"slices"
	"time"

	"enginebench/engines"
)

// Summary is one cell, from one run or from several of the same shape.
type Summary struct {
	Metrics                     map[string]float64 // by unit; a metric that does not exist is absent, never 0
	Sent, OK, Failed, Cancelled int
	ByClass                     map[engines.Class]int
}

// maxCoalesced is the share of token events that may share a read with another
// before gaps between events stop meaning anything: the kernel then has one
// stamp for several.
const maxCoalesced = 0.05

// Summarize computes the metrics of a cell. Latencies are pooled over runs;
// rates are sums over runs divided by sums of time.
func Summarize(outcomes ...Outcome) Summary {
	m := Summary{Metrics: map[string]float64{}, ByClass: map[engines.Class]int{}}
	planned := 0       // of one run: repeats must not give a cell metrics that its neighbour lacks
	var good []*Sample // measured and ok
	for _, o := range outcomes {
		planned = max(planned, o.Plan.Shape.Requests)
		for i := range o.Samples {
			s := &o.Samples[i]
			m.count(s)
			if s.Measured && s.Status == OK {
				good = append(good, s)
			}
		}
	}
	m.rates(outcomes)
	m.latencies("ttft", planned, collect(good, (*Sample).TTFT))
	m.latencies("latency", planned, collect(good, (*Sample).Latency))
	m.perToken(good, planned)
	m.phases(good)
	m.client(outcomes)
	if m.Sent > 0 {
		m.Metrics["ok-%"] = 100 * float64(m.OK) / float64(m.Sent)
	}
	return m
}

func (m *Summary) count(s *Sample) {
	m.Sent++
	switch s.Status {
	case OK:
		m.OK++
	case Failed:
		m.Failed++
		m.ByClass[s.Class]++
	case Cancelled:
		m.Cancelled++
		m.ByClass[s.Class]++
	}
}

// rates are the metrics that divide by time. Ramp requests count: the engine
// worked on them within the span.
func (m *Summary) rates(outcomes []Outcome) {
	var span, steady time.Duration
	var ok, tokens, steadyTokens int
	counted, steadyKnown := true, true
	for _, o := range outcomes {
		span += Span(o.Samples)
		for i := range o.Samples {
			if s := &o.Samples[i]; s.Status == OK {
				ok++
				if s.Tokens == nil {
					counted = false
				} else {
					tokens += *s.Tokens
				}
			}
		}
		d, n, known := Steady(o.Samples, o.Plan.Concurrency)
		steady, steadyTokens, steadyKnown = steady+d, steadyTokens+n, steadyKnown && known && !o.Plan.Load.Open()
	}
	if span <= 0 || ok == 0 {
		return
	}
	m.Metrics["req/s"] = float64(ok) / span.Seconds()
	if counted {
		m.Metrics["tokens/s"] = float64(tokens) / span.Seconds()
	}
	if steadyKnown && steady > 0 && steadyTokens > 0 {
		m.Metrics["steady-tokens/s"] = float64(steadyTokens) / steady.Seconds()
	}
}

// Span is the time from the first send to the last token-bearing arrival of
// any request, 0 if there is none.
func Span(samples []Sample) time.Duration {
	var first, last time.Duration
	seen := false
	for i := range samples {
		s := &samples[i]
		if s.Send != 0 || s.LastToken != 0 {
			if !seen || s.Send < first {
				first = s.Send
			}
			seen = true
		}
		last = max(last, s.LastToken)
	}
	return max(last-first, 0)
}

func collect(samples []*Sample, value func(*Sample) (time.Duration, bool)) []time.Duration {
	var all []time.Duration
	for _, s := range samples {
		if d, ok := value(s); ok {
			all = append(all, d)
		}
	}
	return all
}

// latencies reports the mean and those quantiles whose upper rank the planned
// number of samples has. Going by the plan, every run of a cell has the same
// latencies, also one in which requests failed.
func (m *Summary) latencies(name string, planned int, values []time.Duration) {
	if len(values) == 0 {
		return
	}
	m.Metrics[name+"-ms"] = ms(mean(values))
	values = sorted(values)
	for _, r := range ranks {
		if v, ok := Quantile(values, r.q); ok && planned >= r.least {
			m.Metrics[name+"-"+r.name+"-ms"] = ms(float64(v))
		}
	}
}

// perToken reports TPOT and ITL where the engine says how many tokens its
// events carried.
func (m *Summary) perToken(good []*Sample, planned int) {
	var tpots, itls []float64
	var events, coalesced int
	known := true
	for _, s := range good {
		events, coalesced = events+s.Events, coalesced+s.Coalesced
		known = known && s.Tokens != nil && s.FirstEvent > 0 && !slices.Contains(s.GapTokens, 0)
		if known && *s.Tokens > s.FirstEvent {
			tpots = append(tpots, float64(s.LastToken-s.FirstToken)/float64(*s.Tokens-s.FirstEvent))
		}
		for i, gap := range s.Gaps {
			itls = append(itls, float64(gap)/float64(max(s.GapTokens[i], 1)))
		}
	}
	if events > 0 {
		m.Metrics["coalesced-%"] = 100 * float64(coalesced) / float64(events)
	}
	if !known || len(tpots) == 0 {
		return
	}
	if tpot := mean(tpots); tpot > 0 { // 0: every reply's tokens came in one read, and how fast is not known
		m.Metrics["tpot-ms"] = ms(tpot)
	}
	if float64(coalesced) > maxCoalesced*float64(events) {
		return
	}
	slices.Sort(itls)
	for _, r := range []rank{ranks[0], ranks[2]} {
		if v, ok := Quantile(itls, r.q); ok && len(itls) >= r.least {
			m.Metrics["itl-"+r.name+"-ms"] = ms(v)
		}
	}
}

// phases splits TTFT: how long a dial inside the request took, and when head
// and first chunk came.
func (m *Summary) phases(good []*Sample) {
	phase := func(unit string, at func(s *Sample) time.Duration) {
		values := collect(good, func(s *Sample) (time.Duration, bool) { d := at(s); return d, d > 0 })
		if len(values) > 0 {
			m.Metrics[unit] = ms(mean(values))
		}
	}
	phase("connect-ms", func(s *Sample) time.Duration { return s.Connect })
	phase("head-ms", func(s *Sample) time.Duration { return s.Head - s.Origin })
	phase("first-chunk-ms", func(s *Sample) time.Duration { return s.FirstChunk - s.Origin })
	lags := sorted(collect(good, func(s *Sample) (time.Duration, bool) { return s.Send - s.Intended, true }))
	if v, ok := Quantile(lags, 0.99); ok {
		m.Metrics["dispatch-lag-p99-us"] = us(v)
	}
}

// client reports the client's own part: its delay and its CPU time a chunk.
func (m *Summary) client(outcomes []Outcome) {
	var delays []time.Duration
	var cpu time.Duration
	chunks, cycles := 0, 0
	for _, o := range outcomes {
		delays = append(delays, o.Delays...)
		cpu, chunks, cycles = cpu+o.Witness.CPU, chunks+o.Chunks, cycles+o.Witness.GCCycles
	}
	slices.Sort(delays)
	if v, ok := Quantile(delays, 0.99); ok && len(delays) >= ranks[2].least {
		m.Metrics["client-p99-us"] = us(v)
	}
	if cpu > 0 && chunks > 0 {
		m.Metrics["client-cpu-us/chunk"] = us(cpu) / float64(chunks)
		m.Metrics["gc-cycles"] = float64(cycles)
	}
}

func mean[T time.Duration | float64](values []T) float64 {
	var sum float64
	for _, v := range values {
		sum += float64(v)
	}
	return sum / float64(len(values))
}

func ms(ns float64) float64      { return ns / 1e6 }
func us(d time.Duration) float64 { return float64(d) / 1e3 }
