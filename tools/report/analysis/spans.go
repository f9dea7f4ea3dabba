package analysis

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"enginebench/tools/internal/results"
	"enginebench/workload/line"
)

// spans gathers what was said of runs: sentences about one engine that differ
// in the load level and in their figures only become one, with the range of
// each figure and the levels of its ends.
type spans struct {
	list []*span
	at   map[spanKey]*span
}

// spanKey is what the sentences of a span share: all but level and figures.
type spanKey struct{ engine, kind, text string }

type span struct {
	spanKey
	first string // the sentence as first said
	said  []sentence
}

// sentence is where a sentence was said, and the numbers in it.
type sentence struct {
	level   results.Level
	figures []float64
	written []string // the figures, as they stand there
}

// place is a kind of sentence at a cell.
type place struct {
	spanKey
	level results.Level
}

// parse takes a sentence of a cell apart.
func parse(cell results.Cell, text string) (spanKey, sentence) {
	here := sentence{level: cell.Level}
	without := figures.ReplaceAllStringFunc(line.Flat(text), func(f string) string {
		v, kind, ok := amount(f)
		if !ok {
			return f // a version
		}
		here.figures, here.written = append(here.figures, v), append(here.written, f)
		return kind
	})
	return spanKey{cell.Engine, cell.Level.Kind, without}, here
}

// amount is the value of a figure, and what stands for its kind where only the
// figures differ: a time is no number.
func amount(figure string) (v float64, kind string, ok bool) {
	if d, err := time.ParseDuration(figure); err == nil && figure != "0" {
		return float64(d), "#s", true
	}
	v, err := strconv.ParseFloat(figure, 64)
	return v, "#", err == nil
}

func placeOf(cell results.Cell, text string) place {
	key, here := parse(cell, text)
	return place{key, here.level}
}

// places is where what was said so far.
func (s *spans) places() map[place]bool {
	said := map[place]bool{}
	for key, span := range s.at {
		for _, here := range span.said {
			said[place{key, here.level}] = true
		}
	}
	return said
}

func (s *spans) add(cell results.Cell, text string) {
	key, here := parse(cell, text)
	if s.at == nil {
		s.at = map[spanKey]*span{}
	}
	if s.at[key] == nil {
		s.at[key] = &span{spanKey: key, first: line.Flat(text)}
		s.list = append(s.list, s.at[key])
	}
	s.at[key].said = append(s.at[key].said, here)
}

// sentence is the span in one sentence, with the engine by its title.
func (s *span) sentence(title string) string {
	var ls []results.Level
	for _, here := range s.said {
		if !slices.Contains(ls, here.level) {
			ls = append(ls, here.level)
		}
	}
	slices.SortFunc(ls, results.Level.Compare)
	next := 0
	text := figures.ReplaceAllStringFunc(s.first, func(f string) string {
		if _, _, ok := amount(f); !ok {
			return f
		}
		next++
		return s.spread(next-1, len(ls) > 1)
	})
	text = fmt.Sprintf("%s, %s: %s", title, levels(s.kind, ls), text)
	if len(s.said) > len(ls) {
		text += fmt.Sprintf(" (in %d runs)", len(s.said))
	}
	return text
}

// spread is the i-th figure: from where to where it goes.
func (s *span) spread(i int, several bool) string {
	by := func(a, b sentence) int { return cmp.Compare(a.figures[i], b.figures[i]) }
	least, most := slices.MinFunc(s.said, by), slices.MaxFunc(s.said, by)
	switch {
	case least.figures[i] == most.figures[i]:
		return least.written[i]
	case !several:
		return least.written[i] + " to " + most.written[i]
	}
	return fmt.Sprintf("%s (at %s) to %s (at %s)", least.written[i], least.level.Value, most.written[i], most.level.Value)
}
