package workload

import (
	"fmt"
	"strconv"
	"strings"
)

// Budget is how many requests of a run may fail before the run has no numbers.
// The zero value is none.
type Budget struct {
	count   int
	percent float64 // of the measured requests, where it is not 0
}

// ParseBudget reads -max-errors: a number, or a share as "1%".
func ParseBudget(s string) (Budget, error) {
	if share, ok := strings.CutSuffix(s, "%"); ok {
		if f, err := strconv.ParseFloat(share, 64); err == nil && f >= 0 && f <= 100 {
			return Budget{percent: f}, nil
		}
	} else if k, err := strconv.Atoi(s); err == nil && k >= 0 {
		return Budget{count: k}, nil
	}
	return Budget{}, fmt.Errorf("%q: want a number, or a share from 0%% to 100%%", s)
}

// Of is how many of n requests may fail.
func (b Budget) Of(n int) int {
	const inexact = 1e-9 // 0.07 % of 10000 is 7, if not of the floating-point numbers
	return b.count + int(b.percent*float64(n)/100+inexact)
}
