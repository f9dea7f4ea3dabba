package line_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/perf/benchfmt"

	"enginebench/engines"
	"enginebench/workload"
	"enginebench/workload/line"
)

// summary has values of every size that go test prints differently, and one
// metric of -metrics=all.
var summary = workload.Summary{Metrics: map[string]float64{"tokens/s": 1453.8461, "ttft-ms": 0.00123456, "latency-ms": 123456.789,
	"tpot-ms": 9.99996, "req/s": 42, "ok-%": 100, "head-ms": 3.3}}

func BenchmarkServe(b *testing.B) {
	b.Run("engine=vllm/concurrency=3", func(b *testing.B) {
		for b.Loop() {
		}
		b.ReportMetric(0, "ns/op")
		for unit, value := range line.Values(summary, false) {
			b.ReportMetric(value, unit)
		}
	})
}

func TestAResultIsTheLineThatGoTestPrints(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), exe, "-test.run=^$", "-test.bench=Serve", "-test.benchtime=1x").Output()
	require.NoError(t, err)
	name := line.Name("vllm", "concurrency=3")
	at := strings.Index(string(out), name)
	require.Positive(t, at, "%s", out)
	printed, _, _ := strings.Cut(string(out)[at:], "\n")
	require.Equal(t, printed, line.Result(name, strings.Index(printed, "\t"), line.Values(summary, false)))
}

func TestNamesEndInTheCoresThatGoUses(t *testing.T) {
	before := runtime.GOMAXPROCS(3)
	defer runtime.GOMAXPROCS(before)
	require.Equal(t, "BenchmarkServe/engine=vllm/rate=8-3", line.Name("vllm", "rate=8"))
	runtime.GOMAXPROCS(1)
	require.Equal(t, "BenchmarkServe/engine=vllm/rate=8", line.Name("vllm", "rate=8"))
}

func TestValuesAreTheDefaultSetOrAll(t *testing.T) {
	require.NotContains(t, line.Values(summary, false), "head-ms")
	require.Equal(t, summary.Metrics, line.Values(summary, true))
}

func TestBenchfmtReadsAHeader(t *testing.T) {
	h := line.Header{
		Conditions: workload.Conditions{Load: "closed", Prompts: "8f3c2a91d0be4477", OutputTokens: 64, Seed: 42,
			Describe: map[string]string{"gpu": "A10G\n 24GB", "driver": "595"}},
		Engines: []line.Engine{
			{Name: "vllm", From: "http://localhost:8000", Info: engines.Info{Server: "vLLM", Version: "0.32.0", Model: "tiny", Dialect: "openai.completions",
				TakesTokens: true, ForcesOutput: true, Counts: "token ids", Warnings: []string{"slow\nbut sure"}}},
			{Name: "triton", From: "recorded", Info: engines.Info{Server: "Triton 2.51.0", Version: "2.51.0", Dialect: "triton.llmapi"}},
		},
		Notes: []string{"a note"},
	}
	var text strings.Builder
	line.WriteUnits(&text)
	h.Write(&text)
	require.Equal(t, `load: closed
prompts: 8f3c2a91d0be4477
output-tokens: 64
seed: 42
vllm-version: 0.32.0
vllm-model: tiny
triton-version: 2.51.0
driver: 595
gpu: A10G 24GB
# vllm is vLLM 0.32.0, openai.completions, http://localhost:8000, prompts as token ids
# vllm: slow but sure
# triton is Triton 2.51.0, triton.llmapi, recorded, prompts as text, output lengths are its own, no token counts: go tool recompute -tokenizer counts recordings
# a note
`, text.String()[strings.Index(text.String(), "load:"):])

	fmt.Fprintln(&text, line.Result("BenchmarkServe/engine=vllm/concurrency=3", 0, line.Values(summary, false)))
	r := benchfmt.NewReader(strings.NewReader(text.String()), "test")
	for range workload.Metrics {
		require.True(t, r.Scan())
		require.IsType(t, &benchfmt.UnitMetadata{}, r.Result())
	}
	require.True(t, r.Scan())
	result, ok := r.Result().(*benchfmt.Result)
	require.True(t, ok, "%v", r.Result())
	require.Equal(t, "0.32.0", result.GetConfig("vllm-version"))
	require.Equal(t, "A10G 24GB", result.GetConfig("gpu"))
	speed, ok := result.Value("tokens/s")
	require.True(t, ok)
	require.Equal(t, 1454.0, speed)
	for _, m := range workload.Metrics {
		require.Equal(t, m.Better, r.Units().GetBetter(m.Unit), m.Unit)
	}
	require.False(t, r.Scan())
}

func TestNotesSayVerdictsWarningsAndFindingsOnALineEach(t *testing.T) {
	j := workload.Judgement{Verdict: workload.Suspect, Reasons: []string{"one\n reason", "another"}}
	require.Equal(t, []string{"SUSPECT: one reason", "SUSPECT: another", "warning: beware", "a finding"},
		line.Notes(j, []string{"beware"}, []string{"a finding"}))
	require.Empty(t, line.Notes(workload.Judgement{Verdict: workload.Valid}, nil, nil))
	require.Equal(t, "SUSPECT: one reason; another", line.Failure(j))
}

func TestQuoteIsForAShell(t *testing.T) {
	for arg, want := range map[string]string{"a=b": "a=b", "A10G 24GB": "'A10G 24GB'", "it's": `'it'\''s'`, "$(rm)": "'$(rm)'", "": "''"} {
		require.Equal(t, want, line.Quote(arg))
	}
}

func TestJoinedErrorsStandOnOneLineAndAreFound(t *testing.T) {
	one, two := errors.New("one"), errors.New("two: 100%s")
	joined := line.Join([]error{one, two})
	require.EqualError(t, joined, "one; two: 100%s")
	require.ErrorIs(t, joined, one)
	require.ErrorIs(t, joined, two)
	require.NoError(t, line.Join(nil))
}
