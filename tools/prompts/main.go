// Command prompts makes the file that the flag -prompts of a benchmark reads: prompts with their token ids, chosen once
// from ShareGPT conversations or from a text file, so that every engine and every later run gets the same ones.
//
//	go run -tags=tokenizers ./tools/prompts -sharegpt=ShareGPT_V3_unfiltered_cleaned_split.json -tokenizer=tokenizer.json
//	go tool prompts -sharegpt=ShareGPT_V3_unfiltered_cleaned_split.json -tokenize=http://localhost:8000
//	go tool prompts -text=questions.txt -tokenize=http://localhost:8000 -n=200 -o=questions.jsonl
//
// # Token ids
//
// They come from a tokenizer.json, where the program was built with the tag `tokenizers` (`make prompts` sees to it when
// `make tokenizers` has built the library), or from the /tokenize endpoint of any engine that serves the model. The
// special tokens that the tokenizer puts before a prompt are among them, as they are when an engine is sent text.
//
// # Which prompts
//
// -sharegpt reads an array of records {"id": …, "conversations": [{"from": "human", "value": …}, …]}; `conversation`,
// `role`, `content` and `user` are understood too. The first turn is the prompt. Left out are records of fewer than two
// turns, as in vLLM's benchmark (vllm/benchmarks/datasets/sharegpt.py), and those that do not begin with the human: long
// talks were split when the data set was made, and the later pieces begin anywhere. -text reads one prompt a line, or with
// -split=blank one a paragraph.
//
// Of these, a prompt passes when it has -min-prompt to -max-prompt tokens, and with -output-tokens not more than
// -max-total: vLLM's filter, with its numbers. A prompt that is there twice is taken once.
//
// The choice is seeded: prompts are tried in the order of SHA-256(seed ‖ id) until -n have passed. So only as many are
// tokenized as are needed, a larger -n keeps what a smaller one chose and adds to it, and the same file, tokenizer and flags
// give the same bytes. (Python's shuffle, which vLLM's benchmark uses, is not reproduced: publish the ids and the hash that this command prints.)
// The benchmark keeps a tenth of the prompts for warm-up; see the package enginebench/workload/prompts for how many a run needs.
//
// # Large files
//
// The file is read as a stream, one record in memory at a time; what is kept of a record is 24 bytes. The chosen
// ones are read again where they lie. A file that is cut off in the middle is an error that says where; with
// -truncated=ok its whole conversations are used.
//
// # Output
//
// The prompts go to the file of -o, written beside it and then renamed. The chosen ids, one a line, and lines beginning
// with `#` that sum up what was done go to stdout. Progress is shown on a terminal only.
//
// Exit codes: 0 written, 2 not (bad input, or fewer prompts than asked for).
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"enginebench/internal/wholefile"
	"enginebench/tools/tokenizer"
	"enginebench/workload/prompts"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, _ io.Reader, stdout, stderr io.Writer) int {
	cfg, err := parseFlags(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		err = cfg.do(stdout, stderr)
	}
	if err != nil {
		fmt.Fprintf(stderr, "prompts: %v\n", err)
		return 2
	}
	return 0
}

// config is what the flags say.
type config struct {
	sharegpt, text, split string
	tokenizer, tokenize   string
	out                   string
	truncatedOK           bool
	seed                  uint64
	n                     int
	filter                filter
}

// defaultCount is enough for one pass of the benchmark as it is: at 1, 2, 4, … 64 in flight it sends 11 requests a slot,
// ten to measure and one to start with, which makes 127 × 11 = 1397; and of 1600 prompts 1440 are left after the tenth for warm-up.
const defaultCount = 1600

const examples = `Makes prompts.jsonl, the prompts of a benchmark, from ShareGPT or from a text file.

  go tool prompts -sharegpt=ShareGPT_V3_unfiltered_cleaned_split.json -tokenize=http://localhost:8000
  go tool prompts -text=questions.txt -tokenize=http://localhost:8000 -n=200 -o=questions.jsonl
  make tokenizers && make prompts SHAREGPT=ShareGPT_V3_unfiltered_cleaned_split.json TOKENIZER=tokenizer.json

`

func parseFlags(args []string, stderr io.Writer) (*config, error) {
	var c config
	var truncated string
	fs := flag.NewFlagSet("prompts", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // its errors are printed once, by run
	fs.StringVar(&c.sharegpt, "sharegpt", "", "`file` of ShareGPT conversations (JSON)")
	fs.StringVar(&c.text, "text", "", "text `file`, a prompt a line")
	fs.StringVar(&c.split, "split", "line", "what ends a prompt of -text: `line`, or blank for a blank line")
	fs.StringVar(&c.tokenizer, "tokenizer", "", "tokenizer.json `file` of the model (needs the build tag tokenizers)")
	fs.StringVar(&c.tokenize, "tokenize", "", "`URL` of an engine whose /tokenize to use, as http://localhost:8000")
	fs.IntVar(&c.n, "n", defaultCount, "how many prompts; a tenth of them will be warm-up")
	fs.IntVar(&c.filter.output, "output-tokens", 512, "tokens that will be asked for, for -max-total")
	fs.IntVar(&c.filter.min, "min-prompt", 4, "fewest tokens of a prompt")
	fs.IntVar(&c.filter.max, "max-prompt", 1024, "most tokens of a prompt")
	fs.IntVar(&c.filter.total, "max-total", 2048, "most tokens of a prompt and its output")
	fs.Uint64Var(&c.seed, "seed", 42, "seed of the choice")
	fs.StringVar(&truncated, "truncated", "", "`ok` to use what is whole of a file that is cut off")
	fs.StringVar(&c.out, "o", "prompts.jsonl", "`file` to write")
	fs.Usage = func() {
		fmt.Fprint(stderr, examples)
		fs.SetOutput(stderr)
		fs.PrintDefaults()
		fs.SetOutput(io.Discard)
	}
	if err := parseQuietly(fs, args); err != nil {
		return nil, err
	}
	c.truncatedOK = truncated == "ok"
	switch {
	case fs.NArg() > 0:
		return nil, fmt.Errorf("stray argument %q: flags are written -flag=value", fs.Arg(0))
	case truncated != "" && !c.truncatedOK:
		return nil, fmt.Errorf("-truncated=%s: want -truncated=ok", truncated)
	case c.sharegpt == "" && c.text == "":
		return nil, errors.New("nothing to read: give -sharegpt=FILE or -text=FILE (-h shows examples)")
	case c.sharegpt != "" && c.text != "":
		return nil, errors.New("-sharegpt and -text are both given: use one")
	case c.split != "line" && c.split != "blank":
		return nil, fmt.Errorf("-split=%s: want line or blank", c.split)
	case c.n < 1:
		return nil, fmt.Errorf("-n=%d: want at least 1", c.n)
	}
	return &c, c.filter.check()
}

// parseQuietly parses without the usage that flag prints at every error: one line says more. Help is printed.
func parseQuietly(fs *flag.FlagSet, args []string) error {
	usage := fs.Usage
	fs.Usage = func() {}
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		usage()
	} else if err != nil {
		err = fmt.Errorf("%w (-h shows the flags)", err)
	}
	return err
}

// do reads, chooses, writes and says what it did.
func (c *config) do(stdout, stderr io.Writer) error {
	if info, err := os.Stat(filepath.Dir(c.out)); err != nil || !info.IsDir() {
		return fmt.Errorf("-o=%s: there is no directory %s to write to", c.out, filepath.Dir(c.out))
	}
	in, err := c.open()
	if err != nil {
		return err
	}
	defer in.close()
	tok, err := tokenizer.New(c.tokenizer, c.tokenize, tokenizer.WithSpecial())
	if err != nil {
		return err
	}
	defer tok.Close()

	progress := newProgress(stderr)
	defer progress.done()
	found, err := in.scan(c.seed, progress)
	var cut *cutError
	switch {
	case errors.As(err, &cut) && cut.whole > 0 && c.truncatedOK:
		in.cut = cut
	case errors.As(err, &cut) && cut.whole > 0:
		return fmt.Errorf("read %s: %w: get the file again, or use those with -truncated=ok", in.path, err)
	case err != nil:
		return fmt.Errorf("read %s: %w", in.path, err)
	}
	chosen, tally, err := choose(in, found, tok, c.filter, c.n, progress)
	if err != nil {
		return err
	}
	hash, err := c.write(c.made(in, tok), chosen)
	if err != nil {
		return err
	}
	progress.done()
	return report(stdout, c, in, chosen, tally, hash)
}

// made says for people how the prompts were made.
func (c *config) made(in *input, tok tokenizer.Tokenizer) map[string]string {
	m := map[string]string{
		"from":          in.kind.String(),
		"source":        in.identity(),
		"tokenizer":     tok.Identity(),
		"seed":          fmt.Sprint(c.seed),
		"prompt-tokens": fmt.Sprintf("%d-%d", c.filter.min, c.filter.max),
		"max-total":     fmt.Sprint(c.filter.total),
		"output-tokens": fmt.Sprint(c.filter.output),
	}
	if in.cut != nil {
		m["truncated"] = in.cut.Error()
	}
	return m
}

func (c *config) write(made map[string]string, chosen []prompts.Prompt) (hash string, err error) {
	err = wholefile.Write(c.out, func(w io.Writer) (err error) {
		hash, err = prompts.Write(w, made, chosen)
		return err
	})
	return hash, err
}

func report(w io.Writer, c *config, in *input, chosen []prompts.Prompt, t tally, hash string) error {
	pool, err := prompts.New(chosen)
	if err != nil {
		return err
	}
	for _, p := range chosen {
		fmt.Fprintln(w, p.ID)
	}
	if in.cut != nil {
		fmt.Fprintf(w, "# %v and were used (-truncated=ok)\n", in.cut)
	}
	fmt.Fprintf(w, "# read %d %s, tokenized %d\n", t.read, in.kind.records(), t.tokenized)
	fmt.Fprintf(w, "# left out: %s\n", t)
	_, err = fmt.Fprintf(w, "# wrote %s: %s\n", c.out, pool.Describe())
	return err
}
