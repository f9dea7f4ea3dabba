package main

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"enginebench/tools/tokenizer"
	"enginebench/workload/prompts"
)

// reason is why a record is left out; empty where it is not.
type reason string

const (
	noConversation reason = "no conversation"
	notHumanFirst  reason = "the human does not begin"
	oneTurn        reason = "nobody answers"
	blank          reason = "blank"
	holdsNUL       reason = "a NUL in it"
	notUTF8        reason = "not UTF-8"
	duplicate      reason = "there already"
	tooShort       reason = "too short"
	tooLong        reason = "too long"
	overTotal      reason = "too long with its output"
)

var reasons = []reason{noConversation, notHumanFirst, oneTurn, blank, holdsNUL, notUTF8, duplicate, tooShort, tooLong, overTotal}

// tally counts what happened to the records: those of a file that cannot be prompts, and of the others those that were
// tried.
type tally struct {
	read, tokenized int
	left            map[reason]int
}

func (t *tally) leave(why reason) {
	if t.left == nil {
		t.left = map[reason]int{}
	}
	t.left[why]++
}

// String is "3 blank, 12 too short", or "none".
func (t tally) String() string {
	var parts []string
	for _, why := range reasons {
		if n := t.left[why]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, why))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// filter is vLLM's (vllm/benchmarks/datasets, is_valid_sequence): bounds, both ends included, in tokens.
type filter struct{ min, max, total, output int }

// check says whether anything can pass.
func (f filter) check() error {
	switch {
	case f.min < 1:
		return fmt.Errorf("-min-prompt=%d: want at least 1", f.min)
	case f.max < f.min:
		return fmt.Errorf("-max-prompt=%d is less than -min-prompt=%d", f.max, f.min)
	case f.output < 1:
		return fmt.Errorf("-output-tokens=%d: want at least 1", f.output)
	case f.min+f.output > f.total:
		return fmt.Errorf("-output-tokens=%d leaves no room for a prompt: -max-total=%d", f.output, f.total)
	}
	return nil
}

func (f filter) judge(tokens int) reason {
	switch {
	case tokens < f.min:
		return tooShort
	case tokens > f.max:
		return tooLong
	case tokens+f.output > f.total:
		return overTotal
	}
	return ""
}

// choose tries the candidates in their order until n have passed.
func choose(in *input, all []found, tok tokenizer.Tokenizer, f filter, n int, p *progress) ([]prompts.Prompt, tally, error) {
	slices.SortFunc(all, compareFound)
	var (
		t    = in.tally
		out  = make([]prompts.Prompt, 0, min(n, len(all)))
		seen = map[[sha256.Size]byte]bool{} // ids, texts and tokens of what was chosen
	)
	for _, e := range all {
		if len(out) == n {
			break
		}
		c, err := in.fetch(e.extent)
		if err != nil {
			return nil, t, err
		}
		sameID, sameText := sha256.Sum256([]byte("id "+c.id)), sha256.Sum256([]byte("text "+c.text))
		if seen[sameID] || seen[sameText] {
			t.leave(duplicate)
			continue
		}
		tokens, err := tok.Encode(c.text)
		if err != nil {
			return nil, t, fmt.Errorf("prompt %s: %w", c.id, err)
		}
		t.tokenized++
		p.show("tokenizing: %d of %d prompts, %d tried", len(out), n, t.tokenized)
		sameTokens := sha256.Sum256(fmt.Append([]byte("tokens "), tokens)) // some tokenizers fold case or spaces
		why := f.judge(len(tokens))
		if why == "" && seen[sameTokens] {
			why = duplicate
		}
		if why != "" {
			t.leave(why)
			continue
		}
		seen[sameID], seen[sameText], seen[sameTokens] = true, true, true
		out = append(out, prompts.Prompt{ID: c.id, Tokens: tokens, Text: c.text})
	}
	if len(out) < n {
		return nil, t, fmt.Errorf("only %d of the %d %s read pass the filter, and -n=%d were asked for (left out: %s): lower -n, or widen the filter", len(out), t.read, in.kind.records(), n, t)
	}
	return out, t, nil
}
