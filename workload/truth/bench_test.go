package truth_test

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/fixtures/replay"
	"enginebench/fixtures/script"
	"enginebench/workload"
	"enginebench/workload/truth"
)

func TestMain(m *testing.M) {
	replay.MaybeServe()
	pinBenchmarks()
	os.Exit(m.Run())
}

// stage plays a script for a benchmark or test.
type stage struct {
	*truth.Stage
	runner *workload.Runner
}

func open(tb testing.TB, s script.Script, o replay.Options) *stage {
	tb.Helper()
	st, err := truth.Open(tb.Context(), s, o)
	require.NoError(tb, err)
	tb.Cleanup(func() { st.Close() })
	runner := &workload.Runner{Engine: st.Engine}
	tb.Cleanup(func() { runner.Close() })
	return &stage{Stage: st, runner: runner}
}

func (s *stage) play(tb testing.TB) (*workload.Run, truth.Comparison) {
	tb.Helper()
	run, c, err := s.Play(tb.Context(), s.runner)
	require.NoError(tb, err)
	require.NoError(tb, run.Stopped)
	return run, c
}

func us(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// BenchmarkTruth is how far what the client reports is from what the server
// did, with client and server on a CPU each. In a burst all streams get a
// token at the same instant, as from a decode step; in a wave all are sent at
// once. The rows of five waves have requests enough for every percentile.
//
//	go test -bench=Truth -benchtime=1x -count=3 ./workload/truth
func BenchmarkTruth(b *testing.B) {
	for _, c := range []struct {
		dialect string
		streams int
		waves   int
		step    time.Duration
		tokens  int
	}{
		{"openai.completions", 64, 5, 50 * ms, 32},
		{"openai.completions", 512, 1, 50 * ms, 32},
		{"openai.completions", 2048, 1, 50 * ms, 32},
		{"openai.completions", 10000, 1, 500 * ms, 12},
		{"triton.tensorrt_llm", 64, 5, 50 * ms, 32},
		{"triton.tensorrt_llm", 512, 1, 50 * ms, 32},
	} {
		b.Run(fmt.Sprintf("%s/burst/step=%v/streams=%d", c.dialect, c.step, c.streams), func(b *testing.B) {
			p := open(b, script.Script{Dialect: c.dialect, Load: "waves", Cell: fmt.Sprintf("wave=%d", c.streams),
				Concurrency: c.streams, Requests: c.waves * c.streams, Tokens: c.tokens, TTFT: 2 * c.step, Gap: c.step, Step: c.step}, replay.Options{Pin: true})
			var run *workload.Run
			var t truth.Comparison
			for b.Loop() {
				run, t = p.play(b)
			}
			require.Equal(b, t.Tokens.True, t.Tokens.Reported)
			b.ReportMetric(0, "ns/op")
			reportErrors(b, t)
			b.ReportMetric(float64(t.Coalesced), "coalesced")
			b.ReportMetric(us(run.Witness.CPU)/float64(len(t.Chunks)), "cpu-us/chunk")
			b.ReportMetric(float64(run.Witness.GCCycles), "gc-cycles")
			b.ReportMetric(us(t.Late.P99), "server-late-p99-us")
			b.Logf("server late: %v; GOMAXPROCS %d", t.Late, runtime.GOMAXPROCS(0))
		})
	}
}

// reportErrors reports how far arrivals, and the means and percentiles that a
// run would report of requests, are from the true ones.
func reportErrors(b *testing.B, t truth.Comparison) {
	for _, list := range []struct {
		name   string
		errors []time.Duration
	}{{"arrival", t.Chunks}, {"itl", t.ITLs}} {
		for _, q := range []float64{0.5, 0.99} {
			d, at := truth.At(list.errors, q)
			b.ReportMetric(us(d), list.name+"-error-"+at+"-us")
		}
	}
	b.ReportMetric(100*t.TTFT.Mean().Share(), "ttft-error-%")
	for _, of := range []struct {
		name  string
		times truth.Times
	}{{"ttft", t.TTFT}, {"tpot", t.TPOT}, {"latency", t.Latency}} {
		b.ReportMetric(us(of.times.Mean().Error()), of.name+"-error-us")
		for _, q := range []float64{0.5, 0.9, 0.99} {
			if p, ok := of.times.At(q); ok {
				b.ReportMetric(us(p.Error()), fmt.Sprintf("%s-p%g-error-us", of.name, 100*q))
			}
		}
	}
}
