// Calibrate finds out how many chunks a second this machine's clients take
// before the arrivals that they report err, and keeps the numbers, one a
// protocol.
//
//	go tool calibrate
//
// It plays scripted streams from a server of its own, a child process that
// notes when it really wrote each chunk, and raises the number of streams and
// their rate. At each load all streams get a chunk in the same instant, as
// from one decode step, which is the worst case. A load holds while 99 % of
// reported arrivals err by at most 5 % of a step and at most 5 % of token
// events shared a read. The highest rate that holds is the protocol's knee; a
// run beyond it is SUSPECT.
//
// The server needs a CPU too. Rates are what it really wrote; on a machine of
// two cores the highest may be the server's limit and not the client's. The
// column late says how much later than due it wrote. Beyond a step it wrote slower
// than it was asked to; where that was no more than the knee, the knee is printed
// as "at least", since nobody asked more of the client.
//
// The numbers are kept in $ENGINEBENCH_CACHE/calibration.json, or else in
// enginebench/calibration.json in the user's cache folder, where go test finds
// them.
//
// Exit codes: 0 a knee was found, or printed, for every protocol asked for; 2
// not, or bad input.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"time"

	"enginebench/fixtures/replay"
	"enginebench/fixtures/script"
	"enginebench/workload"
	"enginebench/workload/line"
	"enginebench/workload/truth"
)

func main() {
	replay.MaybeServe()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

const usage = `Usage: go tool calibrate [flags]

Finds how many chunks a second this machine's clients take before what they
report errs, and keeps the numbers. A live run beyond them is SUSPECT.

  go tool calibrate                    the whole sweep, about a minute
  go tool calibrate -protocol=grpc     that protocol's alone; what is kept of the other stays
  go tool calibrate -print             what was found the last time

They are kept in $ENGINEBENCH_CACHE, or else in enginebench in the user's cache
folder.

`

// options are the command line.
type options struct {
	show      bool
	steps     int
	protocols []truth.Protocol
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil && o.show {
		err = o.print(stdout)
	} else if err == nil {
		err = o.calibrate(ctx, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintf(stderr, "calibrate: %v\n", err)
		return 2
	}
	return 0
}

func parse(args []string, stdout io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("calibrate", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // its errors are printed once, by run
	flags.BoolVar(&o.show, "print", false, "print the calibration that is kept and measure nothing")
	flags.IntVar(&o.steps, "steps", 20, "decode steps of a load")
	protocol := flags.String("protocol", "all", "calibrate the client of this `protocol`: http, grpc or all")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(stdout)
		fmt.Fprint(stdout, usage)
		flags.PrintDefaults()
		return o, err
	} else if err != nil {
		return o, fmt.Errorf("%w; -h shows all flags", err)
	}
	switch p := truth.Protocol(*protocol); {
	case *protocol == "all":
		o.protocols = truth.Protocols
	case slices.Contains(truth.Protocols, p):
		o.protocols = []truth.Protocol{p}
	default:
		return o, fmt.Errorf("-protocol=%s: want http, grpc or all", *protocol)
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("stray argument %q: flags are written -flag=value", flags.Arg(0))
	}
	if o.steps < 2 {
		return o, fmt.Errorf("-steps=%d: want at least 2", o.steps)
	}
	return o, nil
}

// print prints what is kept.
func (o options) print(stdout io.Writer) error {
	c, err := truth.LoadCalibration()
	if err != nil {
		return err
	}
	var missing []error
	for _, p := range o.protocols {
		if c.Knee(p) == 0 {
			missing = append(missing, fmt.Errorf("%s is not calibrated for this number of cores: run go tool calibrate", p))
			continue
		}
		sweep := c.Sweeps[p]
		heading(stdout, p)
		for _, point := range sweep.Points {
			row(stdout, point)
		}
		fmt.Fprintf(stdout, "%s, found %s\n", knee(p, sweep), sweep.When.Format(time.DateOnly))
	}
	return line.Join(missing)
}

// calibrate measures and keeps what it found, protocol by protocol.
func (o options) calibrate(ctx context.Context, stdout, stderr io.Writer) error {
	c, err := truth.LoadCalibration()
	if err != nil {
		fmt.Fprintf(stderr, "calibrate: %v\n", err) // it is about to
	}
	if c.Sweeps == nil {
		c.Sweeps = map[truth.Protocol]truth.Sweep{}
	}
	var failed []error
	for _, p := range o.protocols {
		s, err := sweep(ctx, p, o.steps, stdout)
		if err != nil {
			return err
		}
		if s.Knee == 0 {
			failed = append(failed, fmt.Errorf("%s: no load held, not even the lightest: is the machine busy with something else?", p))
			continue
		}
		c.Sweeps[p] = s
		path, err := c.Save()
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s, kept in %s\n", knee(p, s), path)
	}
	return line.Join(failed)
}

// load is one of a sweep.
type load struct {
	streams int
	step    time.Duration
}

const ms = time.Millisecond

// loads are the sweeps, lightest first.
var loads = map[truth.Protocol][]load{
	truth.HTTP: {{64, 20 * ms}, {256, 20 * ms}, {512, 20 * ms}, {1024, 20 * ms},
		{2048, 30 * ms}, {2048, 25 * ms}, {2048, 20 * ms}, {2048, 15 * ms}, {2048, 12 * ms}, {2048, 10 * ms}},
	truth.GRPC: {{64, 20 * ms}, {256, 40 * ms}, {256, 20 * ms},
		{512, 25 * ms}, {512, 20 * ms}, {512, 15 * ms}, {512, 12 * ms}, {512, 10 * ms}, {1024, 15 * ms}, {1024, 12 * ms}, {1024, 10 * ms}},
}

// sweep raises the load until it does not hold.
func sweep(ctx context.Context, p truth.Protocol, steps int, progress io.Writer) (truth.Sweep, error) {
	s := truth.Sweep{Cores: runtime.GOMAXPROCS(0), When: time.Now().UTC().Truncate(time.Second)}
	heading(progress, p)
	for _, l := range loads[p] {
		point, err := measure(ctx, p, l, steps)
		if err != nil {
			return s, fmt.Errorf("measure %d streams of %s at a step of %v: %w", l.streams, p, l.step, err)
		}
		row(progress, point)
		s.Points = append(s.Points, point)
		if !point.Holds {
			break
		}
		s.Knee = max(s.Knee, point.Rate)
	}
	return s, nil
}

// measure plays one load and compares what the client reports with what was
// written.
func measure(ctx context.Context, p truth.Protocol, l load, steps int) (truth.Point, error) {
	s := script.Script{Engine: "script", Dialect: p.Dialect(), Load: "waves", Cell: fmt.Sprintf("wave=%d", l.streams),
		Concurrency: l.streams, Requests: l.streams, Tokens: steps, TTFT: 5 * l.step, Gap: l.step, Step: l.step}
	stage, err := truth.Open(ctx, s, replay.Options{Pin: true})
	if err != nil {
		return truth.Point{}, err
	}
	defer stage.Close()
	runner := &workload.Runner{Engine: stage.Engine}
	defer runner.Close()
	_, c, err := stage.Play(ctx, runner)
	if err != nil {
		return truth.Point{}, err
	}
	return truth.NewPoint(l.streams, l.step, c), nil
}

// knee says what a sweep found. A server that is late by more than a step writes
// less than the script asks. Where that is no more than the knee, the sweep
// ended at what the server can write; where it is more and did not hold, it was
// enough for the client.
func knee(p truth.Protocol, s truth.Sweep) string {
	if slices.ContainsFunc(s.Points, func(p truth.Point) bool { return p.Late > p.Step && p.Rate <= s.Knee }) {
		return fmt.Sprintf("knee of %s: at least %.0f chunks/s (the server could write no faster)", p, s.Knee)
	}
	return fmt.Sprintf("knee of %s: %.0f chunks/s", p, s.Knee)
}

func heading(w io.Writer, p truth.Protocol) {
	fmt.Fprintf(w, "%s\nstreams  step   chunks/s  arrival error  coalesced  late p99  holds\n", p)
}

func row(w io.Writer, p truth.Point) {
	fmt.Fprintf(w, "%7d %5v %10.0f %10v %s %9.1f%% %9v  %v\n", p.Streams, p.Step, p.Rate, p.Error.Round(time.Microsecond), p.ErrorAt, 100*p.Coalesced, p.Late.Round(time.Microsecond),
		map[bool]string{true: "yes", false: "no"}[p.Holds])
}
