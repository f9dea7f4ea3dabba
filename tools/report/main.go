// Report turns benchmark output into a report that a person reads: tables,
// findings, doubts, plots, a page, and exports for other tools.
//
//	go tool report run.txt                                  # Markdown on stdout
//	go tool report -label triton="Triton TRT-LLM" -label vllm="vLLM Server" run.txt
//	go tool report -samples samples/ -o out/ run.txt        # + report.html, plots
//	go tool report -samples new/ -same old/ run.txt         # + same answers?
//	go tool report -samples samples/ -format vllm           # other tools' schemas
//
// # Input
//
// Benchmark output, in files or on stdin, of any number of runs: lines such as
//
//	BenchmarkServe/engine=vllm/concurrency=32-16  1  1453.85 tokens/s  1944.18 ttft-ms  10497.80 latency-ms
//
// with what go test prints around them. Several lines of a cell are its runs.
// Benchmarks that are not cells are left out and named in a note. With -samples
// the values are exact (go test prints four digits), percentiles are over all
// requests, and the doubts that runs recorded are complete. With -samples
// and without a file (nor "-" for stdin) the cells come from the samples alone.
//
// # Tables
//
// One for throughput, one for latency, one for TTFT; -metrics=tpot-ms,ok-% adds
// more, -metrics=all every unit there is. Values are medians over the runs. The
// Difference column names the better engine (by the first word of its title)
// and by how much, in percent of the baseline's value: -baseline, or vllm where
// there is one, or the first engine. A cell without a number reads N/A, its
// difference "-". A difference that Mann-Whitney's U test does not tell from
// noise reads "~" with p and the number of runs; from single runs nothing can
// be told, and the report says so under Doubts.
//
// Engines stand in the order of -label, then of the input.
//
// # Findings and doubts
//
// Findings are computed: who is ahead where and by how much; the level from
// which requests queue (throughput gains less than a tenth of what the load
// grew, while TTFT grows twice as fast as the load); scaling efficiency against
// the lowest level; by -samples, at which levels an engine and the baseline were
// not given the same prompts, or tokens that differ by more than 1 % in the mean;
// the share of identical outputs. What an engine's runs found themselves and say
// alike is one sentence, with the ends of each number's range; -format json has
// each as it was said. Doubts are everything that makes a number less than it
// seems: input that was cut off, verdicts and warnings of runs, failed cells,
// token and prompt mismatches, cached prompt tokens, coalesced events, mixed
// workloads, text against token ids, too few runs or requests, a client on the
// engine's machine.
//
// # Same answers?
//
// -same OLD compares the outputs in -samples with those in another -samples
// directory: for each cell the share of prompts (same id, same number of wanted
// tokens) whose outputs are identical. Between engines of one directory the
// same is shown wherever they were sent the same prompts. Outputs are compared
// by hash, of token ids where the engine gives them.
//
// # Output
//
// Markdown on stdout. -format json and csv carry every cell, run and metric
// with its definition; vllm and aiperf write one JSON object a run in the
// schema of `vllm bench serve` and of AIPerf's profile export, from -samples,
// with the definitions that differ stated in them. -o DIR writes report.md,
// report.html (one file: no network, light and dark, sortable tables, with
// -samples distributions and timelines) and plots/*.svg, *.png; with -format
// it writes the exports there instead. Files are written beside their place
// and renamed.
//
// Exit code 0: written. 2: bad input or usage; one line on stderr says what.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"enginebench/tools/internal/results"
	"enginebench/tools/report/analysis"
	"enginebench/tools/report/distribution"
	"enginebench/tools/report/export"
	"enginebench/tools/report/markdown"
	"enginebench/tools/report/plot"
	"enginebench/workload/line"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

const (
	exitGood = 0
	exitBad  = 2
)

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	err := report(args, stdin, stdout)
	switch {
	case err == nil:
		return exitGood
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage())
		return exitGood
	}
	fmt.Fprintf(stderr, "report: %s\n", line.Flat(err.Error()))
	return exitBad
}

type config struct {
	options analysis.Options
	samples string
	same    string
	out     string
	format  string
	colors  string
	files   []string
	command string
}

func newFlags(c *config) *flag.FlagSet {
	f := flag.NewFlagSet("report", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Func("label", "`engine=title`: a title for an engine, repeatable; labelled engines come first, in this order", func(s string) error {
		engine, title, ok := strings.Cut(s, "=")
		if !ok || engine == "" || strings.TrimSpace(title) == "" {
			return errors.New(`want engine=title, as in triton="Triton TRT-LLM"`)
		}
		if slices.ContainsFunc(c.options.Labels, func(l analysis.Label) bool { return l.Engine == engine }) {
			return fmt.Errorf("engine %s has a title already", engine)
		}
		c.options.Labels = append(c.options.Labels, analysis.Label{Engine: engine, Title: line.Flat(title)})
		return nil
	})
	f.StringVar(&c.options.Baseline, "baseline", "", "`engine` that differences are taken against (default vllm if there, else the first)")
	f.Func("metrics", "`units` that get a table beside throughput, latency and TTFT, separated by commas; all: every one", func(s string) error {
		c.options.Metrics = append(c.options.Metrics, strings.Split(s, ",")...)
		return nil
	})
	f.StringVar(&c.samples, "samples", "", "`directory` that the runs wrote with -samples")
	f.StringVar(&c.same, "same", "", "older -samples `directory`: are the answers still the same?")
	f.StringVar(&c.out, "o", "", "`directory` for report.md, report.html and plots, or for the exports of -format")
	f.StringVar(&c.format, "format", "markdown", "markdown, json, csv, vllm or aiperf")
	f.StringVar(&c.colors, "colors", "okabe-ito", "okabe-ito (safe for colour-blind readers) or seed (green and red)")
	return f
}

func usage() string {
	var b strings.Builder
	b.WriteString(`Report turns Go benchmark output of serving engines into tables, findings, plots and exports.

usage: go tool report [flags] [RUN.txt ...]     ("-", or nothing without -samples: stdin)

  go tool report run.txt
  go tool report -label triton="Triton TRT-LLM" -label vllm="vLLM Server" -samples samples/ -o out/ run.txt
  go tool report -samples new/ -same old/ new.txt
  go tool report -samples samples/ -format aiperf -o exports/

flags:
`)
	f := newFlags(new(config))
	f.SetOutput(&b)
	f.PrintDefaults()
	return b.String()
}

func parse(args []string) (*config, error) {
	c := &config{}
	f := newFlags(c)
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	c.files = f.Args()
	command := []string{"go tool report"}
	for _, arg := range args {
		command = append(command, line.Quote(arg))
	}
	c.command = strings.Join(command, " ")
	if len(c.files) == 0 && c.samples == "" {
		c.files = []string{"-"}
	}
	for i, file := range c.files {
		if slices.Contains(c.files[:i], file) {
			return nil, fmt.Errorf("%s is named twice: its runs would count twice", file)
		}
	}
	if plot.Palettes[c.colors] == nil {
		return nil, fmt.Errorf("-colors=%s: want okabe-ito or seed", c.colors)
	}
	if c.format != "markdown" && !slices.Contains(export.Formats, c.format) {
		return nil, fmt.Errorf("-format=%s: want markdown, %s", c.format, strings.Join(export.Formats, ", "))
	}
	if c.samples == "" && export.NeedsSamples(c.format) {
		return nil, fmt.Errorf("-format=%s is made from samples: name their directory with -samples", c.format)
	}
	if c.samples == "" && c.same != "" {
		return nil, errors.New("-same compares samples: name the newer directory with -samples")
	}
	return c, nil
}

func report(args []string, stdin io.Reader, stdout io.Writer) error {
	c, err := parse(args)
	if err != nil {
		return err
	}
	r, samples, err := c.read(stdin)
	if err != nil {
		return err
	}
	if c.format != "markdown" {
		return c.export(r, samples, stdout)
	}
	if c.out != "" {
		if err := c.write(r); err != nil {
			return err
		}
	}
	return markdown.Write(stdout, markdown.Page{Report: r, Command: c.command})
}

// read reads all input and analyses it.
func (c *config) read(stdin io.Reader) (*analysis.Report, *distribution.Set, error) {
	var inputs []*results.Input
	for _, file := range c.files {
		in, err := results.ReadFile(file, stdin)
		if err != nil {
			return nil, nil, err
		}
		inputs = append(inputs, in)
	}
	var samples *distribution.Set
	if c.samples != "" {
		set, err := distribution.Read(c.samples)
		if err != nil {
			return nil, nil, err
		}
		samples = set
		if len(c.files) == 0 {
			inputs = append(inputs, results.FromRecords(c.samples, set.Records))
		}
	}
	r, err := analysis.New(inputs, samples, c.options)
	if err != nil {
		return nil, nil, err
	}
	if samples != nil {
		r.CompareEngines(samples)
	}
	if c.same != "" {
		old, notes, err := results.ReadOutputs(c.same)
		if err != nil {
			return nil, nil, err
		}
		r.Notes = append(r.Notes, notes...)
		r.CompareSets(old, samples)
	}
	return r, samples, nil
}
