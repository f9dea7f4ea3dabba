package analysis

import (
	"fmt"

	"enginebench/tools/internal/results"
	"enginebench/tools/report/distribution"
)

// Same is the share of prompts that two sides answered alike, token for token.
type Same struct {
	What string // which sides, which cell
	results.Share
}

// String is the share in words: "1234 of 1240 (99.5 %)".
func (s Same) String() string {
	percent, ok := s.Percent()
	if !ok {
		return "nothing to compare"
	}
	return fmt.Sprintf("%d of %d (%.1f %%)", s.Identical, s.Both, percent)
}

// CompareSets compares the outputs of samples with those of an older set, cell
// by cell, each prompt with itself.
func (r *Report) CompareSets(old *results.Outputs, samples *distribution.Set) {
	var total results.Share
	for _, cell := range samples.Cells() {
		share := results.SameOutputs(old, cell.Name, samples.Outputs, cell.Name)
		total = total.Add(share)
		r.addSame(r.where(cell.Name.Engine, cell.Name.Level.String())+", before and now", share)
	}
	if total.Both == 0 {
		r.Doubts = append(r.Doubts, Doubt{Text: "same answers: the two sets of samples have no prompt with an output in common", Times: 1})
		return
	}
	if percent, _ := total.Percent(); percent < 100 {
		r.find(fmt.Sprintf("Same answers: %.1f %% of %d outputs are identical to those of the older samples, token for token.", percent, total.Both))
	} else {
		r.find(fmt.Sprintf("Same answers: all %d outputs are identical to those of the older samples.", total.Both))
	}
}

// CompareEngines compares each engine's outputs with the baseline's at the same
// level, where both were sent the same prompts.
func (r *Report) CompareEngines(samples *distribution.Set) {
	base := r.Engines[r.Baseline]
	for _, g := range r.Groups {
		for _, level := range g.Levels {
			for _, other := range r.others() {
				e := r.Engines[other]
				share := results.SameOutputs(
					samples.Outputs, results.Cell{Engine: base.ID, Level: level},
					samples.Outputs, results.Cell{Engine: e.ID, Level: level})
				r.addSame(fmt.Sprintf("%s against %s, %s %s", e.Title, base.Title, g.Kind, level.Value), share)
			}
		}
	}
}

func (r *Report) addSame(what string, share results.Share) {
	if share.Both+share.Kinds > 0 {
		r.Same = append(r.Same, Same{What: what, Share: share})
	}
}

// SameTable is the table of Same: which sides, how many prompts both answered,
// how many alike.
func (r *Report) SameTable() Table {
	t := Table{Title: "Same answers?", Header: []string{"Outputs of", "Same prompts", "Identical", "Share"}}
	for _, s := range r.Same {
		percent := "-"
		if p, ok := s.Percent(); ok {
			percent = fmt.Sprintf("%.1f%%", p)
		}
		t.Rows = append(t.Rows, []string{s.What, fmt.Sprint(s.Both), fmt.Sprint(s.Identical), percent})
	}
	return t
}
