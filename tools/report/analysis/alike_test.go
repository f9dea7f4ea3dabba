package analysis_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"enginebench/tools/internal/results"
	"enginebench/tools/report/analysis"
	"enginebench/tools/report/distribution"
	"enginebench/workload"

	"github.com/stretchr/testify/require"
)

// sampled analyses two engines at concurrency 1 and 2, four requests a cell of
// 100 prompt tokens and 50 output tokens, as change leaves those of triton.
func sampled(t *testing.T, change func(level int, s *workload.Sample)) *analysis.Report {
	dir := t.TempDir()
	bench := ""
	f, err := os.Create(filepath.Join(dir, "samples.jsonl"))
	require.NoError(t, err)
	for _, engine := range []string{"triton", "vllm"} {
		for _, level := range []int{1, 2} {
			bench += fmt.Sprintf("BenchmarkServe/engine=%s/concurrency=%d-2 1 100 tokens/s\n", engine, level)
			for i := range 4 {
				tokens := 50
				s := &workload.Sample{Engine: engine, Cell: fmt.Sprintf("concurrency=%d", level), Index: i, Measured: true, Status: workload.OK,
					Prompt: fmt.Sprintf("p%d-%d", level, i), PromptLen: 100, EnginePromptLen: 100, Tokens: &tokens, Events: 50, FirstToken: 1, LastToken: 2}
				if engine == "triton" {
					change(level, s)
				}
				require.NoError(t, json.NewEncoder(f).Encode(map[string]any{"sample": s}))
			}
		}
	}
	require.NoError(t, f.Close())
	set, err := distribution.Read(dir)
	require.NoError(t, err)
	in, err := results.Read("run.txt", strings.NewReader(bench))
	require.NoError(t, err)
	r, err := analysis.New([]*results.Input{in}, set, labels)
	require.NoError(t, err)
	return r
}

func mentioning(texts []string, what string) (found []string) {
	for _, text := range texts {
		if strings.Contains(text, what) {
			found = append(found, text)
		}
	}
	return found
}

// The bound is 1 % of the baseline: 101 of 100 prompt tokens are within it.
func TestUnequalWorkIsFound(t *testing.T) {
	for name, test := range map[string]struct {
		change func(level int, s *workload.Sample)
		want   []string
	}{
		"the same": {func(int, *workload.Sample) {}, nil},
		"within 1 %": {func(_ int, s *workload.Sample) {
			s.PromptLen, s.EnginePromptLen = 101, 101
		}, nil},
		"longer prompts": {func(_ int, s *workload.Sample) { s.PromptLen, s.EnginePromptLen = 120, 121 }, []string{
			"Prompt tokens sent are not equal between Triton TRT-LLM and vLLM Server: 120.0 against 100.0 a request at concurrency 1 and 2.",
			"Prompt tokens read (by the engine's count, as sent where it has none) are not equal between Triton TRT-LLM and vLLM Server: 121.0 against 100.0 a request at concurrency 1 and 2.",
		}},
		"counted otherwise": {func(_ int, s *workload.Sample) { s.EnginePromptLen = 90 }, []string{
			"Prompt tokens read (by the engine's count, as sent where it has none) are not equal between Triton TRT-LLM and vLLM Server: 90.0 against 100.0 a request at concurrency 1 and 2.",
		}},
		"sent, not counted": {func(_ int, s *workload.Sample) { s.PromptLen, s.EnginePromptLen = 110, 0 }, []string{
			"Prompt tokens sent are not equal between Triton TRT-LLM and vLLM Server: 110.0 against 100.0 a request at concurrency 1 and 2.",
			"Prompt tokens read (by the engine's count, as sent where it has none) are not equal between Triton TRT-LLM and vLLM Server: 110.0 against 100.0 a request at concurrency 1 and 2.",
		}},
		"text, not counted": {func(_ int, s *workload.Sample) { s.PromptLen, s.EnginePromptLen = 0, 0 }, nil},
		"text, counted": {func(_ int, s *workload.Sample) { s.PromptLen, s.EnginePromptLen = 0, 104 }, []string{
			"Prompt tokens read (by the engine's count, as sent where it has none) are not equal between Triton TRT-LLM and vLLM Server: 104.0 against 100.0 a request at concurrency 1 and 2.",
		}},
		"shorter outputs, differently by level": {func(level int, s *workload.Sample) { *s.Tokens -= 10 * level }, []string{ // 50-10, 50-20
			"Output tokens are not equal between Triton TRT-LLM and vLLM Server: 40.0 against 50.0 a request at concurrency 1; 30.0 against 50.0 a request at concurrency 2.",
		}},
		"other prompts": {func(level int, s *workload.Sample) {
			if level == 2 && s.Index > 0 {
				s.Prompt = fmt.Sprint("other-", min(s.Index, 2)) // of four prompts one is left, and two others, one of them twice
			}
		}, []string{
			"Prompts are not equal between Triton TRT-LLM and vLLM Server: Triton was sent 2 prompts that vLLM was not, and the other way round 3 at concurrency 2.",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.want, mentioning(sampled(t, test.change).Findings, "not equal"))
		})
	}
}

func TestNothingIsSaidOfUnequalWorkWithoutSamples(t *testing.T) {
	r := report(t, labels, "triton 1 100 tokens/s", "vllm 1 100 tokens/s")
	require.Empty(t, mentioning(r.Findings, "not equal"))
}

func TestTextAgainstTokenIdsIsADoubt(t *testing.T) {
	const want = "prompts went as text to Triton TRT-LLM and as token ids to vLLM Server: an engine splits text into tokens its own way, so they need not have read the same prompts"
	introduced := func(triton, vllm string) *analysis.Report {
		return report(t, labels,
			"# triton is Triton 2.51.0, triton.llmapi, recorded, prompts as "+triton+", output lengths are its own",
			"# vllm is vLLM 0.32.0, openai.completions, http://localhost:8000, prompts as "+vllm,
			"# other is X, prompts as text",
			"triton 1 100 tokens/s", "vllm 1 100 tokens/s")
	}
	require.Contains(t, doubts(introduced("text", "token ids")), want)
	require.Empty(t, mentioning(doubts(introduced("text", "text")), "went as text"))
	require.Empty(t, mentioning(doubts(introduced("token ids", "token ids")), "went as text"))

	require.Contains(t, doubts(sampled(t, func(_ int, s *workload.Sample) { s.PromptLen = 0 })), want)
	require.Empty(t, mentioning(doubts(sampled(t, func(int, *workload.Sample) {})), "went as text"))
}

// 3 of 50 token events are 6 %, above the 5 % that are let pass.
func TestCoalescedEventsAreADoubt(t *testing.T) {
	r := sampled(t, func(_ int, s *workload.Sample) { s.Coalesced = 3 })
	require.Contains(t, doubts(r), "Triton TRT-LLM, concurrency 1; Triton TRT-LLM, concurrency 2: coalesced: 6.0 % of token events shared a read with another, so gaps between tokens are the transport's")
}
