package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// Exit codes.
const (
	exitOK         = 0
	exitRegression = 1
	exitCannotTell = 2
)

const usage = `Usage: go tool gate [flags] OLD.txt NEW.txt

Compares two runs of the benchmarks and says by its exit code whether anything
got worse: 0 no, 1 yes, 2 it cannot tell. Inputs are what go test -bench
printed, "-" for stdin, label=path to name a column.

  go tool gate old.txt new.txt
  go tool gate -threshold 3% -threshold ttft-ms=10% main=old.txt pr=new.txt
  go tool gate -filter '/engine:vllm' -unit tokens/s,itl-p99-ms old.txt new.txt
  go tool gate -old-samples old.samples -new-samples new.samples -same-min 99% old.txt new.txt
  go tool gate -format github kept/run.txt run.txt

`

// options is the command line.
type options struct {
	paths      []string
	filter     string
	row, col   string
	ignore     []string // configuration keys that may differ
	units      []string // empty: the default ones
	thresholds thresholds
	alpha      float64
	samples    [2]string // directories of old and new; "" for none
	sameMin    float64   // share of identical outputs; 0 asks for none
	format     string
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	opts, err := parse(args, stdout, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "gate: %v\n", err)
		return exitCannotTell
	}
	report := judge(opts, stdin)
	if err := printers[opts.format](stdout, report); err != nil {
		fmt.Fprintf(stderr, "gate: print the comparison: %v\n", err)
		return exitCannotTell
	}
	for _, problem := range report.Problems {
		fmt.Fprintf(stderr, "gate: cannot tell: %s\n", problem)
	}
	return report.Exit
}

func parse(args []string, stdout, stderr io.Writer) (options, error) {
	opts := options{thresholds: defaultThresholds()}
	flags := flag.NewFlagSet("gate", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&opts.filter, "filter", "*", "compare only results that match `query`, as benchstat's")
	flags.StringVar(&opts.row, "row", ".name /engine /concurrency /wave /rate", "cells are told apart by `projection`")
	flags.StringVar(&opts.col, "col", ".file", "the two sides are told apart by `projection`; the first one seen is old")
	ignore := flags.String("ignore", "", "configuration `keys` that may differ, comma-separated, such as seed")
	unit := flags.String("unit", "", "`units` to judge, comma-separated, or all; default "+strings.Join(defaultUnits, ","))
	flags.Var(&opts.thresholds, "threshold", "a change up to `[unit=]size` is none: 5% for all units, ttft-ms=10% for one,\nok-%=1 in points (repeatable; default 5%, ok-%=1)")
	flags.Float64Var(&opts.alpha, "alpha", 0.05, "probability `α` of a false alarm, for the whole comparison")
	flags.StringVar(&opts.samples[0], "old-samples", "", "the `directory` of old samples (-samples of the run): exact values, requests, outputs")
	flags.StringVar(&opts.samples[1], "new-samples", "", "the `directory` of new samples")
	sameMin := flags.String("same-min", "", "fewer identical outputs than this `share`, 99%, are a regression")
	flags.StringVar(&opts.format, "format", "text", "print as `format`: text, markdown, json, github")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(stdout)
		fmt.Fprint(stdout, usage)
		flags.PrintDefaults()
		return opts, err
	} else if err != nil {
		return opts, fmt.Errorf("%w; -h shows all flags", err)
	}
	opts.paths, opts.ignore, opts.units = flags.Args(), fields(*ignore), fields(*unit)

	switch {
	case len(opts.paths) == 0:
		return opts, errors.New("compare what? name two files with benchmark output: go tool gate OLD.txt NEW.txt")
	case len(opts.paths) == 1 && opts.col == ".file":
		return opts, fmt.Errorf("compare %s with what? name two files, or the two sides within it by -col", opts.paths[0])
	case strings.HasPrefix(cmp.Or(opts.paths...), "-") && opts.paths[0] != "-", slices.ContainsFunc(opts.paths[1:], func(p string) bool { return strings.HasPrefix(p, "-") && p != "-" }):
		return opts, errors.New("flags go before the files")
	case !(opts.alpha > 0 && opts.alpha < 1):
		return opts, fmt.Errorf("-alpha is %v; it lies between 0 and 1", opts.alpha)
	case printers[opts.format] == nil:
		return opts, fmt.Errorf("-format is %q; want text, markdown, json or github", opts.format)
	case (opts.samples[0] == "") != (opts.samples[1] == ""):
		return opts, errors.New("samples are compared with samples: give both -old-samples and -new-samples")
	case *sameMin != "" && opts.samples[0] == "":
		return opts, errors.New("-same-min compares the outputs in the samples: give -old-samples and -new-samples")
	case *sameMin != "":
		size, err := parseSize(*sameMin)
		if err != nil || size > 100 {
			return opts, fmt.Errorf("-same-min is %q; want a share such as 99%%", *sameMin)
		}
		opts.sameMin = size / 100
	}
	return opts, nil
}

func fields(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}
