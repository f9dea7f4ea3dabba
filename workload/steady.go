package workload

import (
	"slices"
	"time"
)

// interval is a stretch of time, its start excluded and its end included, so
// that a reply's last token falls into the stretch in which it was in flight.
type interval struct{ from, to time.Duration }

// full finds when at least c requests were in flight. A request is in flight
// from its send to the end of its reply.
func full(samples []Sample, c int) []interval {
	type step struct {
		at    time.Duration
		delta int
	}
	var steps []step
	for i := range samples {
		s := &samples[i]
		if end := max(s.End, s.LastToken); s.Send != 0 || end != 0 {
			steps = append(steps, step{s.Send, +1}, step{max(end, s.Send), -1})
		}
	}
	// At one instant ends come first: a slot's next request does not overlap
	// the one before it.
	slices.SortFunc(steps, func(a, b step) int {
		if a.at != b.at {
			return int(min(max(a.at-b.at, -1), 1))
		}
		return a.delta - b.delta
	})
	var found []interval
	inFlight := 0
	for _, s := range steps {
		before := inFlight
		inFlight += s.delta
		switch {
		case before < c && inFlight >= c:
			found = append(found, interval{from: s.at})
		case before >= c && inFlight < c:
			found[len(found)-1].to = s.at
		}
	}
	return found
}

// Steady is how long all c slots were in flight at once, and how many tokens
// arrived in that time; known is false if some event's tokens are not known.
//
// A slot that takes its next request within a decode step has missed none and
// counts as in flight all along. Otherwise the tokens that the other slots get
// in the same step, microseconds after its last, would be left out together
// with hardly any time.
func Steady(samples []Sample, c int) (d time.Duration, tokens int, known bool) {
	stretches := joined(full(samples, c), decodeStep(samples))
	for _, s := range stretches {
		d += s.to - s.from
	}
	for i := range samples {
		s := &samples[i]
		if s.Events == 0 {
			continue
		}
		if s.FirstEvent == 0 || slices.Contains(s.GapTokens, 0) {
			return d, 0, false
		}
		at := s.FirstToken
		if within(stretches, at) {
			tokens += s.FirstEvent
		}
		for k, gap := range s.Gaps {
			if at += gap; within(stretches, at) {
				tokens += s.GapTokens[k]
			}
		}
	}
	return d, tokens, true
}

// decodeStep is the median over requests of the mean time between events.
func decodeStep(samples []Sample) time.Duration {
	var steps []time.Duration
	for i := range samples {
		if s := &samples[i]; s.Events > 1 {
			steps = append(steps, (s.LastToken-s.FirstToken)/time.Duration(s.Events-1))
		}
	}
	if len(steps) == 0 {
		return 0
	}
	return median(steps)
}

// joined closes the breaks of at most d between stretches.
func joined(stretches []interval, d time.Duration) []interval {
	var all []interval
	for _, s := range stretches {
		if n := len(all); n > 0 && s.from-all[n-1].to <= d {
			all[n-1].to = s.to
		} else {
			all = append(all, s)
		}
	}
	return all
}

func within(stretches []interval, t time.Duration) bool {
	i, _ := slices.BinarySearchFunc(stretches, t, func(s interval, t time.Duration) int {
		if s.to < t {
			return -1
		}
		return 1
	})
	return i < len(stretches) && stretches[i].from < t
}

// Fullness is the share of the dispatch window in which all c slots were in
// flight: from when they first were to the last send. Ramp and tail lie
// outside it, so anything below 1 is the client's doing, or a slot's dial.
func Fullness(samples []Sample, c int) (share float64, ok bool) {
	stretches := full(samples, c)
	if len(stretches) == 0 {
		return 0, false
	}
	first, last := stretches[0].from, time.Duration(0)
	for i := range samples {
		last = max(last, samples[i].Send)
	}
	if last <= first {
		return 0, false
	}
	var filled time.Duration
	for _, s := range stretches {
		filled += max(min(s.to, last)-s.from, 0)
	}
	return float64(filled) / float64(last-first), true
}
