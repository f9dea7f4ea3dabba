package workload

import (
	"fmt"
	"math"
	"time"

	"enginebench/engines"
	"enginebench/engines/capture"
)

// The bounds of a verdict, each with its reason.
const (
	maxDrift       = 0.01                  // clocks: MLPerf LoadGen fails a run beyond 1 %
	minAchieved    = 0.98                  // rate of an open loop: below it another load was measured than the label says
	minFull        = 0.90                  // share of the window with all slots in flight: below it the concurrency of the name was not run
	maxStolen      = 0.01                  // time taken from the machine or the process: beyond it late stamps are not the engine's
	maxOpenLag     = 0.05                  // dispatch lag p99 as a share of TTFT: it is inside open-loop latencies
	maxLate        = 0.05                  // share of chunks that hide when an event came: as of coalesced events
	maxUserError   = 0.10                  // of the median gap: what user stamps may err by
	maxCanaryError = 0.01                  // of the truth
	chunkCost      = 10 * time.Microsecond // a chunk's CPU time at the most; streams of one decode step queue behind each other
)

// Judgement is a verdict with its reasons.
type Judgement struct {
	Verdict Verdict
	Reasons []string
}

// Judge says whether the numbers of a cell can be trusted. maxErrors is the
// run's error budget, as in [Limits].
func Judge(m Summary, maxErrors int, outcomes ...Outcome) Judgement {
	if reasons := invalid(m, maxErrors, outcomes); len(reasons) > 0 {
		return Judgement{Invalid, reasons}
	}
	if reasons := suspect(m, outcomes); len(reasons) > 0 {
		return Judgement{Suspect, reasons}
	}
	return Judgement{Verdict: Valid}
}

func invalid(m Summary, maxErrors int, outcomes []Outcome) (reasons []string) {
	say := func(format string, args ...any) { reasons = append(reasons, fmt.Sprintf(format, args...)) }
	if m.Sent != m.OK+m.Failed+m.Cancelled {
		say("the accounts are wrong: %d sent, %d ok + %d failed + %d cancelled", m.Sent, m.OK, m.Failed, m.Cancelled)
	}
	if n := m.ByClass[engines.WrongCount]; n > 0 {
		say("%d of %d replies had another number of output tokens than was forced", n, m.Sent)
	}
	if maxErrors >= 0 && m.Failed > maxErrors*len(outcomes) {
		say("%d of %d requests failed, %d may (-max-errors): %s", m.Failed, m.Sent, maxErrors*len(outcomes), firstError(outcomes))
	}
	if m.OK == 0 && m.Sent > 0 && len(reasons) == 0 {
		say("no request succeeded: %s", firstError(outcomes))
	}
	for _, o := range outcomes {
		if o.Stopped != nil {
			say("the run was given up: %v", o.Stopped)
		}
		if math.Abs(o.Witness.Drift) > maxDrift {
			say("the clocks drifted apart by %.1f %%", 100*o.Witness.Drift)
		}
		if share, ok := achieved(o); ok && share < minAchieved {
			say("%.1f %% of the rate was achieved, at least %.0f %% must be", 100*share, 100*minAchieved)
		}
	}
	return reasons
}

func firstError(outcomes []Outcome) string {
	for _, o := range outcomes {
		for i := range o.Samples {
			if s := &o.Samples[i]; s.Status == Failed {
				return fmt.Sprintf("request %d: %s: %s", s.Index, s.Class, s.Error)
			}
		}
	}
	return "no error is known"
}

// achieved is the rate at which an open loop sent, as a share of its plan's.
// ok is false where requests waited for a slot, which is the engine's overload
// and not the client's failure.
func achieved(o Outcome) (share float64, ok bool) {
	n := len(o.Samples)
	if !o.Plan.Load.Open() || n < 2 {
		return 0, false
	}
	planned := o.Samples[n-1].Intended - o.Samples[0].Intended
	var last time.Duration
	for i := range o.Samples {
		last = max(last, o.Samples[i].Send)
	}
	if busiest(o.Samples) >= o.Plan.Concurrency || last <= o.Samples[0].Send {
		return 0, false
	}
	return float64(planned) / float64(last-o.Samples[0].Send), true
}

// busiest is the most requests that were in flight at once.
func busiest(samples []Sample) int {
	most := 0
	for _, s := range inFlight(samples) {
		most = max(most, s.n)
	}
	return most
}

func suspect(m Summary, outcomes []Outcome) (reasons []string) {
	say := func(format string, args ...any) { reasons = append(reasons, fmt.Sprintf(format, args...)) }
	if share := m.Metrics["coalesced-%"]; share > 100*maxCoalesced {
		say("%.1f %% of token events shared a read with another: gaps between tokens are not known", share)
	}
	if lag, ttft := ms(float64(openLag(outcomes))), m.Metrics["ttft-ms"]; lag > maxOpenLag*ttft {
		say("requests were sent up to %.1f ms after their intended time (p99), which is inside a TTFT of %.1f ms: the client was late, or no slot was free", lag, ttft)
	}
	for _, o := range outcomes {
		reasons = append(reasons, suspectRun(o)...)
	}
	return reasons
}

// suspectRun is what is to be said of one run, whatever the others are.
func suspectRun(o Outcome) (reasons []string) {
	say := func(format string, args ...any) { reasons = append(reasons, fmt.Sprintf(format, args...)) }
	if share, ok := Fullness(o.Samples, o.Plan.Concurrency); ok && share < minFull && !o.Plan.Load.Open() && !o.Plan.Load.Waves {
		say("the %d slots were in flight for %.0f %% of their time only, while there was more to send", o.Plan.Concurrency, 100*share)
	}
	if hits, queries, source := prefixHits(o); hits > 0 {
		say("%.0f of %.0f prompt tokens came from the engine's prefix cache, by %s", hits, queries, source)
	}
	if o.Witness.Steal > maxStolen {
		say("%.1f %% of the machine's time was stolen by its host", 100*o.Witness.Steal)
	}
	if o.Witness.Throttled > 0 && float64(o.Witness.Throttled) > maxStolen*float64(Span(o.Samples)) {
		say("the client was throttled for %v by its CPU quota", o.Witness.Throttled)
	}
	if c := o.Canary; c != nil && c.Off() > maxCanaryError {
		say("scripted streams through the same client read a TTFT of %.3f ms and a TPOT of %.3f ms where %.3f and %.3f ms are true",
			ms(float64(c.TTFT+c.TTFTError)), ms(float64(c.TPOT+c.TPOTError)), ms(float64(c.TTFT)), ms(float64(c.TPOT)))
	}
	if c := o.Canary; c != nil && c.TokensError != 0 {
		say("scripted streams through the same client read %d tokens where %d are true", c.Tokens+c.TokensError, c.Tokens)
	}
	if rate := chunkRate(o); o.Knee > 0 && rate > o.Knee {
		say("%.0f chunks a second came, and this machine's client was calibrated for %.0f (make calibrate)", rate, o.Knee)
	}
	if share := float64(o.Late) / float64(max(o.Chunks, 1)); share > maxLate {
		say("%d of %d chunks (%.1f %%) hold events that came more than %v before the arrival that is known of them: the path cuts the stream inside of its HTTP chunks, so TTFT and gaps are later than the engine's",
			o.Late, o.Chunks, 100*share, capture.Apart)
	}
	if late, ok := userStampError(o); ok {
		say("arrivals are the program's own times (stamp=user), which may be up to %v late with %d streams", late, o.Plan.Concurrency)
	}
	return reasons
}

// openLag is the 99th percentile of how late an open loop sent, the largest
// where there are too few for one; 0 for other loads.
func openLag(outcomes []Outcome) time.Duration {
	var lags []time.Duration
	for _, o := range outcomes {
		if o.Plan.Load.Open() {
			lags = append(lags, collect(pointers(o.Samples), func(s *Sample) (time.Duration, bool) { return s.Send - s.Intended, s.Send != 0 })...)
		}
	}
	if len(lags) == 0 {
		return 0
	}
	lags = sorted(lags)
	if p99, ok := Quantile(lags, 0.99); ok {
		return p99
	}
	return lags[len(lags)-1]
}

func chunkRate(o Outcome) float64 {
	span := Span(o.Samples)
	if span <= 0 {
		return 0
	}
	return float64(o.Chunks) / span.Seconds()
}

func cachedTokens(samples []Sample) (cached, prompt int) {
	for i := range samples {
		if s := &samples[i]; s.CachedLen != nil {
			cached, prompt = cached+*s.CachedLen, prompt+max(s.EnginePromptLen, s.PromptLen)
		}
	}
	return cached, prompt
}

// userStampError estimates how late user stamps may be when the streams of a
// decode step arrive at once and are read one after the other, and reports it
// where that matters beside the median gap between tokens, or beside the median
// TTFT of replies that have no gap.
func userStampError(o Outcome) (late time.Duration, matters bool) {
	var gaps, ttfts []time.Duration
	for i := range o.Samples {
		s := &o.Samples[i]
		if s.Stamp != capture.User.String() {
			continue
		}
		gaps = append(gaps, s.Gaps...)
		if ttft, ok := s.TTFT(); ok {
			ttfts = append(ttfts, ttft)
		}
	}
	if len(gaps) == 0 {
		gaps = ttfts
	}
	gap, ok := Quantile(sorted(gaps), 0.5)
	late = time.Duration(o.Plan.Concurrency) * chunkCost
	return late, ok && float64(late) > maxUserError*float64(gap)
}
