//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// names are the servers there are, in the order in which they are shown.
var names = []string{"vllm", "triton", "light"}

// options are the settings of install and start.
type options struct {
	vllmVersion                               string
	python                                    string
	vllmPort, grpcPort, httpPort, metricsPort int
	delay                                     time.Duration
	burst                                     int
	blsInstances                              int
	timeout                                   time.Duration
}

// errUnwell marks bad news that was told already: exit code 1, not 2.
var errUnwell = errors.New("not every server answers")

func run(args []string, stdout, stderr io.Writer) int {
	// A first signal ends what this run started; a second one ends this run at once.
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer restore()
	context.AfterFunc(ctx, restore)

	err := dispatch(ctx, args, stdout)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUnwell):
		return 1
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return 0
	}
	fmt.Fprintf(stderr, "servers: %v\n", err)
	return 2
}

func dispatch(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("no command; use install, start, stop or status (servers -h shows examples)")
	}
	command, args := args[0], args[1:]
	o, selected, err := parse(command, args)
	if err != nil {
		return err
	}
	c, err := defaultCache()
	if err != nil {
		return err
	}
	dir := stateDir(c.run())
	switch command {
	case "install":
		return install(ctx, c, o, selected, out)
	case "status":
		return status(ctx, dir, selected, out)
	}
	unlock, err := dir.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if command == "stop" {
		var errs []error
		for _, name := range selected {
			errs = append(errs, stop(dir, name, out))
		}
		return errors.Join(errs...)
	}
	return startAll(ctx, c, dir, o, selected, out)
}

// parse reads the flags of a command and the servers it is about: vllm and triton
// for install and start when none is named, all for stop and status.
func parse(command string, args []string) (options, []string, error) {
	var o options
	var selected []string
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	switch command {
	case "-h", "-help", "--help", "help":
		return o, nil, flag.ErrHelp
	case "install", "start":
		selected = []string{"vllm", "triton"}
		flags.StringVar(&o.vllmVersion, "vllm-version", vllmVersion, "")
		flags.StringVar(&o.python, "python", "", "")
	case "stop", "status":
		selected = names
	default:
		return o, nil, fmt.Errorf("unknown command %q; use install, start, stop or status (servers -h shows examples)", command)
	}
	if command == "start" {
		flags.IntVar(&o.vllmPort, "vllm-port", 8000, "")
		flags.IntVar(&o.grpcPort, "grpc-port", 8001, "")
		flags.IntVar(&o.metricsPort, "metrics-port", 8002, "")
		flags.IntVar(&o.httpPort, "http-port", 8003, "")
		flags.DurationVar(&o.delay, "delay", 5*time.Millisecond, "")
		flags.IntVar(&o.burst, "burst", 1, "")
		flags.IntVar(&o.blsInstances, "bls-instances", 4, "")
		flags.DurationVar(&o.timeout, "timeout", 5*time.Minute, "")
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, nil, err
		}
		return o, nil, fmt.Errorf("%s: %w (servers -h shows the flags)", command, err)
	}
	for i, name := range flags.Args() {
		switch {
		case strings.HasPrefix(name, "-"):
			return o, nil, fmt.Errorf("%s: flag %s stands behind a server's name; put flags first", command, name)
		case !slices.Contains(names, name):
			return o, nil, fmt.Errorf("%s: unknown server %q; there are %s", command, name, strings.Join(names, ", "))
		case i == 0:
			selected = nil
		}
		if !slices.Contains(selected, name) {
			selected = append(selected, name)
		}
	}
	return o, selected, o.check(command)
}

func (o options) check(command string) error {
	if strings.ContainsAny(o.vllmVersion, "/ ") {
		return fmt.Errorf("%s: -vllm-version=%q is not a version", command, o.vllmVersion)
	}
	if command != "start" {
		return nil
	}
	for _, port := range []int{o.vllmPort, o.grpcPort, o.httpPort, o.metricsPort} {
		if port < 1 || port > 65535 {
			return fmt.Errorf("start: port %d is not in 1..65535", port)
		}
	}
	if o.delay <= 0 || o.burst < 1 || o.blsInstances < 1 || o.timeout <= 0 {
		return errors.New("start: -delay, -burst, -bls-instances and -timeout must be above 0")
	}
	return nil
}

func install(ctx context.Context, c cache, o options, selected []string, out io.Writer) error {
	if err := os.MkdirAll(c.run(), 0o755); err != nil {
		return fmt.Errorf("install: %w", err)
	}
	python, err := findPython(ctx, o.python)
	if err != nil {
		return err
	}
	in := installer{cache: c, python: python, out: out}
	needsTriton := slices.Contains(selected, "triton") || slices.Contains(selected, "light")
	needsVLLM := slices.Contains(selected, "triton") || slices.Contains(selected, "vllm")
	if needsTriton {
		if err := in.triton(ctx); err != nil {
			return err
		}
	}
	if needsVLLM {
		return in.vllm(ctx, o.vllmVersion)
	}
	return nil
}

// startAll starts the selected servers beside each other.
func startAll(ctx context.Context, c cache, dir stateDir, o options, selected []string, out io.Writer) error {
	var servers []server
	for _, name := range selected {
		if err := c.requireInstalled(name, o); err != nil {
			return err
		}
		switch name {
		case "vllm":
			servers = append(servers, vllmServer(c, o))
		case "triton":
			servers = append(servers, tritonServer(c, o))
		case "light":
			servers = append(servers, lightServer(c, o))
		}
	}
	if slices.Contains(selected, "triton") && slices.Contains(selected, "light") {
		return errors.New("start: triton and light would listen on the same ports; start them one by one, with other ports for the second")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("-timeout=%s is over", o.timeout))
	defer cancel()
	told := &lockedWriter{w: out}
	errs := make([]error, len(servers))
	var group sync.WaitGroup
	for i, s := range servers {
		group.Go(func() { errs[i] = start(ctx, dir, s, told) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// status tells of each server that was started whether it answers.
func status(ctx context.Context, dir stateDir, selected []string, out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	well := true
	for _, name := range selected {
		st, err := dir.load(name)
		if err != nil {
			return err
		}
		if st == nil {
			fmt.Fprintf(table, "%s\tnot started\n", name)
			continue
		}
		state := "answers"
		if !st.Process.alive() {
			state = "ended by itself"
		} else if err := askAll(ctx, st.Ready); err != nil {
			state = fmt.Sprintf("does not answer: %v", err)
		}
		well = well && state == "answers"
		fmt.Fprintf(table, "%s\t%s\tpid %d\t%s\t%s\tlog: %s\n", name, state, st.Process.PID, strings.Join(st.Endpoints, " "), st.Label, st.Log)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if !well {
		return errUnwell
	}
	return nil
}

// A lockedWriter lets servers that start beside each other tell of it.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
