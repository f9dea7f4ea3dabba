package workload

import (
	"cmp"
	"slices"
	"time"
)

// interval is a stretch of time, its start excluded and its end included, so
// that a reply's last token falls into the stretch in which it was in flight.
type interval struct{ from, to time.Duration }

// step is a moment at which the number of requests in flight changed to n.
type step struct {
	at time.Duration
	n  int
}

// inFlight is how many requests were in flight, over time. A request is in
// flight from its send to the end of its reply, or, if that never came, until
// its slot was free again.
func inFlight(samples []Sample) []step {
	type change struct {
		at    time.Duration
		delta int
	}
	var changes []change
	for i := range samples {
		s := &samples[i]
		if end := s.gone(); s.Send != 0 || end != 0 {
			changes = append(changes, change{s.Send, +1}, change{max(end, s.Send), -1})
		}
	}
	// At one instant ends come first: a slot's next request does not overlap
	// the one before it.
	slices.SortFunc(changes, func(a, b change) int { return cmp.Or(cmp.Compare(a.at, b.at), a.delta-b.delta) })
	steps := make([]step, len(changes))
	n := 0
	for i, c := range changes {
		n += c.delta
		steps[i] = step{c.at, n}
	}
	return steps
}

// gone is when the request was no longer in flight. A clean end is taken from
// the reply, since the slot may notice it late.
func (s *Sample) gone() time.Duration {
	if s.End != 0 {
		return max(s.End, s.LastToken)
	}
	return max(s.LastToken, s.Released)
}

// full finds when at least c requests were in flight.
func full(samples []Sample, c int) []interval {
	var found []interval
	before := 0
	for _, s := range inFlight(samples) {
		switch {
		case before < c && s.n >= c:
			found = append(found, interval{from: s.at})
		case before >= c && s.n < c:
			found[len(found)-1].to = s.at
		}
		before = s.n
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

// Fullness is the share of the slots' time in which they were in flight,
// within the dispatch window: from when all c first were to the last send. Ramp
// and tail lie outside it, so what is missing to 1 is the client's doing, or a
// slot's dial.
func Fullness(samples []Sample, c int) (share float64, ok bool) {
	stretches := full(samples, c)
	if len(stretches) == 0 {
		return 0, len(samples) >= c // never all in flight together, though so many were sent
	}
	from, to := stretches[0].from, time.Duration(0)
	for i := range samples {
		to = max(to, samples[i].Send)
	}
	if to <= from {
		return 0, false
	}
	var busy time.Duration
	last := step{at: from}
	for _, s := range inFlight(samples) {
		at := min(max(s.at, from), to)
		busy += time.Duration(min(last.n, c)) * (at - last.at)
		last = step{at, s.n}
	}
	return float64(busy) / float64(c) / float64(to-from), true
}
