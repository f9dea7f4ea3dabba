package workload

import (
	"fmt"
	"strconv"
	"strings"
)

// Load is the shape of a run's load. The zero value is the closed loop.
type Load struct {
	Waves bool
	Rate  float64 // requests a second of the open loop; 0: not an open loop
}

// ParseLoad reads -load: "closed", "waves" or "rate=8".
func ParseLoad(s string) (Load, error) {
	switch rate, open := strings.CutPrefix(s, "rate="); {
	case s == "closed":
		return Load{}, nil
	case s == "waves":
		return Load{Waves: true}, nil
	case open:
		r, err := strconv.ParseFloat(rate, 64)
		if err == nil && r > 0 && r <= 1e6 {
			return Load{Rate: r}, nil
		}
	}
	return Load{}, fmt.Errorf("parse load %q: want closed, waves, or rate=N with N requests a second", s)
}

// String is the spelling that [ParseLoad] reads.
func (l Load) String() string {
	switch {
	case l.Waves:
		return "waves"
	case l.Open():
		return "rate=" + strconv.FormatFloat(l.Rate, 'g', -1, 64)
	}
	return "closed"
}

// Open reports whether the load is an open loop.
func (l Load) Open() bool { return l.Rate > 0 }

// Cell is the last part of a benchmark's name at a concurrency, which an open
// loop has none of: "concurrency=32", "wave=32", "rate=8".
func (l Load) Cell(concurrency int) string {
	switch {
	case l.Waves:
		return "wave=" + strconv.Itoa(concurrency)
	case l.Open():
		return l.String()
	}
	return "concurrency=" + strconv.Itoa(concurrency)
}
