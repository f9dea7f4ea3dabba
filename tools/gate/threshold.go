package main

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// thresholds are the sizes up to which a change is none, in percent of the old
// value, or in points for units that are percents themselves. It is a
// [flag.Value].
type thresholds struct {
	all    float64
	byUnit map[string]float64
	set    map[string]bool // units that a flag named, as it spelt them
}

// Changes that matter, where nobody says otherwise. One failed request in a
// hundred is much, while timings of two runs differ by some percent for reasons
// that nobody would call a regression.
func defaultThresholds() thresholds {
	return thresholds{all: 5, byUnit: map[string]float64{okPercent: 1}, set: map[string]bool{}}
}

// of is the threshold of a unit, as package relabel wants it.
func (t *thresholds) of(unit string) (size float64) {
	size, ok := t.byUnit[unit]
	if !ok {
		size = t.all
	}
	if !inPoints(unit) {
		size /= 100
	}
	return size
}

// inPoints says whether changes of a unit are absolute: it is a percentage.
func inPoints(unit string) bool { return strings.HasSuffix(unit, "%") }

func (t *thresholds) Set(s string) error {
	// A unit may hold any character but "=".
	at := strings.LastIndex(s, "=")
	size, err := parseSize(s[at+1:])
	if err != nil {
		return err
	}
	if at < 0 {
		t.all = size
		return nil
	}
	if at == 0 {
		return errors.New("want unit=size, as ttft-ms=10%")
	}
	t.byUnit[tidy(s[:at])], t.set[s[:at]] = size, true
	return nil
}

func (t *thresholds) String() string {
	if t.byUnit == nil {
		return ""
	}
	text := fmt.Sprintf("%g%%", t.all)
	for _, unit := range slices.Sorted(maps.Keys(t.byUnit)) {
		text += fmt.Sprintf(" %s=%g", unit, t.byUnit[unit])
	}
	return text
}

// parseSize reads "5%" or "5": percent.
func parseSize(s string) (float64, error) {
	size, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(s), "%")), 64)
	if err != nil || !(size >= 0) || math.IsInf(size, 0) {
		return 0, fmt.Errorf("want a size such as 5%%, not %q", s)
	}
	return size, nil
}
