package main

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/engines/capture"
	"enginebench/tools/tokenizer"
	"enginebench/workload"
)

// words counts words.
type words struct {
	err   error
	asked atomic.Int64
}

func (w *words) Count(text string) (int, error) {
	w.asked.Add(1)
	if w.err != nil {
		return 0, w.err
	}
	return len(strings.Fields(text)), nil
}
func (*words) Encode(string) ([]int32, error) { panic("not needed") }
func (*words) Decode([]int32) (string, error) { panic("not needed") }
func (*words) Identity() string               { return "words" }
func (*words) Close() error                   { return nil }

// fixed decodes every capture to the same reply.
type fixed engines.Reply

func (f fixed) Decode(*capture.Capture) engines.Reply { return engines.Reply(f) }

func decode(c *counter, reply engines.Reply) engines.Reply {
	c.Decoder = fixed(reply)
	return c.Decode(nil)
}

func TestACountOfTheEngineStands(t *testing.T) {
	c := &counter{tokens: &tokens{Tokenizer: &words{}}}
	reply := engines.Reply{Text: "one two three", Tokens: 5, Counted: "usage", Events: []engines.Event{{Tokens: 5}}}
	require.Equal(t, reply, decode(c, reply))
	reply.Tokens = 3
	require.Equal(t, reply, decode(c, reply))
	require.Equal(t, []string{"1 of 2 replies tokenize again to another number of tokens than the engine counted, 6 against 8 in all: " +
		"the engine's count stands (far apart, it is not the model's tokenizer)"}, c.warnings(make([]workload.Sample, 2)))
}

func TestATokenizerCountsWhereTheEngineDidNot(t *testing.T) {
	c := &counter{tokens: &tokens{Tokenizer: &words{}}}
	reply := decode(c, engines.Reply{Text: "one two three", Events: []engines.Event{{}, {}}})
	require.Equal(t, 3, reply.Tokens)
	require.Equal(t, workload.CountedByTokenizer, reply.Counted)
	require.Equal(t, []engines.Event{{}, {}}, reply.Events, "tokens of events stay unknown")

	// 4 were forced and 3 are found: -25 %.
	three := 3
	samples := []workload.Sample{{Forced: true, Wanted: 4, Tokens: &three, Counted: workload.CountedByTokenizer}}
	require.Equal(t, []string{"the tokens of 1 of 1 replies were counted by tokenizing their text again (words), an approximation: " +
		"where 4 tokens were forced it finds 3 (-25.0 %)"}, c.warnings(samples))
}

func TestRepliesWithoutCountAndTextStayUncounted(t *testing.T) {
	c := &counter{tokens: &tokens{Tokenizer: &words{err: tokenizer.ErrText}}}
	require.Empty(t, decode(c, engines.Reply{Events: []engines.Event{{}}}).Counted)
	require.Empty(t, decode(c, engines.Reply{Text: "\x00"}).Counted)
	require.Contains(t, strings.Join(c.warnings(make([]workload.Sample, 2)), "\n"), "2 of 2 replies have no token count")
	require.NoError(t, c.tokens.broken(), "a text that no tokenizer takes breaks none")
}

func TestFailedRepliesAreNotCounted(t *testing.T) {
	w := &words{}
	c := &counter{tokens: &tokens{Tokenizer: w}}
	require.Empty(t, decode(c, engines.Reply{Text: "half", Err: engines.Errorf(engines.Reset, "gone")}).Counted)
	require.Zero(t, w.asked.Load())
	require.Empty(t, c.warnings(nil))
}

func TestABrokenTokenizerIsAskedNoMore(t *testing.T) {
	w := &words{err: errors.New("connection refused")}
	c := &counter{tokens: &tokens{Tokenizer: w}}
	for range 3 {
		require.Empty(t, decode(c, engines.Reply{Text: "one"}).Counted)
	}
	require.EqualValues(t, 1, w.asked.Load())
	require.ErrorContains(t, c.tokens.broken(), "refused")
}
