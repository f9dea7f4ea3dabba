package enginebench

import (
	"flag"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// selected reports whether -bench runs a cell of an engine.
func selected(engine, cell string) bool {
	return selects(flag.Lookup("test.bench").Value.String(), "engine="+engine+"/"+cell)
}

// enoughRequests refuses a number of requests that cannot keep the slots of a
// selected cell full: the cell would measure less than its name says. It needs
// no engine, only the names.
func (s *session) enoughRequests(source Source) error {
	if s.requests == 0 || s.plan.load.Open() {
		return nil
	}
	specs := source.specs
	if len(s.options.engines) > 0 {
		specs = s.options.engines
	}
	for _, spec := range specs {
		engine, _, _ := strings.Cut(spec, "=")
		for _, c := range s.plan.levels {
			cell := s.plan.load.Cell(c)
			switch {
			case !selected(engine, cell):
			case s.requests < c:
				return fmt.Errorf("-requests=%d: %s has %d slots and needs at least as many requests", s.requests, cell, c)
			case s.plan.load.Waves && s.requests%c != 0:
				return fmt.Errorf("-requests=%d: %s sends whole waves, and that is no multiple of %d", s.requests, cell, c)
			}
		}
	}
	return nil
}

// selects reports whether -bench=pattern runs a cell, named engine=…/…, by the
// rules of package testing: alternatives at the top level, and an unanchored
// expression for each element. The first element is the benchmark function,
// which is the repository's to name.
func selects(pattern, cell string) bool {
	for _, alternative := range splitTop(pattern, '|') {
		if selectsOne(splitTop(alternative, '/')[1:], strings.Split(cell, "/")) {
			return true
		}
	}
	return false
}

func selectsOne(patterns, elements []string) bool {
	for i, element := range elements {
		if i >= len(patterns) {
			return true
		}
		// One that does not compile is refused by package testing itself.
		if ok, err := regexp.MatchString(patterns[i], element); err == nil && !ok {
			return false
		}
	}
	return true
}

// splitTop splits s at separators that are in no brackets or parentheses.
func splitTop(s string, separator byte) []string {
	var parts []string
	square, round, from := 0, 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '[':
			square++
		case ']':
			square = max(square-1, 0)
		case '(':
			if square == 0 {
				round++
			}
		case ')':
			if square == 0 {
				round--
			}
		case '\\':
			i++
		case separator:
			if square == 0 && round == 0 {
				parts = append(parts, s[from:i])
				from = i + 1
			}
		}
	}
	return append(parts, s[from:])
}

// runsOfACell is how many load runs each cell makes: -count times the
// iterations of -benchtime.
func runsOfACell() int {
	count := 1
	if f := flag.Lookup("test.count"); f != nil {
		if n, err := strconv.Atoi(f.Value.String()); err == nil {
			count = n
		}
	}
	if f := flag.Lookup("test.benchtime"); f != nil {
		if n, err := strconv.Atoi(strings.TrimSuffix(f.Value.String(), "x")); err == nil {
			count *= n
		}
	}
	return count
}
