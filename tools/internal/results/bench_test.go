package results_test

import (
	"strings"
	"testing"

	"enginebench/tools/internal/results"
	"enginebench/workload"

	"github.com/stretchr/testify/require"
)

// output is what go test printed for two cells, of which one failed in its
// second run, beside a benchmark that is no cell.
const output = `Unit tokens/s better=higher
Unit ttft-ms better=lower
load: closed
# vllm: vLLM 0.32.0
# vllm: vLLM 0.32.0
goos: linux
BenchmarkDecode-2   	 100	 12.5 ns/op
BenchmarkServe/engine=vllm/concurrency=1-2         	       1	      1349 tokens/s	        16.27 ttft-ms
--- BENCH: BenchmarkServe/engine=vllm/concurrency=1-2
    serve.go:8: SUSPECT: coalesced 7.1 %
        of token events
    serve.go:9: 10 requests
BenchmarkServe/engine=vllm/concurrency=1-2         	       1	      1350 tokens/s	        16.3 ttft-ms
BenchmarkServe/engine=vllm/concurrency=2-2         	--- FAIL: BenchmarkServe/engine=vllm/concurrency=2-2
    serve.go:9: INVALID: 3 requests failed
--- FAIL: BenchmarkServe/engine=vllm
--- FAIL: BenchmarkServe
FAIL
exit status 1
FAIL	enginebench	0.010s
`

func TestReadTakesAnOutputApart(t *testing.T) {
	for name, text := range map[string]string{"unix": output, "windows": "\ufeff" + strings.ReplaceAll(output, "\n", "\r\n")} {
		t.Run(name, func(t *testing.T) {
			in, err := results.Read("run.txt", strings.NewReader(text))
			require.NoError(t, err)
			require.Len(t, in.Runs, 2)
			vllm1 := results.Cell{Engine: "vllm", Level: results.Level{Kind: "concurrency", Value: "1"}}
			require.Equal(t, vllm1, in.Runs[0].Cell)
			require.Equal(t, 0, in.Runs[0].Pass)
			require.Equal(t, 1, in.Runs[1].Pass)
			speed, _ := in.Runs[0].Result.Value("tokens/s")
			require.Equal(t, 1349.0, speed)
			require.Equal(t, "closed", in.Runs[0].Result.GetConfig("load"))
			require.Equal(t, []string{"SUSPECT: coalesced 7.1 %\nof token events", "10 requests"}, in.Runs[0].Log)
			require.Equal(t, in.Runs[0].Log[:1], in.Runs[0].Doubts())
			require.Equal(t, in.Runs[0].Log[1:], in.Runs[0].Findings())
			require.Empty(t, in.Runs[1].Log)

			require.Len(t, in.Failures, 1)
			require.Equal(t, "engine=vllm/concurrency=2", in.Failures[0].Cell.String())
			require.Equal(t, []string{"INVALID: 3 requests failed"}, in.Failures[0].Log)
			require.Equal(t, 14, in.Failures[0].Line)

			require.Equal(t, []string{"vllm: vLLM 0.32.0"}, in.Remarks)
			require.Equal(t, []string{"BenchmarkDecode-2"}, in.Foreign)
			require.True(t, in.Complete)
			require.Equal(t, +1, results.Better(in.Units, "tokens/s"))
		})
	}
}

func TestReadToldWhereACutLineIs(t *testing.T) {
	in, err := results.Read("run.txt", strings.NewReader("goos: linux\nBenchmarkServe/engine=vllm/concurrency=1-2 \t 1\t 13"))
	require.Nil(t, in)
	require.ErrorContains(t, err, "run.txt:2: missing units")
}

func TestReadLeavesOutBrokenForeignLines(t *testing.T) {
	in, err := results.Read("run.txt", strings.NewReader("Benchmarking is fun\nBenchmarkX-2 broken\n"))
	require.NoError(t, err)
	require.Empty(t, in.Runs)
	require.Equal(t, []string{"Benchmarking", "BenchmarkX-2"}, in.Foreign)
	require.False(t, in.Complete)
}

func TestReadRefusesEndlessLines(t *testing.T) {
	_, err := results.Read("-", strings.NewReader(strings.Repeat("x", 1<<20+1)))
	require.ErrorContains(t, err, "not benchmark output")
}

func TestParseNameKnowsCells(t *testing.T) {
	for name, want := range map[string]string{
		"BenchmarkServe/engine=vllm/concurrency=32-16":    "engine=vllm/concurrency=32",
		"Serve/engine=trt_llm.2/wave=8":                   "engine=trt_llm.2/wave=8",
		"BenchmarkServe/engine=vllm/rate=0.5-2":           "engine=vllm/rate=0.5",
		"BenchmarkServe/engine=vllm":                      "", // a parent
		"BenchmarkServe/concurrency=1":                    "", // of no engine
		"BenchmarkServe/engine=vllm/concurrency=1/x=2":    "", // something finer
		"BenchmarkServe/engine=vllm/size=1":               "",
		"BenchmarkServe/engine=vllm/concurrency=1/rate=2": "",
	} {
		cell, ok := results.ParseName(name)
		require.Equal(t, want != "", ok, name)
		if ok {
			require.Equal(t, want, cell.String(), name)
		}
	}
}

func TestLevelsOrderByNumber(t *testing.T) {
	level := func(s string) results.Level {
		l, err := results.ParseLevel(s)
		require.NoError(t, err)
		return l
	}
	require.Negative(t, level("concurrency=8").Compare(level("concurrency=16")))
	require.Negative(t, level("rate=0.5").Compare(level("rate=4")))
	require.Negative(t, level("concurrency=64").Compare(level("rate=1")))
}

func TestBetterFallsBackToTheBuiltInTable(t *testing.T) {
	require.Equal(t, -1, results.Better(nil, "ttft-p99-ms"))
	require.Equal(t, +1, results.Better(nil, "ok-%"))
	require.Equal(t, 0, results.Better(nil, "widgets"))
}

// 1349.38 prints as 1349, 16.2741 as 16.27: the first record is the first
// run's, the second belongs to nobody.
func TestMatchRestoresExactValues(t *testing.T) {
	in, err := results.Read("run.txt", strings.NewReader(output))
	require.NoError(t, err)
	matched := results.Match(in.Runs, []*workload.RunRecord{
		{Engine: "vllm", Cell: "concurrency=1", Metrics: map[string]float64{"tokens/s": 1349.38, "ttft-ms": 16.2741, "req/s": 1}},
		{Engine: "vllm", Cell: "concurrency=1", Metrics: map[string]float64{"tokens/s": 1355, "ttft-ms": 16.3}},
	})
	require.Equal(t, 1, matched)
	speed, _ := in.Runs[0].Result.Value("tokens/s")
	require.Equal(t, 1349.38, speed)
	require.NotNil(t, in.Runs[0].Record)
	require.Nil(t, in.Runs[1].Record)
}

func FuzzRead(f *testing.F) {
	f.Add(output)
	f.Add("BenchmarkServe/engine=a/rate=1 1 NaN tokens/s\n--- FAIL: BenchmarkServe/engine=a/rate=1\n    x\n")
	f.Fuzz(func(t *testing.T, text string) {
		in, err := results.Read("fuzz", strings.NewReader(text))
		if err != nil {
			require.NotContains(t, err.Error(), "\n", "an error is one line")
			return
		}
		for _, run := range in.Runs {
			require.NotEmpty(t, run.Cell.Engine)
			require.NotEmpty(t, run.Result.Values)
		}
	})
}
