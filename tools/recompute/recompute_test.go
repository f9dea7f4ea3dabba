package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/engines/catalog"
	"enginebench/fixtures"
	"enginebench/fixtures/replay"
	"enginebench/fixtures/script"
	"enginebench/tools/internal/exits"
	"enginebench/tools/internal/results"
	"enginebench/workload"
)

var update = flag.Bool("update", false, "rewrite the goldens in testdata/script")

func TestMain(m *testing.M) {
	replay.MaybeServe()
	testscript.Main(m, map[string]func(){"recompute": main})
}

// Regenerate the goldens with: go test ./tools/recompute -update
func TestScripts(t *testing.T) {
	made := t.TempDir()
	makeRecordings(t, made)
	words, more, breaks := wordServer(t, 0, 1000), wordServer(t, 1, 1000), wordServer(t, 0, 3)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GOMAXPROCS", "2") // it is part of names
			env.Setenv("WORDS", words)
			env.Setenv("MORE", more)
			env.Setenv("BREAKS", breaks)
			return os.CopyFS(env.WorkDir, os.DirFS(made))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits.Command("recompute")},
	})
}

// recompute runs the command in this process.
func recompute(t testing.TB, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitGood, run(args, nil, &stdout, &stderr), "%s", &stderr)
	require.Empty(t, stderr.String())
	return stdout.String()
}

// readSamples reads the one samples file in dir.
func readSamples(t testing.TB, dir string) (record workload.RunRecord, samples []workload.Sample) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	require.NoError(t, err)
	require.Len(t, names, 1)
	data, err := os.ReadFile(names[0])
	require.NoError(t, err)
	for text := range strings.Lines(string(data)) {
		var l struct {
			Run    *workload.RunRecord
			Sample *workload.Sample
		}
		require.NoError(t, json.Unmarshal([]byte(text), &l))
		if l.Run != nil {
			record = *l.Run
		} else {
			samples = append(samples, *l.Sample)
		}
	}
	return record, samples
}

func TestARecomputedRunIsTheLiveOne(t *testing.T) {
	for _, s := range []script.Script{
		{Engine: "completions", Dialect: "openai.completions", Split: 2, Jitter: 5 * time.Millisecond},
		{Engine: "chat", Dialect: "openai.chat", Reasoning: 3, Counts: script.Running, Comments: true},
		{Engine: "usage", Dialect: "openai.completions", Counts: script.Usage, Block: 512},
		{Engine: "triton", Dialect: "triton.tensorrt_llm", PerEvent: 2, Coalesced: 2},
	} {
		t.Run(s.Engine, func(t *testing.T) {
			s.Concurrency, s.Requests, s.Tokens, s.TTFT, s.Gap = 2, 14, 12, 10*time.Millisecond, 2*time.Millisecond
			live, dir := t.TempDir(), t.TempDir()
			runLive(t, s, live, dir)

			again := t.TempDir()
			out := recompute(t, "-samples="+again, "-metrics=all", dir)
			liveRecord, liveSamples := readSamples(t, live)
			record, samples := readSamples(t, again)
			require.Len(t, samples, 14)
			require.Equal(t, liveSamples, samples, "every time and every count, to the nanosecond")

			// What recordings can't hold.
			for _, unit := range []string{"client-cpu-us/chunk", "gc-cycles"} {
				require.NotContains(t, record.Metrics, unit)
				delete(liveRecord.Metrics, unit)
			}
			require.Equal(t, liveRecord.Metrics, record.Metrics)
			require.Equal(t, liveRecord.Findings, record.Findings)
			require.Equal(t, liveRecord.Sent, record.Sent)
			require.NotContains(t, record.Evidence, "steal-%")
			require.Equal(t, liveRecord.Evidence["chunks"], record.Evidence["chunks"])

			in, err := results.Read("recomputed", strings.NewReader(out))
			require.NoError(t, err)
			require.Equal(t, 1, results.Match(in.Runs, []*workload.RunRecord{&record}), out)
		})
	}
}

// runLive replays a script, measures it, and leaves samples and a recording.
func runLive(t *testing.T, s script.Script, samples, recordings string) {
	t.Helper()
	rec := recordingOf(t, s)
	server, err := replay.Start(t.Context(), []*fixtures.Recording{rec}, replay.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Close()) }()
	spec, err := engines.ParseSpec(s.Engine + "=" + server.URL(s.Engine))
	require.NoError(t, err)
	engine, err := catalog.Open(spec)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	info, err := engine.Describe(ctx)
	require.NoError(t, err)
	plan, err := workload.PlanOf(rec, "test")
	require.NoError(t, err)
	runner := &workload.Runner{Engine: engine}
	defer runner.Close()
	run, err := runner.Run(ctx, plan)
	require.NoError(t, err)

	out := workload.Decode(run, s.Engine, engine, info)
	summary := workload.Summarize(out)
	require.Equal(t, summary.Sent, summary.OK, "%+v", summary.ByClass)
	record := out.Record(s.Engine, info, workload.ConditionsOf(rec.Header), summary, workload.Judge(summary, 0, out))
	record.Findings = workload.Audit(summary, out)
	require.NoError(t, workload.SaveSamples(samples, "live", record, out.Samples))
	write(t, recordings, workload.Recording(run, fixtures.Header{Engine: s.Engine, Prompts: rec.Header.Prompts, Info: info,
		Target: fixtures.TargetOf(spec.URL, spec.Options)}, false))
}

func TestTheToolsReadWhatIsPrinted(t *testing.T) {
	dir := t.TempDir()
	makeRecordings(t, dir)
	in, err := results.Read("recomputed", strings.NewReader(recompute(t, filepath.Join(dir, "recordings"), filepath.Join(dir, "next"))))
	require.NoError(t, err)
	require.True(t, in.Complete)
	require.Empty(t, in.Foreign)
	var cells, versions, gpus []string
	for _, r := range in.Runs {
		cells = append(cells, r.Cell.String())
		versions = append(versions, r.Result.GetConfig("vllm-version"))
		gpus = append(gpus, r.Result.GetConfig("gpu"))
	}
	require.Equal(t, []string{"engine=triton/concurrency=2", "engine=vllm/concurrency=1", "engine=vllm/concurrency=2", "engine=vllm/concurrency=1"}, cells)
	require.Equal(t, []string{"1.0", "1.0", "1.0", "2.0"}, versions)
	require.Equal(t, []string{"none", "none", "none", ""}, gpus, "a key ends with its directory")
	require.Equal(t, "", in.Runs[3].Result.GetConfig("triton-version"))
}

func TestAHeaderHoldsForTheRecordingsOfOneDirectoryAndVersion(t *testing.T) {
	s := script.Script{Engine: "vllm", Dialect: "openai.completions"}
	two := s
	two.Concurrency = 2
	triton := script.Script{Engine: "triton", Dialect: "triton.tensorrt_llm"}
	old, upgraded, mixed := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, old, recordingOf(t, triton))
	write(t, old, recordingOf(t, s))
	write(t, upgraded, recordingOf(t, triton))
	write(t, upgraded, recordingOf(t, s, version("2.0")))
	write(t, mixed, recordingOf(t, s))
	write(t, mixed, recordingOf(t, two, version("2.0")))

	for _, test := range []struct {
		name string
		args []string
		want []string // each line's cell and vllm-version
	}{
		{"an engine that stayed stands below the header of its own directory", []string{old, upgraded},
			[]string{"triton/concurrency=1 1.0", "vllm/concurrency=1 1.0", "triton/concurrency=1 2.0", "vllm/concurrency=1 2.0"}},
		{"two versions in one directory", []string{mixed}, []string{"vllm/concurrency=1 1.0", "vllm/concurrency=2 2.0"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			in, err := results.Read("recomputed", strings.NewReader(recompute(t, test.args...)))
			require.NoError(t, err)
			var got []string
			for _, r := range in.Runs {
				got = append(got, strings.TrimPrefix(r.Cell.String(), "engine=")+" "+r.Result.GetConfig("vllm-version"))
			}
			require.Equal(t, test.want, got)
		})
	}
}

func TestARecordingCutOffAnywhereIsOneLine(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, recordingOf(t, script.Script{Engine: "vllm", Dialect: "openai.completions", Requests: 3}))
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for n := 0; n < len(whole); n += 1 + len(whole)/97 {
		require.NoError(t, os.WriteFile(path, whole[:n], 0o644))
		var stdout, stderr bytes.Buffer
		require.Equal(t, exitBad, run([]string{dir}, nil, &stdout, &stderr), "%d of %d bytes", n, len(whole))
		require.Regexp(t, `^recompute: read recording \S+: .*the file is cut off[^\n]*\n$`, stderr.String(), "%d of %d bytes", n, len(whole))
		require.NotContains(t, stdout.String(), "Benchmark")
	}
}
