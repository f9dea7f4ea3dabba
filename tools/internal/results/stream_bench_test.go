package results_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"enginebench/tools/internal/results"
	"enginebench/workload"

	"github.com/stretchr/testify/require"
)

// BenchmarkStream reads 20,000 requests of 64 tokens.
func BenchmarkStream(b *testing.B) {
	dir := b.TempDir()
	f, err := os.Create(filepath.Join(dir, "vllm.concurrency=32.jsonl"))
	require.NoError(b, err)
	w := bufio.NewWriter(f)
	tokens := 64
	s := workload.Sample{Engine: "vllm", Cell: "concurrency=32", Measured: true, Status: workload.OK, PromptLen: 128, EnginePromptLen: 128, Wanted: tokens, Forced: true, Tokens: &tokens,
		Counted: "usage", FirstEvent: 1, Events: tokens, OutputHash: "ids:8f3c2a91d0be4477", Stamp: "kernel", Finish: "length"}
	for i := range tokens - 1 {
		s.Gaps = append(s.Gaps, 15*time.Millisecond+time.Duration(i)*time.Microsecond)
		s.GapTokens = append(s.GapTokens, 1)
	}
	for i := range 20000 {
		s.Index, s.Prompt = i, fmt.Sprint("p", i)
		s.Origin, s.Send = time.Duration(i)*time.Millisecond, time.Duration(i)*time.Millisecond
		s.FirstToken, s.LastToken = s.Send+20*time.Millisecond, s.Send+time.Second
		line, err := json.Marshal(map[string]any{"sample": s})
		require.NoError(b, err)
		w.Write(append(line, '\n'))
	}
	require.NoError(b, w.Flush())
	info, _ := f.Stat()
	b.SetBytes(info.Size())
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		_, err := results.Stream(dir, results.Visitor{Sample: func(*workload.Sample) error { n++; return nil }})
		require.NoError(b, err)
		require.Equal(b, 20000, n)
	}
}
