// Calibrate finds out how many chunks a second this machine's client takes
// before the arrivals that it reports err, and keeps the number.
//
//	go tool calibrate
//
// It plays scripted streams from a server of its own, a child process that
// notes when it really wrote each chunk, and raises the number of streams and
// their rate. At each load all streams get a chunk in the same instant, as
// from one decode step, which is the worst case. A load holds while 99 % of
// reported arrivals err by at most 5 % of a step and at most 5 % of token
// events shared a read. The highest rate that holds is the machine's knee; a run
// beyond it is SUSPECT.
//
// The server needs a CPU too. On a machine of two cores the knee may be the
// server's: the column late says how much later than due it wrote.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"time"

	"enginebench/fixtures/replay"
	"enginebench/fixtures/script"
	"enginebench/workload"
	"enginebench/workload/truth"
)

func main() {
	replay.MaybeServe()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

const usage = `usage: calibrate [flags]

Finds how many chunks a second this machine's client takes before what it
reports errs, and keeps the number. A live run beyond it is SUSPECT.

  go tool calibrate            the whole sweep, about 20 s
  go tool calibrate -print     what was found the last time

`

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("calibrate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprint(stderr, usage); flags.PrintDefaults() }
	show := flags.Bool("print", false, "print the calibration that is kept and measure nothing")
	steps := flags.Int("steps", 20, "decode steps of a load")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() > 0 || *steps < 2 {
		fmt.Fprintf(stderr, "calibrate: want no argument and at least 2 steps\n")
		return 2
	}
	if *show {
		c, ok := truth.LoadCalibration()
		if !ok {
			fmt.Fprintln(stderr, "calibrate: this machine has no calibration for this number of cores: run go tool calibrate")
			return 2
		}
		table(stdout, c.Points...)
		fmt.Fprintf(stdout, "knee: %.0f chunks/s, found %s\n", c.Knee, c.When.Format(time.DateOnly))
		return 0
	}
	c, err := sweep(ctx, *steps, stdout)
	if err == nil && c.Knee == 0 {
		err = fmt.Errorf("no load held, not even the lightest: is the machine busy with something else?")
	}
	if err != nil {
		fmt.Fprintf(stderr, "calibrate: %v\n", err)
		return 2
	}
	path, err := c.Save()
	if err != nil {
		fmt.Fprintf(stderr, "calibrate: %v\n", err)
		return 2
	}
	fmt.Fprintf(stdout, "knee: %.0f chunks/s, kept in %s\n", c.Knee, path)
	return 0
}

// loads are the sweep, lightest first.
var loads = []struct {
	streams int
	step    time.Duration
}{
	{64, 20 * time.Millisecond}, {256, 20 * time.Millisecond}, {512, 20 * time.Millisecond}, {1024, 20 * time.Millisecond},
	{2048, 30 * time.Millisecond}, {2048, 25 * time.Millisecond}, {2048, 20 * time.Millisecond}, {2048, 15 * time.Millisecond}, {2048, 12 * time.Millisecond}, {2048, 10 * time.Millisecond},
}

func sweep(ctx context.Context, steps int, progress io.Writer) (truth.Calibration, error) {
	c := truth.Calibration{Cores: runtime.GOMAXPROCS(0), When: time.Now().UTC().Truncate(time.Second)}
	fmt.Fprintln(progress, heading)
	for _, load := range loads {
		p, err := measure(ctx, load.streams, load.step, steps)
		if err != nil {
			return c, fmt.Errorf("measure %d streams at a step of %v: %w", load.streams, load.step, err)
		}
		rows(progress, p)
		c.Points = append(c.Points, p)
		if !p.Holds {
			break
		}
		c.Knee = max(c.Knee, p.Rate)
	}
	return c, nil
}

// measure plays one load and compares what the client reports with what was
// written.
func measure(ctx context.Context, streams int, step time.Duration, steps int) (truth.Point, error) {
	s := script.Script{Engine: "script", Dialect: "openai.completions", Load: "waves", Cell: fmt.Sprintf("wave=%d", streams),
		Concurrency: streams, Requests: streams, Tokens: steps, TTFT: 5 * step, Gap: step, Step: step}
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
	return truth.NewPoint(streams, step, float64(streams)/step.Seconds(), c), nil
}

const heading = "streams  step   chunks/s  error p99  coalesced  late p99  holds"

func table(w io.Writer, points ...truth.Point) {
	fmt.Fprintln(w, heading)
	rows(w, points...)
}

func rows(w io.Writer, points ...truth.Point) {
	for _, p := range points {
		fmt.Fprintf(w, "%7d %5v %10.0f %9v %9.1f%% %9v  %v\n", p.Streams, p.Step, p.Rate, p.ErrorP99.Round(time.Microsecond), 100*p.Coalesced, p.Late.Round(time.Microsecond),
			map[bool]string{true: "yes", false: "no"}[p.Holds])
	}
}
