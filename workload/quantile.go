package workload

import (
	"cmp"
	"math"
	"slices"
)

// rank is one of the quantiles that are reported, and the least number of
// planned samples that a run must have for its upper rank to exist: the least
// n with 1 - q^n >= 0.95, so that with 95 % confidence the largest of n
// samples lies above the quantile and need not be taken for it.
type rank struct {
	name  string
	q     float64
	least int
}

var ranks = []rank{
	{"p50", 0.50, 5},   // 0.5^5   = 0.031
	{"p90", 0.90, 29},  // 0.9^29  = 0.047
	{"p99", 0.99, 299}, // 0.99^299 = 0.0495
}

// Quantile is the nearest-rank quantile of sorted values: the smallest value
// that at least q of them do not exceed. ok is false where that would be the
// maximum, which says nothing of a quantile below 1, and where there are none.
func Quantile[T cmp.Ordered](sorted []T, q float64) (value T, ok bool) {
	n := len(sorted)
	at := int(math.Ceil(q * float64(n)))
	if at < 1 || at >= n {
		return value, false
	}
	return sorted[at-1], true
}

func sorted[T cmp.Ordered](values []T) []T {
	values = slices.Clone(values)
	slices.Sort(values)
	return values
}
