package results_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"enginebench/tools/internal/results"
	"enginebench/workload"

	"github.com/stretchr/testify/require"
)

func write(t testing.TB, dir, name, text string) {
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
}

func TestStreamVisitsLinesInOrder(t *testing.T) {
	dir := t.TempDir()
	var text strings.Builder
	const requests = 30000 // some MB: more blocks than workers
	text.WriteString(`{"run":{"engine":"a","cell":"wave=2","run":0}}` + "\n")
	for i := range requests {
		fmt.Fprintf(&text, `{"sample":{"engine":"a","cell":"wave=2","index":%d,"status":"ok","gaps-ns":[1,2,%d],"error":"%s"}}`+"\n", i, i, strings.Repeat("x", i%200))
	}
	write(t, dir, "b.wave=2.jsonl", `{"run":{"engine":"b","cell":"wave=2","run":0}}`+"\n\n")
	write(t, dir, "a.wave=2.jsonl", text.String())
	write(t, dir, "notes.txt", "not samples")

	var engines []string
	next := 0
	notes, err := results.Stream(dir, results.Visitor{
		Record: func(r *workload.RunRecord) error { engines = append(engines, r.Engine); return nil },
		Sample: func(s *workload.Sample) error {
			if s.Index != next || len(s.Gaps) != 3 || int(s.Gaps[2]) != next || len(s.Error) != next%200 {
				return fmt.Errorf("want sample %d, got %+v", next, s)
			}
			next++
			return nil
		},
	})
	require.NoError(t, err)
	require.Empty(t, notes)
	require.Equal(t, requests, next)
	require.Equal(t, []string{"a", "b"}, engines)

	records, err := results.Records(dir)
	require.NoError(t, err)
	require.Len(t, records, 2)
}

func TestStreamLeavesNothingOfAnEarlierLine(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.rate=1.jsonl", `{"sample":{"index":1,"gaps-ns":[1,2],"gap-tokens":[1,1],"cached-tokens":3,"error":"x"}}
{"sample":{"index":2}}
`)
	var last workload.Sample
	_, err := results.Stream(dir, results.Visitor{Sample: func(s *workload.Sample) error { last = *s; return nil }})
	require.NoError(t, err)
	require.Empty(t, last.Gaps)
	require.Empty(t, last.GapTokens)
	last.Gaps, last.GapTokens = nil, nil
	require.Equal(t, workload.Sample{Index: 2}, last)
}

func TestStreamNotesACutLastLine(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.rate=1.jsonl", `{"sample":{"index":1}}`+"\n"+`{"sample":{"ind`)
	visited := 0
	notes, err := results.Stream(dir, results.Visitor{Sample: func(*workload.Sample) error { visited++; return nil }})
	require.NoError(t, err)
	require.Equal(t, 1, visited)
	require.Equal(t, []string{"a.rate=1.jsonl: the last line (2) is cut off and left out"}, notes)
}

func TestStreamRefusesWhatIsNoSample(t *testing.T) {
	all := results.Visitor{Record: func(*workload.RunRecord) error { return nil }, Sample: func(*workload.Sample) error { return nil }}
	for name, test := range map[string]struct{ text, want string }{
		"broken line":  {`{"sample":{"index":1}}` + "\n" + `{"sample":{"index":}}` + "\n", "line 2: decode sample"},
		"foreign line": {`{"other":1}` + "\n", "line 1: neither a run nor a sample"},
		"null":         {`{"sample":null}` + "\n", "it is null"},
		"null run":     {`{"run":null}` + "\n", "it is null"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "a.rate=1.jsonl", test.text)
			_, err := results.Stream(dir, all)
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, "a.rate=1.jsonl")
		})
	}
	_, err := results.Stream(t.TempDir(), all)
	require.ErrorContains(t, err, "no .jsonl file")
	_, err = results.Stream(filepath.Join(t.TempDir(), "none"), all)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestStreamStopsAtTheVisitorsError(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.rate=1.jsonl", strings.Repeat(`{"sample":{"index":1}}`+"\n", 200000))
	enough := errors.New("enough")
	_, err := results.Stream(dir, results.Visitor{Sample: func(*workload.Sample) error { return enough }})
	require.ErrorIs(t, err, enough)
}

// Of the prompts p1 … p5 both sets answered p1 … p4: p1 alike, p2 differently,
// p3 in two ways within the old set, p4 with hashes of different kinds.
// p1 with another number of wanted tokens is another question.
func TestSameOutputsCountsPromptByPrompt(t *testing.T) {
	add := func(o *results.Outputs, prompt string, wanted int, hash string) {
		o.Add(&workload.Sample{Engine: "a", Cell: "wave=2", Prompt: prompt, Wanted: wanted, Status: workload.OK, OutputHash: hash})
	}
	old, new := results.NewOutputs(), results.NewOutputs()
	add(old, "p1", 8, "ids:1")
	add(old, "p1", 8, "ids:1") // asked twice, answered alike
	add(old, "p2", 8, "ids:2")
	add(old, "p3", 8, "ids:3")
	add(old, "p3", 8, "ids:33")
	add(old, "p3", 8, "ids:33")
	add(old, "p4", 8, "ids:4")
	add(old, "p5", 8, "ids:5")
	add(new, "p1", 8, "ids:1")
	add(new, "p1", 16, "ids:9")
	add(new, "p2", 8, "ids:22")
	add(new, "p3", 8, "ids:33")
	add(new, "p4", 8, "text:4")
	new.Add(&workload.Sample{Engine: "a", Cell: "wave=2", Prompt: "p5", Wanted: 8, Status: workload.Failed, OutputHash: "ids:5"})

	require.Len(t, old.Cells(), 1)
	cell := old.Cells()[0]
	share := results.SameOutputs(old, cell, new, cell)
	require.Equal(t, results.Share{Both: 3, Identical: 1, Unstable: 1, Kinds: 1}, share)
	percent, ok := share.Percent()
	require.True(t, ok)
	require.InDelta(t, 100.0/3, percent, 1e-9)
	_, ok = results.Share{}.Percent()
	require.False(t, ok)
}
