package distribution

import (
	"time"

	"enginebench/workload"
)

// maxBins bounds a timeline: more detail than a picture can show would only be
// the beat between bins and tokens.
const maxBins = 128

// Timeline is how a run's load and its tokens went over time, in bins of equal
// width. The width doubles as the run gets longer, from a millisecond on, so
// its size does not depend on the run's length. The zero value is ready.
type Timeline struct {
	width time.Duration
	busy  []time.Duration // time in flight, summed over requests
	tok   []int64
}

// Width is the width of a bin.
func (t *Timeline) Width() time.Duration { return t.width }

// Len is the number of bins.
func (t *Timeline) Len() int { return len(t.busy) }

// InFlight is the mean number of requests in flight during bin i.
func (t *Timeline) InFlight(i int) float64 { return float64(t.busy[i]) / float64(t.width) }

// TokensPerSecond is the rate at which tokens arrived during bin i. Requests
// that failed bring none.
func (t *Timeline) TokensPerSecond(i int) float64 { return float64(t.tok[i]) / t.width.Seconds() }

func (t *Timeline) add(s *workload.Sample) {
	start, end := s.Send, max(s.End, s.LastToken)
	if start <= 0 {
		start = s.Origin
	}
	if end > start && start >= 0 {
		t.grow(end)
		for i := int(start / t.width); start < end; i++ {
			stop := min(end, time.Duration(i+1)*t.width)
			t.busy[i] += stop - start
			start = stop
		}
	}
	if s.Status != workload.OK || s.FirstToken <= 0 {
		return
	}
	at := s.FirstToken
	t.tokens(at, s.FirstEvent)
	if len(s.GapTokens) == len(s.Gaps) {
		for i, gap := range s.Gaps {
			at += max(gap, 0)
			t.tokens(at, s.GapTokens[i])
		}
	}
}

func (t *Timeline) tokens(at time.Duration, n int) {
	if at < 0 { // the sum of absurd gaps
		return
	}
	t.grow(at)
	t.tok[at/t.width] += int64(n)
}

// grow makes room for a time, by wider bins where there would be too many.
func (t *Timeline) grow(at time.Duration) {
	if t.width == 0 {
		t.width = time.Millisecond
	}
	for at/t.width >= maxBins {
		for i := range t.busy {
			if half := i / 2; i%2 == 0 {
				t.busy[half], t.tok[half] = t.busy[i], t.tok[i]
			} else {
				t.busy[half], t.tok[half] = t.busy[half]+t.busy[i], t.tok[half]+t.tok[i]
			}
		}
		n := (len(t.busy) + 1) / 2
		t.busy, t.tok = t.busy[:n], t.tok[:n]
		t.width *= 2
	}
	for need := int(at/t.width) + 1; len(t.busy) < need; {
		t.busy, t.tok = append(t.busy, 0), append(t.tok, 0)
	}
}
