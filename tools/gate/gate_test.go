package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"enginebench/tools/internal/exits"
	"enginebench/workload"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"gate": func() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

var update = os.Getenv("UPDATE_SCRIPTS") != ""

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "script"),
		UpdateScripts: update,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"bench": benchCommand,
			"exits": exits.Command("gate"),
		},
	})
}

// benchCommand writes what a run prints:
//
//	bench FILE [key=value]…
//
// passes=6 of engines=triton,vllm at levels=1,2,4,8,16,32,64, with noise=0.01
// drawn by seed=1. slow=vllm/32 by=1.12 makes a cell slower, skip=vllm/2 leaves
// it out, fail=vllm/2 makes it fail, without=tpot-ms leaves out a unit,
// version, prompts, model and cpu change the configuration, samples=DIR writes
// the samples, with failed=vllm/2 bad=5 failed requests in each run and
// other=0.1 of the outputs changed.
func benchCommand(ts *testscript.TestScript, neg bool, args []string) {
	spec := map[string]string{"passes": "6", "engines": "triton,vllm", "levels": "1,2,4,8,16,32,64", "noise": "0.01", "seed": "1",
		"by": "1", "version": "0.31.0", "prompts": "8f3c2a91d0be4477", "model": "tiny-llama", "cpu": "Some CPU @ 2.60GHz", "bad": "0", "other": "0"}
	for _, arg := range args[1:] {
		key, value, _ := strings.Cut(arg, "=")
		spec[key] = value
	}
	var dir string
	if spec["samples"] != "" {
		dir = ts.MkAbs(spec["samples"])
		ts.Check(os.MkdirAll(dir, 0o755))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(fakeRun(spec, dir)), 0o644))
}

func fakeRun(spec map[string]string, dir string) string {
	number := func(key string) float64 {
		v, err := strconv.ParseFloat(spec[key], 64)
		if err != nil {
			panic(err)
		}
		return v
	}
	var b strings.Builder
	r := rand.New(rand.NewPCG(uint64(number("seed")), 0))
	noisy := func() float64 { return 1 + number("noise")*r.NormFloat64() }
	for pass := range int(number("passes")) {
		for _, m := range workload.Metrics[:5] {
			fmt.Fprintf(&b, "Unit %s better=%s\n", m.Unit, map[int]string{+1: "higher", -1: "lower"}[m.Better])
		}
		fmt.Fprintf(&b, "load: closed\nprompts: %s\noutput-tokens: 64\nseed: 42\n", spec["prompts"])
		for _, engine := range strings.Split(spec["engines"], ",") {
			version, model := "2.51.0", "tensorrt_llm"
			if engine == "vllm" {
				version, model = spec["version"], spec["model"]
				fmt.Fprintf(&b, "# vllm is vLLM %s, openai.completions, http://localhost:8000\n", version)
			}
			fmt.Fprintf(&b, "%s-version: %s\n%s-model: %s\n", engine, version, engine, model)
		}
		if spec["remark"] != "" {
			fmt.Fprintf(&b, "# %s\n", spec["remark"])
		}
		fmt.Fprintf(&b, "goos: linux\ngoarch: amd64\npkg: enginebench\ncpu: %s\n", spec["cpu"])
		for _, engine := range strings.Split(spec["engines"], ",") {
			for _, level := range strings.Split(spec["levels"], ",") {
				cell := engine + "/" + level
				name := fmt.Sprintf("BenchmarkServe/engine=%s/concurrency=%s", engine, level)
				if spec["skip"] == cell {
					continue
				}
				if spec["fail"] == cell {
					fmt.Fprintf(&b, "--- FAIL: %s\n    serve.go:88: 20 of 20 requests failed: connect: connection refused\n", name)
					continue
				}
				c, err := strconv.ParseFloat(level, 64)
				if err != nil {
					panic(err)
				}
				factor := 1.0
				if spec["slow"] == cell || spec["slow"] == "all" {
					factor = number("by")
				}
				ttft := (20 + 3*c) * noisy() * factor
				tpot := (8 + c/5) * noisy() * factor
				latency := (ttft + 63*tpot) * noisy()
				bad := 0
				if spec["failed"] == cell {
					bad = int(number("bad"))
				}
				const sent = 100
				metrics := map[string]float64{"tokens/s": c * 64e3 / latency * noisy(), "ttft-ms": ttft, "latency-ms": latency,
					"tpot-ms": tpot, "req/s": c * 1e3 / latency, "ok-%": 100 * float64(sent-bad) / sent}
				if only := spec["without-in"]; only == "" || only == cell {
					delete(metrics, spec["without"])
				}
				fmt.Fprintf(&b, "%s-2 \t       1", name)
				for _, unit := range slices.Sorted(maps.Keys(metrics)) {
					fmt.Fprintf(&b, "\t%.4g %s", metrics[unit], unit)
				}
				b.WriteByte('\n')
				if spec["suspect"] == cell {
					fmt.Fprintf(&b, "--- BENCH: %s-2\n    serve.go:123: SUSPECT: coalesced %.1f %% of token events: itl metrics are left out\n", name, 7+float64(pass)/10)
				}
				if dir != "" {
					fakeSamples(dir, engine, "concurrency="+level, pass, metrics, sent, bad, int(number("other")*sent))
				}
			}
		}
		b.WriteString("PASS\n")
	}
	return b.String()
}

// fakeSamples appends a run to the samples of a cell. The first other of its
// outputs differ from everybody else's.
func fakeSamples(dir, engine, cell string, run int, metrics map[string]float64, sent, bad, other int) {
	f, err := os.OpenFile(filepath.Join(dir, engine+"."+cell+".jsonl"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	encoder := json.NewEncoder(f)
	write := func(key string, v any) {
		if err := encoder.Encode(map[string]any{key: v}); err != nil {
			panic(err)
		}
	}
	write("run", workload.RunRecord{Engine: engine, Cell: cell, Run: run, Metrics: metrics, Sent: sent, OK: sent - bad, Failed: bad, Verdict: workload.Valid})
	for i := range sent {
		s := workload.Sample{Engine: engine, Cell: cell, Run: run, Index: i, Measured: true, Prompt: fmt.Sprintf("p%d", i), Wanted: 64, Status: workload.OK}
		s.OutputHash = fmt.Sprintf("ids:%016x", i)
		if i < other {
			s.OutputHash = fmt.Sprintf("ids:f%015x", i)
		}
		if i >= sent-bad {
			s.Status, s.OutputHash = workload.Failed, ""
		}
		write("sample", s)
	}
}

func TestThresholds(t *testing.T) {
	for _, test := range []struct {
		set  []string
		unit string
		want float64
	}{
		{nil, "tokens/s", 0.05},
		{nil, "ok-%", 1},                            // in points
		{[]string{"3%"}, "tokens/s", 0.03},          // of the old value
		{[]string{"3%"}, "ok-%", 1},                 // has its own
		{[]string{"ttft-ms=10%"}, "ttft-ms", 0.10},  // one unit
		{[]string{"ttft-ms=10%"}, "tokens/s", 0.05}, // and no other
		{[]string{"ok-%=2"}, "ok-%", 2},             // a unit may end in %
		{[]string{"2", "tokens/s= 4 % "}, "tokens/s", 0.04},
	} {
		th := defaultThresholds()
		for _, s := range test.set {
			require.NoError(t, th.Set(s))
		}
		require.InDelta(t, test.want, th.of(test.unit), 1e-12, "%v %s", test.set, test.unit)
	}
	for _, bad := range []string{"", "x", "-1%", "=5%", "ttft-ms=", "NaN", "Inf%"} {
		th := defaultThresholds()
		require.Error(t, th.Set(bad), bad)
	}
}

func TestAnnotationsAreEscaped(t *testing.T) {
	var b strings.Builder
	annotate(&b, "error", "a: b, 5%", "100 % of\nit: yes")
	require.Equal(t, "::error title=a%3A b%2C 5%25::100 %25 of%0Ait: yes\n", b.String())
}

// Whatever the bytes, the gate ends with a verdict and does not call them good.
func FuzzInput(f *testing.F) {
	good := fakeRun(map[string]string{"passes": "3", "engines": "vllm", "levels": "1,2", "noise": "0.01", "seed": "1", "by": "1",
		"version": "1", "prompts": "p", "model": "m", "cpu": "c", "bad": "0", "other": "0"}, "")
	f.Add([]byte(good))
	f.Add([]byte(good[:len(good)/2]))
	f.Add([]byte("BenchmarkServe/engine=a/concurrency=1 1 NaN tokens/s\nPASS\n"))
	f.Add([]byte("BenchmarkServe/engine=a/concurrency=1 1 -1 tokens/s 0 ttft-ms\nPASS\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "run.txt")
		require.NoError(t, os.WriteFile(path, data, 0o644))
		opts, err := parse([]string{"-unit", "all", path, path}, nil, nil)
		require.NoError(t, err)
		report := judge(opts, nil)
		require.NotEqual(t, exitRegression, report.Exit, "a file against itself")
		for _, print := range []string{"text", "markdown", "json"} {
			var out strings.Builder
			require.NoError(t, printers[print](&out, report))
			require.NotEmpty(t, out.String())
		}
	})
}
