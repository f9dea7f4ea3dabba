package figures_test

import (
	"strings"
	"testing"

	"enginebench/tools/internal/results"
	"enginebench/tools/report/analysis"
	"enginebench/tools/report/figures"
	"enginebench/tools/report/plot"

	"github.com/stretchr/testify/require"
)

func draw(t *testing.T, lines string) map[string]string {
	in, err := results.Read("run.txt", strings.NewReader(lines))
	require.NoError(t, err)
	r, err := analysis.New([]*results.Input{in}, nil, analysis.Options{})
	require.NoError(t, err)
	drawn := map[string]string{}
	for _, f := range figures.Of(r, plot.Style{}) {
		drawn[f.Name] = string(f.SVG())
	}
	return drawn
}

const two = `BenchmarkServe/engine=triton/concurrency=1-2 1 110 tokens/s 16 ttft-ms 800 latency-ms
BenchmarkServe/engine=triton/concurrency=2-2 1 190 tokens/s 24 ttft-ms 900 latency-ms
BenchmarkServe/engine=vllm/concurrency=1-2 1 100 tokens/s 20 ttft-ms 800 latency-ms
BenchmarkServe/engine=vllm/concurrency=2-2 1 200 tokens/s 30 ttft-ms 900 latency-ms
`

func TestDashboardNamesWhoIsAhead(t *testing.T) {
	svg := draw(t, two)["dashboard"]
	require.Contains(t, svg, ">triton +10.0%<") // throughput at 1
	require.Contains(t, svg, ">vllm +5.0%<")    // at 2
	three := draw(t, two+"BenchmarkServe/engine=tgi/concurrency=2-2 1 300 tokens/s 10 ttft-ms 700 latency-ms\n")["dashboard"]
	require.Contains(t, three, "Best median")
	require.NotContains(t, three, "+10.0%")
	require.Equal(t, 4, strings.Count(three, ">tgi<"), "the legend, and best at 2 in all three")
}

func TestFiguresWithoutDataAreLeftOut(t *testing.T) {
	names := func(drawn map[string]string) (list []string) {
		for name := range drawn {
			list = append(list, name)
		}
		return list
	}
	require.ElementsMatch(t, []string{"throughput", "ttft", "latency", "scaling", "ttft-throughput", "dashboard"}, names(draw(t, two)))
	require.ElementsMatch(t, []string{"throughput"}, names(draw(t, "BenchmarkServe/engine=vllm/concurrency=1-2 1 100 tokens/s\n")), "one level scales to nothing")
	require.ElementsMatch(t, []string{"throughput-rate", "throughput-wave"}, names(draw(t,
		"BenchmarkServe/engine=vllm/rate=1-2 1 100 tokens/s\nBenchmarkServe/engine=vllm/wave=1-2 1 100 tokens/s\n")), "kinds of level have files of their own")
}
