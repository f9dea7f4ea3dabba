package analysis

import (
	"fmt"
	"math"
	"regexp"
	"strings"

	"enginebench/tools/internal/results"
	"enginebench/tools/report/distribution"
)

// alike is the share by which two engines' mean tokens a request may differ
// and still be the same work.
const alike = 0.01

// amounts are what engines must have in common at a level to be compared
// there: tokens of a request in the mean, by samples. ok is false where that
// is not known.
var amounts = []struct {
	name string
	mean func(*distribution.Run) (mean float64, ok bool)
}{
	{"Prompt tokens sent", func(run *distribution.Run) (float64, bool) { return run.Asked.Sent.Value() }},
	{"Prompt tokens read (by the engine's count, as sent where it has none)", func(run *distribution.Run) (float64, bool) { return counted(run).Value() }},
	{"Output tokens", func(run *distribution.Run) (float64, bool) {
		return float64(run.Output.Sum) / float64(len(run.Output.Values)), len(run.Output.Values) > 0
	}},
}

// counted is the prompts' lengths by the engine's count, as they were sent
// where it does not count.
func counted(run *distribution.Run) distribution.Mean {
	if run.Asked.Counted.N == 0 {
		return run.Asked.Sent
	}
	return run.Asked.Counted
}

// unequal says where an engine and the baseline were given different work: a
// sentence for each thing they differ in, with the numbers at each level.
func (r *Report) unequal(g *Group, other int) (texts []string) {
	e, base := &r.Engines[other], &r.Engines[r.Baseline]
	say := func(what string, difference func(a, b *distribution.Run) string) {
		if found := r.compared(g, e, base, difference); len(found) > 0 {
			texts = append(texts, fmt.Sprintf("%s are not equal between %s and %s: %s.", what, e.Title, base.Title, strings.Join(found, "; ")))
		}
	}
	for _, amount := range amounts {
		say(amount.name, func(a, b *distribution.Run) string {
			x, ok1 := amount.mean(a)
			y, ok2 := amount.mean(b)
			if !ok1 || !ok2 || math.Abs(x-y) <= alike*y {
				return ""
			}
			return fmt.Sprintf("%.1f against %.1f a request", x, y)
		})
	}
	say("Prompts", func(a, b *distribution.Run) string {
		onlyA, onlyB := a.Asked.Prompts.Apart(&b.Asked.Prompts)
		if onlyA+onlyB == 0 {
			return ""
		}
		return fmt.Sprintf("%s was sent %s that %s was not, and the other way round %d", e.Short, plural(onlyA, "prompt"), base.Short, onlyB)
	})
	return texts
}

// compared gathers how two engines differ over a group's levels; levels at
// which they differ alike stand together.
func (r *Report) compared(g *Group, e, base *Engine, difference func(a, b *distribution.Run) string) (found []string) {
	var order values
	at := map[string][]results.Level{}
	for _, level := range g.Levels {
		a, b := g.Cell(e.ID, level).requests(), g.Cell(base.ID, level).requests()
		if a == nil || b == nil {
			continue
		}
		if text := difference(a, b); text != "" {
			order.add(text)
			at[text] = append(at[text], level)
		}
	}
	for _, text := range order {
		found = append(found, text+" at "+levels(g.Kind, at[text]))
	}
	return found
}

// requests are all requests of a cell, nil without samples.
func (c *Cell) requests() *distribution.Run {
	if c == nil || c.Samples == nil || c.Samples.All.Sent == 0 {
		return nil
	}
	return c.Samples.All
}

// promptsAs is how a run's introduction of an engine says in what form prompts
// go to it.
var promptsAs = regexp.MustCompile(`^([a-z][a-z0-9_.]*) is .*, prompts as (text|token ids)(,|$)`)

// doubtForm doubts that engines read the same prompts, where some were sent
// text and others token ids: by the remarks, or by samples, in which what was
// sent as text has no length.
func (r *Report) doubtForm(m *merged) {
	forms := map[string]*values{"text": {}, "token ids": {}}
	for _, remark := range r.Remarks {
		if as := promptsAs.FindStringSubmatch(remark); as != nil && r.Engine(as[1]) != nil {
			forms[as[2]].add(r.Title(as[1]))
		}
	}
	for _, g := range r.Groups {
		for _, level := range g.Levels {
			for _, e := range r.Engines {
				run := g.Cell(e.ID, level).requests()
				switch {
				case run == nil:
				case run.Asked.Sent.N == 0:
					forms["text"].add(e.Title)
				default:
					forms["token ids"].add(e.Title)
				}
			}
		}
	}
	if text, ids := *forms["text"], *forms["token ids"]; len(text) > 0 && len(ids) > 0 {
		m.add("", fmt.Sprintf("prompts went as text to %s and as token ids to %s: an engine splits text into tokens its own way, so they need not have read the same prompts", text, ids))
	}
}
