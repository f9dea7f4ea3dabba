package analysis_test

import (
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

// report analyses benchmark lines written as "engine level value unit …".
func report(t *testing.T, opts analysis.Options, lines ...string) *analysis.Report {
	text := ""
	for _, line := range lines {
		f := strings.SplitN(line, " ", 3)
		if len(f) < 3 || strings.HasSuffix(f[0], ":") || f[0] == "---" || f[0] == "#" || f[0] == "" {
			text += line + "\n"
			continue
		}
		text += fmt.Sprintf("BenchmarkServe/engine=%s/concurrency=%s-2 1 %s\n", f[0], f[1], f[2])
	}
	return read(t, opts, text+"PASS\n")
}

func read(t *testing.T, opts analysis.Options, text string) *analysis.Report {
	in, err := results.Read("run.txt", strings.NewReader(text))
	require.NoError(t, err)
	r, err := analysis.New([]*results.Input{in}, nil, opts)
	require.NoError(t, err)
	return r
}

func differences(r *analysis.Report, unit string) []string {
	var out []string
	g := r.Groups[0]
	for _, row := range r.Table(g, unit).Rows {
		out = append(out, row[len(row)-1])
	}
	return out
}

var labels = analysis.Options{Labels: []analysis.Label{{Engine: "triton", Title: "Triton TRT-LLM"}, {Engine: "vllm", Title: "vLLM Server"}}}

// Throughput: d = (triton - vllm) / vllm; latency and TTFT: d = (vllm - triton) / vllm.
func TestDifferenceRule(t *testing.T) {
	r := report(t, labels,
		"triton 1 110 tokens/s 90 ttft-ms",  // (110-100)/100 = +10 %; (100-90)/100 = +10 %
		"triton 2 90 tokens/s 110 ttft-ms",  // -10 %: vLLM; (100-110)/100 = -10 %: vLLM
		"triton 4 100 tokens/s 100 ttft-ms", // 0 is not > 0: vLLM +0.0%
		"triton 8 100 tokens/s",             // no TTFT
		"triton 16 100 tokens/s 100 ttft-ms",
		"vllm 1 100 tokens/s 100 ttft-ms",
		"vllm 2 100 tokens/s 100 ttft-ms",
		"vllm 4 100 tokens/s 100 ttft-ms",
		"vllm 8 100 tokens/s 100 ttft-ms",
		"vllm 16 0 tokens/s 100 ttft-ms", // nothing is a share of 0
	)
	require.Equal(t, []string{"Triton +10.0%", "vLLM +10.0%", "vLLM +0.0%", "vLLM +0.0%", "-"}, differences(r, "tokens/s"))
	require.Equal(t, []string{"Triton +10.0%", "vLLM +10.0%", "vLLM +0.0%", "-", "vLLM +0.0%"}, differences(r, "ttft-ms"))
	require.Equal(t, []string{"8", "N/A", "100.00", "-"}, r.Table(r.Groups[0], "ttft-ms").Rows[3])
}

func TestBaselineAndOrder(t *testing.T) {
	lines := []string{"vllm 1 100 tokens/s", "triton 1 110 tokens/s", "tgi 1 50 tokens/s"}
	titles := func(r *analysis.Report) (list []string) {
		for _, e := range r.Engines {
			list = append(list, e.ID)
		}
		return list
	}
	r := report(t, analysis.Options{}, lines...)
	require.Equal(t, []string{"vllm", "triton", "tgi"}, titles(r), "as first seen")
	require.Equal(t, 0, r.Baseline)
	r = report(t, labels, lines...)
	require.Equal(t, []string{"triton", "vllm", "tgi"}, titles(r), "labelled ones first")
	require.Equal(t, "vllm", r.Engines[r.Baseline].ID)
	r = report(t, analysis.Options{Baseline: "tgi"}, lines...)
	require.Equal(t, []string{"Concurrency", "vllm", "triton", "tgi", "vllm vs tgi", "triton vs tgi"}, r.Table(r.Groups[0], "tokens/s").Header)
	require.Equal(t, []string{"1", "100.00", "110.00", "50.00", "vllm +100.0%", "triton +120.0%"}, r.Table(r.Groups[0], "tokens/s").Rows[0])
	r = report(t, analysis.Options{Labels: []analysis.Label{{"vllm", "vLLM 0.10"}, {"triton", "vLLM 0.11"}}}, lines...)
	require.Equal(t, "vLLM 0.11", r.Engines[1].Short, "a first word that two titles share names neither")
}

// Three against three values can be ordered in 20 ways, so the smallest p is
// 2/20 = 0.1; four against four in 70: 2/70 = 0.029, without any overlap.
func TestSeveralRunsAreTested(t *testing.T) {
	runs := func(engine string, values ...float64) (lines []string) {
		for _, v := range values {
			lines = append(lines, fmt.Sprintf("%s 1 %g tokens/s", engine, v))
		}
		return lines
	}
	for name, test := range map[string]struct {
		a, b []float64
		want string
	}{
		"apart":      {[]float64{110, 111, 112, 113}, []float64{100, 101, 102, 103}, "triton +9.9%"}, // 111.5 / 101.5
		"overlap":    {[]float64{110, 111, 112, 100.5}, []float64{100, 101, 102, 103}, "~ (p=0.200 n=4)"},
		"three":      {[]float64{110, 111, 112}, []float64{100, 101, 102}, "~ (p=0.100 n=3)"},
		"one is one": {[]float64{110, 111, 112}, []float64{100}, "triton +11.0%"},
		"uneven":     {[]float64{110, 111, 112}, []float64{100, 101, 102, 103}, "~ (p=0.057 n=3+4)"},
	} {
		t.Run(name, func(t *testing.T) {
			r := report(t, analysis.Options{}, append(runs("triton", test.a...), runs("vllm", test.b...)...)...)
			require.Equal(t, []string{test.want}, differences(r, "tokens/s"))
		})
	}
}

func find(t *testing.T, texts []string, want string) string {
	for _, text := range texts {
		if strings.Contains(text, want) {
			return text
		}
	}
	require.Failf(t, "no such finding", "want %q in\n%s", want, strings.Join(texts, "\n"))
	return ""
}

func TestFindingsSayWhoWinsWhere(t *testing.T) {
	r := report(t, labels,
		"triton 1 120 tokens/s 10 ttft-ms", "triton 2 210 tokens/s 10 ttft-ms", "triton 4 300 tokens/s 10 ttft-ms",
		"vllm 1 100 tokens/s 20 ttft-ms", "vllm 2 200 tokens/s 40 ttft-ms", "vllm 4 400 tokens/s 100 ttft-ms")
	require.Equal(t, "Throughput (tokens/sec): Triton TRT-LLM is ahead at concurrency 1 and 2, by 5.0% (at 2) to 20.0% (at 1); vLLM Server is ahead at concurrency 4 by 25.0%.",
		find(t, r.Findings, "Throughput"))
	require.Equal(t, "Time to First Token (ms): Triton TRT-LLM is ahead at every level (concurrency 1 to 4), by 50.0% (at 1) to 90.0% (at 4).",
		find(t, r.Findings, "Time to First"))
	require.Equal(t, "Triton TRT-LLM: 2.5 times the throughput for 4 times the load (concurrency 1 to 4): scaling efficiency 62.5%.", // 300/120 = 2.5; 2.5/4
		find(t, r.Findings, "scaling efficiency 62.5"))
}

// Flat: less than a tenth of what the load grew. Queueing: TTFT grows more than
// twice as fast as the load.
func TestFindingsNameTheSaturationPoint(t *testing.T) {
	for name, test := range map[string]struct {
		speed, ttft float64 // at concurrency 64, after 1000 tokens/s and 40 ms at 32
		want        string
	}{
		"queueing":        {1040, 5000, "queueing from concurrency 32 on: from concurrency 32 to 64 throughput changes by +4.0% while TTFT grows 125.0 times"},
		"falling":         {900, 200, "queueing from concurrency 32 on: from concurrency 32 to 64 throughput changes by -10.0% while TTFT grows 5.0 times"},
		"flat alone":      {1040, 140, "throughput is flat from concurrency 32 on: from concurrency 32 to 64 throughput changes by +4.0%, TTFT 3.5 times"},
		"still growing":   {1150, 5000, "no saturation up to concurrency 64"}, // 15 % of 100 %
		"just growing on": {1101, 161, "no saturation"},
	} {
		t.Run(name, func(t *testing.T) {
			r := report(t, analysis.Options{}, "vllm 32 1000 tokens/s 40 ttft-ms", fmt.Sprintf("vllm 64 %g tokens/s %g ttft-ms", test.speed, test.ttft))
			find(t, r.Findings, test.want)
		})
	}
}

func doubts(r *analysis.Report) (list []string) {
	for _, d := range r.Doubts {
		list = append(list, d.String())
	}
	return list
}

func TestTooFewRunsAreADoubt(t *testing.T) {
	for n, want := range map[int]string{1: "no repeat", 2: "too few for any difference", 3: "too few for any difference", 4: "fewer than the 6", 6: ""} {
		var lines []string
		for i := range n {
			lines = append(lines, fmt.Sprintf("vllm 1 %d tokens/s", 100+i))
		}
		r := report(t, analysis.Options{}, lines...)
		if want == "" {
			require.Empty(t, r.Doubts)
			continue
		}
		find(t, doubts(r), want)
	}
}

// What was measured after the cut is N/A like what was not measured at all.
func TestCutOffInputIsADoubt(t *testing.T) {
	const whole = "goos: linux\nBenchmarkServe/engine=vllm/concurrency=1-2 1 100 tokens/s\nPASS\n"
	cut := strings.TrimSuffix(whole, "PASS\n")
	for name, test := range map[string]struct{ text, want string }{
		"whole":         {whole, ""},
		"failed":        {cut + "FAIL\nexit status 1\n", ""},
		"of go test":    {cut + "PASS\nok  \tenginebench\t0.010s\n", ""},
		"cut off":       {cut, "run.txt is cut off: results without a PASS or FAIL after them; if they are whole, append a line PASS; cells and runs may be missing here"},
		"then a second": {whole + cut, "run.txt is cut off: results without"},
		"first of two":  {cut + whole, "run.txt is cut off within: 2 runs begin in it and 1 end in PASS or FAIL; cells and runs may be missing here"},
		"two":           {whole + whole, ""},
	} {
		t.Run(name, func(t *testing.T) {
			list := mentioning(doubts(read(t, analysis.Options{}, test.text)), "cut off")
			if test.want == "" {
				require.Empty(t, list)
				return
			}
			require.Len(t, list, 1)
			require.Contains(t, list[0], test.want)
		})
	}
}

func TestPooledVersionsAreADoubt(t *testing.T) {
	r := report(t, analysis.Options{}, "vllm-version: 0.10", "vllm 1 100 tokens/s", "vllm-version: 0.11", "vllm 1 101 tokens/s")
	find(t, doubts(r), "vllm-version is 0.10 and 0.11")
	require.Equal(t, "0.10, 0.11", r.Engines[0].Version)
}

func TestUnknownDirectionIsNotJudged(t *testing.T) {
	opts := analysis.Options{Metrics: []string{"widgets"}}
	r := report(t, opts, "vllm 1 1 tokens/s 5 widgets", "tgi 1 1 tokens/s 6 widgets")
	require.Equal(t, []string{"-"}, differences(r, "widgets"))
	find(t, r.Notes, "Nothing says whether higher or lower values of widgets are better")
	require.NotEmpty(t, r.Table(r.Groups[0], "widgets").Rows)
}

func TestTitles(t *testing.T) {
	for unit, want := range map[string]string{"ttft-p99-ms": "Time to First Token, p99 (ms)", "itl-p50-ms": "Inter-Token Latency, p50 (ms)", "latency-p90-ms": "Latency, p90 (ms)", "widgets": "widgets"} {
		require.Equal(t, want, analysis.Title(unit))
	}
}

// In one place the same doubt in other figures is one doubt; two places share
// one only if they say exactly the same.
func TestDoubtsAreMerged(t *testing.T) {
	bench := func(c int, text string) []string {
		return []string{fmt.Sprintf("vllm %d 1%d tokens/s", c, c), fmt.Sprintf("--- BENCH: BenchmarkServe/engine=vllm/concurrency=%d-2", c), "    serve.go:1: " + text}
	}
	var lines []string
	lines = append(lines, bench(1, "SUSPECT: coalesced 7.1 % of events")...)
	lines = append(lines, bench(1, "SUSPECT: coalesced 7.3 % of events")...)
	lines = append(lines, bench(2, "SUSPECT: coalesced 40 % of events")...)
	lines = append(lines, bench(2, "warning: shared a machine")...)
	lines = append(lines, bench(4, "warning: shared a machine")...)
	all := doubts(report(t, analysis.Options{}, lines...))
	require.Equal(t, []string{
		"vllm, concurrency 1: SUSPECT: coalesced 7.1 % of events (and alike in 1 more run)",
		"vllm, concurrency 2: SUSPECT: coalesced 40 % of events",
		"vllm, concurrency 2; vllm, concurrency 4: shared a machine",
	}, all[:3])
}

// Sentences of an engine that differ in level and figures only are one, with
// the ends of each range; where its runs at one level differ, of those.
func TestFindingsAlikeAreOneSentenceAnEngine(t *testing.T) {
	var lines []string
	say := func(engine string, c int, text string) {
		lines = append(lines, fmt.Sprintf("%s %d 100 tokens/s", engine, c),
			fmt.Sprintf("--- BENCH: BenchmarkServe/engine=%s/concurrency=%d-2", engine, c), "    serve.go:1: "+text)
	}
	say("vllm", 2, "own TTFT: 9.6 ms by 1 count of v0.31.0, 2.9 ms lie between")
	say("vllm", 64, "own TTFT: 45.9 ms by 1 count of v0.31.0, 14.7 ms lie between")
	say("vllm", 8, "own TTFT: 10.0 ms by 1 count of v0.31.0, 2.7 ms lie between")
	say("vllm", 8, "another kind")
	say("triton", 2, "own TTFT: 8.8 ms by 1 count of v0.31.0, 2.1 ms lie between")
	say("triton", 4, "queue of 7 requests")
	say("triton", 4, "queue of 12 requests")
	say("vllm", 2, "canary: 0.015 % off")
	say("vllm", 4, "canary: 0.010 % off")
	r := report(t, analysis.Options{}, lines...)
	require.Equal(t, []string{
		"vllm, concurrency 2, 8 and 64: own TTFT: 9.6 (at 2) to 45.9 (at 64) ms by 1 count of v0.31.0, 2.7 (at 8) to 14.7 (at 64) ms lie between",
		"vllm, concurrency 8: another kind",
		"triton, concurrency 2: own TTFT: 8.8 ms by 1 count of v0.31.0, 2.1 ms lie between",
		"triton, concurrency 4: queue of 7 to 12 requests (in 2 runs)",
	}, r.Findings[len(r.Findings)-4:])
	require.Contains(t, r.Notes, "vllm, concurrency 2 and 4: canary: 0.010 (at 4) to 0.015 (at 2) % off")
}

// Times are compared as such, whatever unit each is written in: 902ns is less
// than 1.027µs, and both are the same kind of figure.
func TestTimesOfOneSentenceKeepTheirUnits(t *testing.T) {
	var lines []string
	say := func(c int, text string) {
		lines = append(lines, fmt.Sprintf("vllm %d 100 tokens/s", c),
			fmt.Sprintf("--- BENCH: BenchmarkServe/engine=vllm/concurrency=%d-2", c), "    serve.go:1: replay truth: "+text)
	}
	say(1, "late by 1.648µs (p50), 56.213µs (p99), 1.258244ms (max) of 5s in v0.31.0")
	say(2, "late by 902ns (p50), 1.2ms (p99), 1m1.5s (max) of 5s in v0.31.0")
	say(4, "late by 0s (p50), 99ns (p99), 781.652µs (max) of 5s in v0.31.0")
	r := report(t, analysis.Options{}, lines...)
	require.Contains(t, r.Notes, "vllm, concurrency 1, 2 and 4: replay truth: late by 0s (at 4) to 1.648µs (at 1) (p50), "+
		"99ns (at 4) to 1.2ms (at 2) (p99), 781.652µs (at 4) to 1m1.5s (at 2) (max) of 5s in v0.31.0")
}

// A run's log and its record say the same: it counts once. What the log has
// not, the record has.
func TestFindingsOfRecordsAreNotSaidTwice(t *testing.T) {
	dir := t.TempDir()
	record := `{"run":{"engine":"vllm","cell":"concurrency=2","metrics":{"tokens/s":100},"findings":["queue of 7 requests","cut from the log"]}}` + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "samples.jsonl"), []byte(record), 0o644))
	set, err := distribution.Read(dir)
	require.NoError(t, err)
	in, err := results.Read("run.txt", strings.NewReader("BenchmarkServe/engine=vllm/concurrency=2-2 1 100 tokens/s\n"+
		"--- BENCH: BenchmarkServe/engine=vllm/concurrency=2-2\n    serve.go:1: queue of 7 requests\n"))
	require.NoError(t, err)
	r, err := analysis.New([]*results.Input{in}, set, analysis.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"vllm, concurrency 2: queue of 7 requests", "vllm, concurrency 2: cut from the log"}, r.Findings)
}

// A column without a number says nothing but why, once, below the table.
func TestPercentilesThatNoCellHasAreNoColumns(t *testing.T) {
	table := func(lines ...string) analysis.Table {
		r := report(t, labels, lines...)
		return r.Percentiles(r.Groups[0])
	}
	few := table("triton 1 5 ttft-p50-ms 9 latency-p50-ms 2 itl-p50-ms", "vllm 1 6 ttft-p50-ms 7 ttft-p90-ms 10 latency-p50-ms 11 latency-p90-ms")
	require.Equal(t, []string{"Engine", "Concurrency", "TTFT p50", "TTFT p90", "Latency p50", "Latency p90", "ITL p50"}, few.Header)
	require.Equal(t, [][]string{
		{"Triton TRT-LLM", "1", "5.00", "N/A", "9.00", "N/A", "2.00"},
		{"vLLM Server", "1", "6.00", "7.00", "10.00", "11.00", "N/A"},
	}, few.Rows)
	require.Equal(t, "No cell has TTFT p99, Latency p99: a p99 needs 299 requests a cell (-requests=300). No cell has ITL p99.", few.Note)

	all := "1 ttft-p50-ms 2 ttft-p90-ms 3 ttft-p99-ms 1 latency-p50-ms 2 latency-p90-ms 3 latency-p99-ms 1 itl-p50-ms 2 itl-p99-ms"
	whole := table("triton 1 "+all, "vllm 1 5 ttft-p50-ms")
	require.Len(t, whole.Header, 2+8)
	require.Equal(t, "N/A", whole.Rows[1][4])
	require.Empty(t, whole.Note)

	require.Empty(t, table("vllm 1 5 ttft-ms").Rows)
}

// By samples: of four requests a cell there is no median either, and the sentence
// goes by what was measured.
func TestPercentilesOfFewSamples(t *testing.T) {
	r := sampled(t, func(int, *workload.Sample) {})
	require.Empty(t, r.Percentiles(r.Groups[0]).Rows)
}
