package main

import (
	"errors"
	"fmt"
	"sync"

	"enginebench/engines"
	"enginebench/engines/capture"
	"enginebench/tools/tokenizer"
	"enginebench/workload"
)

// tokens is a tokenizer that is asked no more once it broke: an engine that
// went away would be waited for at every reply.
type tokens struct {
	tokenizer.Tokenizer
	mu  sync.Mutex
	err error
}

// count counts a reply's tokens. ok is false where there is no count.
func (t *tokens) count(text string) (n int, ok bool) {
	if t.broken() != nil {
		return 0, false
	}
	n, err := t.Count(text)
	if err != nil && !errors.Is(err, tokenizer.ErrText) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.err == nil {
			t.err = err
		}
	}
	return n, err == nil
}

func (t *tokens) broken() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// warning is what a header says of an engine that gives no counts.
func (t *tokens) warning() string {
	return "it counts no output tokens: they are counted by tokenizing replies again (" + t.Identity() + "), which is an approximation; tokens of single events stay unknown"
}

// counter is a decoder that counts where the engine did not, and compares
// where it did. It serves one cell.
type counter struct {
	engines.Decoder
	tokens *tokens

	mu        sync.Mutex
	counted   int // replies that the engine gave no count of and the tokenizer did
	uncounted int // those that the tokenizer could not count either
	compared  int // those that both counted
	differing int // of these
	engine    int // tokens of those, by the engine
	own       int // and by the tokenizer
}

// Decode implements [engines.Decoder]. A count that the engine gave stays.
func (c *counter) Decode(from *capture.Capture) engines.Reply {
	reply := c.Decoder.Decode(from)
	if reply.Err != nil {
		return reply
	}
	n, ok := 0, false
	if reply.Text != "" {
		n, ok = c.tokens.count(reply.Text)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case reply.Counted == "" && ok:
		c.counted++
		reply.Tokens, reply.Counted = n, workload.CountedByTokenizer
	case reply.Counted == "":
		c.uncounted++
	case ok:
		c.compared++
		if n != reply.Tokens {
			c.differing++
		}
		c.engine, c.own = c.engine+reply.Tokens, c.own+n
	}
	return reply
}

// warnings are what there is to doubt about a cell's counts.
func (c *counter) warnings(samples []workload.Sample) []string {
	var all []string
	if c.counted > 0 {
		text := fmt.Sprintf("the tokens of %d of %d replies were counted by tokenizing their text again (%s), an approximation", c.counted, len(samples), c.tokens.Identity())
		if forced, found, ok := calibration(samples); ok {
			text += fmt.Sprintf(": where %d tokens were forced it finds %d (%+.1f %%)", forced, found, 100*(float64(found)/float64(forced)-1))
		}
		all = append(all, text)
	}
	if c.uncounted > 0 {
		all = append(all, fmt.Sprintf("%d of %d replies have no token count: the engine did not count them and the tokenizer could not, so there is no tokens/s", c.uncounted, len(samples)))
	}
	if c.differing > 0 {
		all = append(all, fmt.Sprintf("%d of %d replies tokenize again to another number of tokens than the engine counted, %d against %d in all: the engine's count stands (far apart, it is not the model's tokenizer)",
			c.differing, c.compared, c.own, c.engine))
	}
	return all
}

// calibration is how far the tokenizer is off where the true count is known,
// since it was forced.
func calibration(samples []workload.Sample) (forced, found int, ok bool) {
	for i := range samples {
		if s := &samples[i]; s.Forced && s.Tokens != nil && s.Counted == workload.CountedByTokenizer {
			forced, found = forced+s.Wanted, found+*s.Tokens
		}
	}
	return forced, found, forced > 0
}
