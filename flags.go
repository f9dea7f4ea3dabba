package enginebench

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"enginebench/engines"
	"enginebench/engines/httpstream"
	"enginebench/workload"
	"enginebench/workload/prompts"
)

// options are the test binary's own flags.
type options struct {
	engines     list
	replay      string
	headers     list
	caFile      string
	concurrency string
	load        string
	prompts     string
	pass        string
	output      int
	requests    int
	seed        uint64
	record      string
	recordText  bool
	samples     string
	describe    list
	limits      workload.Limits
	memory      int
	maxErrors   string
	metrics     string

	set map[string]bool // by name: given on the command line
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

// register puts the flags beside those of package testing. None shadows a flag
// of go test.
func (o *options) register(f *flag.FlagSet) {
	f.Var(&o.engines, "engine", "measure the engine at `name=url`; repeatable. grpc(s):// is Triton, http(s):// OpenAI-compatible,\ntgi+http:// and ollama+http:// those servers' own; options as URL query, for example\n-engine='vllm=http://localhost:8000?api=chat&model=llama'")
	f.StringVar(&o.replay, "replay", "", "measure the recordings in `directory`, or the one in a file, instead of live engines")
	f.Var(&o.headers, "header", "send `\"Name: value\"` with every request; repeatable. Secrets come from the environment:\nOPENAI_API_KEY or, for an engine called vllm, VLLM_API_KEY")
	f.StringVar(&o.caFile, "ca", "", "trust the certificates in `file` (PEM) beside the system's")
	f.StringVar(&o.concurrency, "concurrency", "1,2,4,8,16,32,64", "requests in flight, a cell for each `level`")
	f.StringVar(&o.load, "load", "closed", "shape of the load: closed, waves, or rate=N requests a second")
	f.StringVar(&o.prompts, "prompts", "synthetic:in=128", "prompts: `FILE.jsonl` made by make prompts, or synthetic:in=N")
	f.StringVar(&o.pass, "pass", "", "this process is pass `K/N` over the same engines: take the K-th of N parts of the prompts")
	f.IntVar(&o.output, "output-tokens", 512, "output tokens of a request, exactly where the engine can be made to")
	f.IntVar(&o.requests, "requests", 0, "measured requests of a cell (default 10 a slot; 100 in an open loop)")
	f.Uint64Var(&o.seed, "seed", 42, "of everything random: synthetic prompts, ramp lengths, arrivals")
	f.StringVar(&o.record, "record", "", "write a recording of each cell into `directory`")
	f.BoolVar(&o.recordText, "record-prompts", false, "keep prompts in recordings, not only their hashes")
	f.StringVar(&o.samples, "samples", "", "write a JSON line for each request into `directory`")
	f.Var(&o.describe, "describe", "say what only you know, as `key=value`; repeatable: -describe=gpu=\"A10G 24GB\"")
	f.DurationVar(&o.limits.TTFT, "ttft-timeout", 2*time.Minute, "a request fails if no event comes within this `time`")
	f.DurationVar(&o.limits.Idle, "idle-timeout", time.Minute, "a request fails if its events stop for this `time`")
	f.DurationVar(&o.limits.Request, "request-timeout", 10*time.Minute, "a request fails if its reply takes longer than this `time`")
	f.DurationVar(&o.limits.Run, "run-timeout", time.Hour, "a run of a cell is given up after this `time`")
	f.IntVar(&o.memory, "capture-memory", 4096, "most `MB` that the captures of a run may take")
	f.StringVar(&o.maxErrors, "max-errors", "1%", "requests of a run that may fail before the run does: a `number` or a share")
	f.StringVar(&o.metrics, "metrics", "default", "metrics to report: default or all")
}

// plan is what the flags ask for, checked and in the types of the packages
// below.
type plan struct {
	load     workload.Load
	levels   []int
	describe map[string]string
	header   http.Header
	budget   workload.Budget
	pool     *prompts.Pool
	cursor   *prompts.Cursor
}

// check turns flags into a plan. Its errors name the flag.
func (o *options) check(args []string) (*plan, error) {
	if len(args) > 0 {
		return nil, fmt.Errorf("stray argument %q: flags are written -flag=value, and go test drops what follows a stray argument in silence", args[0])
	}
	p := &plan{describe: map[string]string{}, header: http.Header{}}
	var err error
	if p.load, err = workload.ParseLoad(o.load); err != nil {
		return nil, fmt.Errorf("-load: %w", err)
	}
	if p.levels, err = parseLevels(o.concurrency); err != nil {
		return nil, fmt.Errorf("-concurrency: %w", err)
	}
	for _, bound := range []struct {
		name string
		bad  bool
	}{
		{"output-tokens", o.output < 1}, {"requests", o.requests < 0 || o.set["requests"] && o.requests < 1}, {"capture-memory", o.memory < 1},
		{"ttft-timeout", o.limits.TTFT <= 0}, {"idle-timeout", o.limits.Idle <= 0}, {"request-timeout", o.limits.Request <= 0}, {"run-timeout", o.limits.Run <= 0},
	} {
		if bound.bad {
			return nil, fmt.Errorf("-%s: must be greater than 0", bound.name)
		}
	}
	if o.metrics != "default" && o.metrics != "all" {
		return nil, fmt.Errorf("-metrics=%s: want default or all", o.metrics)
	}
	if p.budget, err = workload.ParseBudget(o.maxErrors); err != nil {
		return nil, fmt.Errorf("-max-errors: %w", err)
	}
	if o.load != "closed" && o.load != "waves" && o.set["concurrency"] {
		return nil, fmt.Errorf("-load=%s and -concurrency contradict each other: an open loop sends at its rate, whatever is in flight", o.load)
	}
	if o.recordText && o.record == "" {
		return nil, errors.New("-record-prompts says what a recording keeps: give -record=directory too")
	}
	o.limits.Memory = o.memory << 20
	if err := o.checkSources(); err != nil {
		return nil, err
	}
	// Read here too, since no engine without TLS reads it.
	if _, err := httpstream.Roots(o.caFile); err != nil {
		return nil, fmt.Errorf("-ca: %w", err)
	}
	if err := p.addDescribe(o.describe); err != nil {
		return nil, err
	}
	return p, p.addHeaders(o.headers)
}

func (o *options) checkSources() error {
	if o.replay == "" {
		return nil
	}
	if len(o.engines) > 0 {
		return errors.New("-replay and -engine contradict each other: recordings are replayed or engines are measured")
	}
	return o.fixedByRecordings()
}

// fixedByRecordings refuses flags that a replay could not follow.
func (o *options) fixedByRecordings() error {
	for _, name := range []string{"load", "prompts", "pass", "output-tokens", "requests", "seed", "record", "record-prompts", "header", "ca"} {
		if o.set[name] {
			return fmt.Errorf("-%s: what is replayed fixes it", name)
		}
	}
	return nil
}

// openPrompts reads the prompts. It comes after the other checks, since a
// large file takes seconds.
func (o *options) openPrompts(p *plan) error {
	var err error
	if p.pool, err = prompts.Open(o.prompts, o.seed); err != nil {
		return fmt.Errorf("-prompts: %w", err)
	}
	if o.pass != "" {
		if p.pool.Pass, err = prompts.ParsePass(o.pass); err != nil {
			return fmt.Errorf("-pass: %w", err)
		}
	}
	p.cursor = prompts.NewCursor(p.pool)
	return nil
}

func parseLevels(s string) ([]int, error) {
	var levels []int
	for part := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 || n > 100_000 {
			return nil, fmt.Errorf("level %q: want a number from 1 to 100000", part)
		}
		if slices.Contains(levels, n) {
			return nil, fmt.Errorf("level %d stands there twice; to repeat cells use -count", n)
		}
		levels = append(levels, n)
	}
	return levels, nil
}

// secretHeader matches names of headers whose values are credentials.
var secretHeader = regexp.MustCompile(`(?i)auth|cookie|key|token|secret|password|session|credential`)

var describeKey = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

func (p *plan) addDescribe(pairs []string) error {
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if _, twice := p.describe[key]; twice {
			return fmt.Errorf("-describe=%s: the key %s stands there twice", pair, key)
		}
		if !ok || !describeKey.MatchString(key) || strings.ContainsAny(value, "\r\n") || value == "" {
			return fmt.Errorf("-describe=%s: want key=value on one line, with a key of a-z, 0-9 and -", pair)
		}
		own := []string{"load", "prompts", "output-tokens", "seed", "goos", "goarch", "pkg", "cpu"}
		if slices.Contains(own, key) || strings.HasSuffix(key, "-version") || strings.HasSuffix(key, "-model") {
			return fmt.Errorf("-describe=%s: the key %s is the run's own", pair, key)
		}
		p.describe[key] = value
	}
	return nil
}

func (p *plan) addHeaders(lines []string) error {
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		name = http.CanonicalHeaderKey(strings.TrimSpace(name))
		if !ok || name == "" {
			return fmt.Errorf("-header=%q: want \"Name: value\"", line)
		}
		if secretHeader.MatchString(name) {
			return fmt.Errorf("-header %s: secrets are not taken from the command line, where others can read them; set OPENAI_API_KEY or <NAME>_API_KEY in the environment", name)
		}
		p.header.Add(name, strings.TrimSpace(value))
	}
	return nil
}

// apiKey is the key of an engine: its own variable, else that of OpenAI for
// engines spoken to over HTTP.
func apiKey(spec engines.Spec) string {
	if key := os.Getenv(engines.KeyVariable(spec.Name)); key != "" {
		return key
	}
	if strings.Contains(spec.URL.Scheme, "http") {
		return os.Getenv("OPENAI_API_KEY")
	}
	return ""
}
