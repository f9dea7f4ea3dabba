package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"enginebench/tools/tokenizer"
	"enginebench/workload"
	"enginebench/workload/line"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

const (
	exitGood    = 0
	exitInvalid = 1 // a recording has no numbers
	exitBad     = 2 // bad input: what could be read was recomputed all the same
)

func run(args []string, _ io.Reader, stdout, stderr io.Writer) int {
	c, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage())
		return exitGood
	}
	complain := func(err error) { fmt.Fprintf(stderr, "recompute: %s\n", line.Flat(err.Error())) }
	if err == nil {
		err = c.prepare()
	}
	if err != nil {
		complain(err)
		return exitBad
	}
	defer c.close()
	return c.recompute(stdout, complain)
}

// config is what the flags say.
type config struct {
	samples             string
	tokenizer, tokenize string
	metrics, maxErrors  string
	recordings          []string

	budget workload.Budget
	tokens *tokens // nil: none was asked for
}

func newFlags(c *config) *flag.FlagSet {
	f := flag.NewFlagSet("recompute", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&c.samples, "samples", "", "write a JSON line for each request into `directory`, as a run does")
	f.StringVar(&c.tokenizer, "tokenizer", "", "count tokens where the engine did not, with the model's tokenizer.json `file`\n(needs the build tag tokenizers)")
	f.StringVar(&c.tokenize, "tokenize", "", "count them by the /tokenize of an engine at `URL`, as http://localhost:8000")
	f.StringVar(&c.metrics, "metrics", "default", "metrics to report: default or all")
	f.StringVar(&c.maxErrors, "max-errors", "1%", "requests of a cell that may fail before it is INVALID: a `number` or a share")
	return f
}

func usage() string {
	var b strings.Builder
	b.WriteString(`Recompute decodes recordings and prints the benchmark lines of the runs that they were made of.

usage: go tool recompute [flags] RECORDING|DIR ...

  go tool recompute fixtures/recordings > run.txt
  go tool recompute -samples=samples -metrics=all results/recordings/vllm.concurrency=32.jsonl.gz
  go tool recompute -tokenize=http://localhost:8000 results/recordings

Exit codes: 0 good, 1 a recording is INVALID, 2 bad input.

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
	c.recordings = f.Args()
	for _, arg := range c.recordings {
		if strings.HasPrefix(arg, "-") {
			return nil, fmt.Errorf("%q is no recording; flags come before recordings", arg)
		}
	}
	if len(c.recordings) == 0 {
		return nil, errors.New("nothing to read: name recordings, or directories of them (-h shows examples)")
	}
	if c.metrics != "default" && c.metrics != "all" {
		return nil, fmt.Errorf("-metrics=%s: want default or all", c.metrics)
	}
	var err error
	if c.budget, err = workload.ParseBudget(c.maxErrors); err != nil {
		return nil, fmt.Errorf("-max-errors: %w", err)
	}
	return c, nil
}

// prepare opens the tokenizer and makes the directory for samples, so that
// neither is found missing after the work.
func (c *config) prepare() error {
	if c.samples != "" {
		if err := os.MkdirAll(c.samples, 0o755); err != nil {
			return fmt.Errorf("-samples: %w", err)
		}
	}
	if c.tokenizer == "" && c.tokenize == "" {
		return nil
	}
	t, err := tokenizer.New(c.tokenizer, c.tokenize)
	if err != nil {
		return err
	}
	c.tokens = &tokens{Tokenizer: t}
	return nil
}

func (c *config) close() {
	if c.tokens != nil {
		c.tokens.Close()
	}
}

// recompute prints what every readable recording came to.
func (c *config) recompute(stdout io.Writer, complain func(error)) int {
	code := exitGood
	bad := func(err error) { complain(err); code = exitBad }
	files, errs := find(c.recordings)
	for _, err := range errs {
		bad(err)
	}
	if len(files) == 0 {
		return code
	}
	counted := ""
	if c.tokens != nil {
		counted = c.tokens.warning()
	}
	arrange(files, counted)
	p := &printer{w: bufio.NewWriter(stdout), all: c.metrics == "all"}
	for f, r := range each(files, c.compute) {
		if r.err != nil {
			bad(r.err)
		}
		p.cell(f, r)
	}
	if c.tokens != nil && c.tokens.broken() != nil {
		bad(fmt.Errorf("%w; tokens were counted no further", c.tokens.broken()))
	}
	if p.invalid && code == exitGood {
		code = exitInvalid
	}
	if err := p.end(code == exitGood); err != nil {
		bad(fmt.Errorf("write the results: %w", err))
	}
	return code
}
