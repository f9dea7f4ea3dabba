package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write golden files")

// asCommand names an environment variable that makes the test binary the
// command itself, for tests that need a process.
const asCommand = "ENGINEBENCH_REPORT"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	testscript.Main(m, map[string]func(){"report": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script"})
}

// command runs the command in-process and wants success.
func command(t testing.TB, stdin string, args ...string) string {
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitGood, run(args, strings.NewReader(stdin), &stdout, &stderr), stderr.String())
	require.Empty(t, stderr.String())
	return stdout.String()
}

func golden(t *testing.T, name, got string) {
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run with -update to make it")
	require.Equal(t, string(want), got)
}

var titles = []string{"-label", "triton=Triton TRT-LLM", "-label", "vllm=vLLM Server"}

// tables finds the Markdown tables under "### " headings: their cells.
func tables(markdown string) map[string][][]string {
	found := map[string][][]string{}
	heading := ""
	for _, line := range strings.Split(markdown, "\n") {
		if h, ok := strings.CutPrefix(line, "### "); ok {
			heading = h
		}
		if !strings.HasPrefix(line, "|") || heading == "" || regexp.MustCompile(`^[|:\- ]+$`).MatchString(line) {
			continue
		}
		var cells []string
		for _, cell := range strings.Split(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		found[heading] = append(found[heading], cells)
	}
	return found
}

// The tables that this report took over, from their own numbers written as
// benchmark lines: heading by heading, row by row, cell by cell.
func TestTheOriginalTablesComeOutCellForCell(t *testing.T) {
	want, err := os.ReadFile("testdata/seed-tables.md")
	require.NoError(t, err)
	got := tables(command(t, "", append(titles, "testdata/seed.txt")...))
	wanted := tables(string(want))
	require.Len(t, wanted, 3)
	for _, table := range wanted {
		require.Len(t, table, 8)
	}
	require.Equal(t, wanted, got)
}

func TestReportGolden(t *testing.T) {
	golden(t, "seed.golden.md", command(t, "", append(titles, "testdata/seed.txt")...))
}

// Six passes around the original numbers, each engine's k-th run k % off in the
// same direction, so engines differ in a cell by the original difference.
// Mann-Whitney's p < 0.05 needs the ranges to overlap little: throughput at 1
// (7.6 %, spread 2 %) does, latency at 32 (0.3 %) does not.
func TestInsignificantDifferencesReadTilde(t *testing.T) {
	seed, err := os.ReadFile("testdata/seed.txt")
	require.NoError(t, err)
	input := manyPasses(string(seed), 6)
	got := tables(command(t, input, titles...))
	throughput, latency := got["Throughput (tokens/sec)"], got["Average Latency (ms) - End-to-End Generation Time"]
	require.Equal(t, []string{"1", "61.70", "66.78", "vLLM +7.6%"}, throughput[1])
	require.Equal(t, "32", latency[6][0])
	require.Regexp(t, `^~ \(p=0\.\d{3} n=6\)$`, latency[6][3])
}

func TestReportIsTheSameEveryTime(t *testing.T) {
	dir := t.TempDir()
	lines := pair(t, dir, 2, 1, 4)
	first, second := t.TempDir(), t.TempDir()
	for _, out := range []string{first, second} {
		command(t, lines, "-samples", dir, "-o", out, "-metrics", "all", "-")
	}
	files := 0
	require.NoError(t, filepath.WalkDir(first, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		name, err := filepath.Rel(first, path)
		require.NoError(t, err)
		a, err := os.ReadFile(path)
		require.NoError(t, err)
		b, err := os.ReadFile(filepath.Join(second, name))
		require.NoError(t, err)
		// The page names its own command, and so its directory.
		require.Equal(t, strings.ReplaceAll(string(a), first, "OUT"), strings.ReplaceAll(string(b), second, "OUT"), name)
		return nil
	}))
	require.Equal(t, 2+2*6, files, "report.md, report.html, and six plots as SVG and PNG")
}

func TestSamplesGiveExactValuesAndTheirDoubts(t *testing.T) {
	dir := t.TempDir()
	lines := pair(t, dir, 2, 32)
	printed := command(t, lines, titles...)
	exact := command(t, lines, slices.Concat([]string{"-samples", dir}, titles, []string{"-"})...)
	require.NotEqual(t, tables(printed)["Throughput (tokens/sec)"], tables(exact)["Throughput (tokens/sec)"])
	require.Contains(t, exact, "- vLLM Server, concurrency 32: SUSPECT: coalesced 7.0 % of token events shared a read (and alike in 1 more run)\n")
	require.NotContains(t, exact, "printed four digits")

	alone := command(t, "", append([]string{"-samples", dir}, titles...)...)
	require.Equal(t, tables(exact), tables(alone), "the samples alone make the same tables")

	foreign := t.TempDir()
	pair(t, foreign, 1, 1)
	mixed := command(t, lines, slices.Concat([]string{"-samples", foreign}, titles, []string{"-"})...)
	require.Contains(t, mixed, "No run of the benchmark output is in the samples")
}

// A directory of samples outlives a run's output: what else it holds of a cell
// must not get into the report's percentiles.
func TestSamplesOfOtherRunsAreLeftOut(t *testing.T) {
	dir := t.TempDir()
	lines := strings.SplitAfter(pair(t, dir, 3, 4), "\n") // runs 0, 1, 2 of triton, then of vllm
	got := command(t, lines[0]+lines[3], slices.Concat([]string{"-samples", dir}, titles, []string{"-"})...)
	require.Contains(t, got, "The samples hold 4 more runs that the benchmark output does not; they are left out.")
	for _, row := range tables(got)["Percentiles (ms)"][1:] {
		require.Equal(t, "44", row[2], "11 of 12 requests a slot are measured") // 4 × 11
	}
}

func TestSameAnswersAreCounted(t *testing.T) {
	old, now := t.TempDir(), t.TempDir()
	e := synthetic{name: "vllm", ttft: 1e6, gap: 1e6, batch: 8, tokens: 4, requests: 50, runs: 1, seed: 3}
	e.write(t, old, 2)
	e.garbage = 1 // every output differs
	e.write(t, now, 2)
	same := command(t, "", "-samples", old, "-same", old)
	require.Contains(t, same, "Same answers: all 100 outputs are identical")
	differ := command(t, "", "-samples", now, "-same", old)
	require.Contains(t, differ, "Same answers: 0.0 % of 100 outputs are identical")
	require.Equal(t, []string{"vllm, concurrency 2, before and now", "100", "0", "0.0%"}, tables(differ)["Same answers?"][1])
}

func TestExportsGolden(t *testing.T) {
	dir := t.TempDir()
	e := synthetic{name: "vllm", ttft: 25e6, gap: 14e6, batch: 8, tokens: 8, requests: 20, runs: 1, seed: 4}
	e.write(t, dir, 2)
	e.name, e.seed = "triton", 5
	e.write(t, dir, 2)
	for _, format := range []string{"json", "csv", "vllm", "aiperf"} {
		t.Run(format, func(t *testing.T) {
			got := command(t, "", "-samples", dir, "-format", format)
			golden(t, "export."+format+".golden", strings.ReplaceAll(got, dir, "SAMPLES"))
		})
	}
}

func TestExportsWriteAFileARun(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	pair(t, dir, 2, 1)
	require.Empty(t, command(t, "", "-samples", dir, "-format", "vllm", "-o", out))
	entries, err := os.ReadDir(out)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	require.Equal(t, []string{"vllm-triton-concurrency-1-run0.json", "vllm-triton-concurrency-1-run1.json",
		"vllm-vllm-concurrency-1-run0.json", "vllm-vllm-concurrency-1-run1.json"}, names)
}

// manyPasses repeats every benchmark line: pass k is k - passes/2 half percent
// above the original.
func manyPasses(seed string, passes int) string {
	value := regexp.MustCompile(`([0-9.]+) ([a-z/-]+(?:ms|/s))`)
	var out strings.Builder
	for k := range passes {
		for _, line := range strings.SplitAfter(seed, "\n") {
			if !strings.HasPrefix(line, "Benchmark") {
				if k == 0 && !strings.HasPrefix(line, "PASS") {
					out.WriteString(line)
				}
				continue
			}
			out.WriteString(value.ReplaceAllStringFunc(line, func(s string) string {
				number, unit, _ := strings.Cut(s, " ")
				return scaled(number, 1+0.005*float64(k-passes/2+1)) + " " + unit
			}))
		}
	}
	return out.String()
}
