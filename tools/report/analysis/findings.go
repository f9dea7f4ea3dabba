package analysis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"enginebench/tools/internal/results"
	"enginebench/tools/report/distribution"
)

// flat is the share of ideal growth below which throughput counts as flat: of
// what doubling the load could add, less than a tenth is added.
const flat = 0.10

// queueing is by how much TTFT must grow between two levels, per growth of the
// load, to say that requests wait in a queue: twice as fast as the load itself,
// which sharing a batch alone does not explain.
const queueing = 2.0

func (r *Report) findings(runs []*results.Run, samples *distribution.Set) {
	for _, g := range r.Groups {
		for _, unit := range r.metrics {
			for _, other := range r.others() {
				r.find(r.winners(g, unit, other))
			}
		}
		for _, other := range r.others() {
			for _, text := range r.unequal(g, other) {
				r.find(text)
			}
		}
		for i := range r.Engines {
			r.find(r.peak(g, &r.Engines[i]))
			r.find(r.saturation(g, &r.Engines[i]))
			r.find(r.scaling(g, &r.Engines[i]))
		}
	}
	r.explained(runs, samples)
}

// explained takes what the runs' own audits found: from their records, or from
// their logs. What an engine's runs say alike is one sentence. What a canary
// read, or a replay against its truth, is a note: it questions nothing.
func (r *Report) explained(runs []*results.Run, samples *distribution.Set) {
	var found, canaries spans
	for _, run := range runs {
		for _, text := range run.Findings() {
			to := &found
			if strings.HasPrefix(text, "canary: ") || strings.HasPrefix(text, "replay truth: ") {
				to = &canaries
			}
			to.add(run.Cell, text)
		}
	}
	logged := found.places() // where records say the same again
	for _, cell := range samples.Cells() {
		for _, run := range cell.Runs {
			if run.Record == nil {
				continue
			}
			for _, text := range run.Record.Findings {
				if !logged[placeOf(cell.Name, text)] {
					found.add(cell.Name, text)
				}
			}
		}
	}
	for _, s := range found.list {
		r.find(s.sentence(r.Title(s.engine)))
	}
	for _, s := range canaries.list {
		r.Notes = append(r.Notes, s.sentence(r.Title(s.engine)))
	}
}

func (r *Report) find(text string) {
	if text != "" {
		r.Findings = append(r.Findings, text)
	}
}

// at is a difference at a level.
type at struct {
	level results.Level
	Difference
}

// winners says who is ahead where in a unit, and by how much.
func (r *Report) winners(g *Group, unit string, other int) string {
	ahead := map[string][]at{}
	var same []results.Level
	known := 0
	for _, level := range g.Levels {
		switch d := r.Difference(g, level, unit, other); {
		case !d.Known:
		case !d.Significant, d.Percent == 0:
			same, known = append(same, level), known+1
		default:
			ahead[d.Ahead.ID], known = append(ahead[d.Ahead.ID], at{level, d}), known+1
		}
	}
	if known == 0 {
		return ""
	}
	var parts []string
	both := []*Engine{&r.Engines[other], &r.Engines[r.Baseline]}
	slices.SortStableFunc(both, func(a, b *Engine) int { return cmp.Compare(len(ahead[b.ID]), len(ahead[a.ID])) })
	for _, e := range both {
		if won := ahead[e.ID]; len(won) > 0 {
			parts = append(parts, e.Title+" is ahead "+wins(g, won, len(won) == known))
		}
	}
	if len(same) > 0 {
		text := "no significant difference at " + levels(g.Kind, same)
		if len(same) == known {
			text = fmt.Sprintf("no significant difference between %s and %s at any level", r.Engines[other].Title, r.Engines[r.Baseline].Title)
		}
		parts = append(parts, text)
	}
	return Title(unit) + ": " + strings.Join(parts, "; ") + "."
}

func wins(g *Group, won []at, everywhere bool) string {
	least := slices.MinFunc(won, func(a, b at) int { return cmp.Compare(a.Percent, b.Percent) })
	most := slices.MaxFunc(won, func(a, b at) int { return cmp.Compare(a.Percent, b.Percent) })
	var where []results.Level
	for _, w := range won {
		where = append(where, w.level)
	}
	place := "at " + levels(g.Kind, where)
	if everywhere && len(won) > 1 {
		place = fmt.Sprintf("at every level (%s %s to %s)", g.Kind, won[0].level.Value, won[len(won)-1].level.Value)
	}
	if len(won) == 1 {
		return fmt.Sprintf("%s by %.1f%%", place, most.Percent)
	}
	return fmt.Sprintf("%s, by %.1f%% (at %s) to %.1f%% (at %s)", place, least.Percent, least.level.Value, most.Percent, most.level.Value)
}

// levels lists levels: "concurrency 1, 2 and 64".
func levels(kind string, ls []results.Level) string {
	var values []string
	for _, l := range ls {
		values = append(values, l.Value)
	}
	if n := len(values); n > 1 {
		values = append(values[:n-2], values[n-2]+" and "+values[n-1])
	}
	return kind + " " + strings.Join(values, ", ")
}

// measured are an engine's levels that have a unit, ascending, with medians.
func (g *Group) measured(e *Engine, unit string) (ls []results.Level, medians []float64) {
	for _, level := range g.Levels {
		if s, ok := g.Cell(e.ID, level).Stat(unit); ok {
			ls, medians = append(ls, level), append(medians, s.Median)
		}
	}
	return ls, medians
}

func (r *Report) peak(g *Group, e *Engine) string {
	ls, speed := g.measured(e, "tokens/s")
	if len(ls) < 2 {
		return ""
	}
	best := 0
	for i := range speed {
		if speed[i] > speed[best] {
			best = i
		}
	}
	text := fmt.Sprintf("%s: highest throughput %s tokens/s at %s", e.Title, Number(speed[best]), levels(g.Kind, ls[best:best+1]))
	if ttft, ok := g.Cell(e.ID, ls[best]).Stat("ttft-ms"); ok {
		text += fmt.Sprintf(", where TTFT is %s ms", Number(ttft.Median))
	}
	return text + "."
}

// saturation finds the level from which on more load brings queueing in place
// of tokens: throughput flat while TTFT grows.
func (r *Report) saturation(g *Group, e *Engine) string {
	ls, speed := g.measured(e, "tokens/s")
	if len(ls) < 2 {
		return ""
	}
	for i := range len(ls) - 1 {
		load := ls[i+1].Number() / ls[i].Number()
		if !(load > 1) || speed[i] <= 0 {
			continue
		}
		growth := speed[i+1]/speed[i] - 1
		if growth >= flat*(load-1) {
			continue
		}
		step := fmt.Sprintf("from %s to %s throughput changes by %+.1f%%", levels(g.Kind, ls[i:i+1]), ls[i+1].Value, 100*growth)
		before, ok1 := g.Cell(e.ID, ls[i]).Stat("ttft-ms")
		after, ok2 := g.Cell(e.ID, ls[i+1]).Stat("ttft-ms")
		if !ok1 || !ok2 || before.Median <= 0 {
			return fmt.Sprintf("%s: throughput is flat from %s on: %s.", e.Title, levels(g.Kind, ls[i:i+1]), step)
		}
		times := after.Median / before.Median
		if times < queueing*load {
			return fmt.Sprintf("%s: throughput is flat from %s on: %s, TTFT %.1f times; the engine or the client is at its limit.",
				e.Title, levels(g.Kind, ls[i:i+1]), step, times)
		}
		return fmt.Sprintf("%s: queueing from %s on: %s while TTFT grows %.1f times. Requests wait for a place: a limit of how this engine was built or configured (its largest batch), and not by itself of what it can do.",
			e.Title, levels(g.Kind, ls[i:i+1]), step, times)
	}
	return fmt.Sprintf("%s: no saturation up to %s: throughput still grows with the load.", e.Title, levels(g.Kind, ls[len(ls)-1:]))
}

func (r *Report) scaling(g *Group, e *Engine) string {
	ls, speed := g.measured(e, "tokens/s")
	if g.Kind == "rate" || len(ls) < 2 || speed[0] <= 0 {
		return "" // with an open loop the load sets the throughput
	}
	last := len(ls) - 1
	load := ls[last].Number() / ls[0].Number()
	if !(load > 1) {
		return ""
	}
	times := speed[last] / speed[0]
	return fmt.Sprintf("%s: %.1f times the throughput for %.4g times the load (%s to %s): scaling efficiency %.1f%%.",
		e.Title, times, load, levels(g.Kind, ls[:1]), ls[last].Value, 100*times/load)
}

// where names a cell for people: "vLLM Server, concurrency 32".
func (r *Report) where(engine, level string) string {
	title := engine
	if e := r.Engine(engine); e != nil {
		title = e.Title
	}
	return title + ", " + strings.Replace(level, "=", " ", 1)
}
