package relabel

import (
	"cmp"
	"math"
	"slices"
)

// Tally counts the requests of one side.
type Tally struct{ OK, Sent int }

// Failed is how many of the requests did not succeed.
func (t Tally) Failed() int { return t.Sent - t.OK }

// Percent is the share of successful requests; NaN where none was sent.
func (t Tally) Percent() float64 { return 100 * float64(t.OK) / float64(t.Sent) }

// Requests is the p-value of more failed requests on the new side: of all ways
// to hand the failures out to the requests of both sides, the share that gives
// the new side at least as many (Fisher's exact test, one-sided). It takes the
// requests for independent; swap the arguments for the other direction.
func Requests(old, new Tally) float64 {
	failed, sent := old.Failed()+new.Failed(), old.Sent+new.Sent
	// P(k failures on the new side) = C(new.Sent, k) C(old.Sent, failed-k) / C(sent, failed)
	p := 0.0
	for k := new.Failed(); k <= min(failed, new.Sent); k++ {
		if failed-k > old.Sent {
			continue
		}
		p += math.Exp(logChoose(new.Sent, k) + logChoose(old.Sent, failed-k) - logChoose(sent, failed))
	}
	return min(1, p)
}

func logChoose(n, k int) float64 {
	lg := func(n int) float64 { v, _ := math.Lgamma(float64(n) + 1); return v }
	return lg(n) - lg(k) - lg(n-k)
}

// Holm adjusts p-values for their number so that the smallest that is <= alpha
// is so by chance with at most the probability alpha (Holm, 1979).
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(p[i], p[j]) })
	out := make([]float64, len(p))
	last := 0.0
	for k, i := range order {
		last = max(last, min(1, p[i]*float64(len(p)-k)))
		out[i] = last
	}
	return out
}
