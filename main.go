package enginebench

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
	"syscall"
	"testing"

	"enginebench/engines"
	"enginebench/fixtures/replay"
	"enginebench/workload/line"
	"enginebench/workload/truth"
)

// Main runs a test binary that measures engines: TestMain calls it and it does
// not return. It owns the flags, the lines before the results, the replay
// child, and the exit code: 1 if a cell failed or none was measured, which
// package testing forgets from the second -count on, 2 if nothing was measured
// because of what was asked for or results could not be written, and 130 if it
// was interrupted, so that what repeats it ends too.
//
// Without -bench it runs the tests alone and asks no engine anything. With it,
// and without -benchtime, a cell is one load run (-benchtime=1x), and without
// -run no test runs (-run=^$), so that nothing stands between the engines'
// answer to the first question and the load, or beside it; benchmarks of
// another kind are better kept in another package.
func Main(m *testing.M, source ...Source) {
	replay.MaybeServe()
	os.Exit(run(m, source))
}

// current is the session of the process; package testing offers no other way
// from TestMain to a benchmark.
var current *session

// session is one invocation of the test binary.
type session struct {
	options
	plan       *plan
	invocation string
	ctx        context.Context
	targets    []*target
	server     *replay.Server
	canary     *canary // of live runs
	calibrated truth.Calibration
	notes      []string // lines for people
	measuredN  int
	failedN    int
	unsavedN   int            // files that could not be written
	runs       map[string]int // runs made, by engine and cell
	plansN     int            // plans made, for request ids
	screen     *screen
}

func run(m *testing.M, source []Source) int {
	s := &session{invocation: newInvocation(), runs: map[string]int{}}
	s.options.register(flag.CommandLine)
	if err := parse(flag.CommandLine, os.Args[1:]); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		fmt.Fprintf(os.Stderr, "# enginebench: %s; -h (go test -args -h) lists all flags\n", line.Flat(err.Error()))
		return 2
	}
	if f := flag.Lookup("test.bench"); f == nil || f.Value.String() == "" {
		return m.Run()
	}
	defer s.end()
	if err := s.begin(source); err != nil {
		fmt.Fprintf(os.Stderr, "# enginebench: %s\n", line.Flat(err.Error()))
		if s.interrupted() {
			return exitInterrupted
		}
		return 2
	}
	if err := s.writeHeader(); err != nil {
		fmt.Fprintf(os.Stderr, "# enginebench: %s\n", line.Flat(err.Error()))
		return 2
	}
	current = s
	code := m.Run()
	switch {
	case code < 2 && !listing() && lastWordLost():
		fmt.Fprintln(os.Stderr, "# enginebench: lines of results are lost: stdout took no more; is its disk full?")
		return 2
	case s.interrupted():
		fmt.Fprintf(os.Stderr, "# enginebench: interrupted: %d runs of cells measured, %d failed\n", s.measuredN, s.failedN)
		return exitInterrupted
	case s.failedN > 0:
		fmt.Fprintf(os.Stderr, "# enginebench: %d runs of cells failed\n", s.failedN)
		return 1
	case s.unsavedN > 0:
		fmt.Fprintf(os.Stderr, "# enginebench: %d files of cells were not written; their lines say why\n", s.unsavedN)
		return 1
	case code == 0 && s.measuredN == 0 && !listing():
		fmt.Fprintf(os.Stderr, "# enginebench: no cell was measured: -bench matches none of %s\n", strings.Join(s.cellNames(), ", "))
		return 1
	}
	return code
}

// parse parses flags. Package flag would print all of them, a hundred lines,
// below an error of one.
func parse(f *flag.FlagSet, args []string) error {
	f.Init(f.Name(), flag.ContinueOnError)
	out := f.Output()
	f.SetOutput(io.Discard)
	err := f.Parse(args)
	f.SetOutput(out)
	if errors.Is(err, flag.ErrHelp) {
		f.Usage()
	}
	return err
}

// listing reports whether the binary was asked to list tests, not to run them.
func listing() bool {
	f := flag.Lookup("test.list")
	return f != nil && f.Value.String() != ""
}

// begin checks what was asked for and asks the engines. Whatever is wrong is
// found here, before anything is measured.
func (s *session) begin(source []Source) error {
	s.set = map[string]bool{}
	flag.Visit(func(f *flag.Flag) { s.set[f.Name] = true })
	var err error
	if s.plan, err = s.check(flag.Args()); err != nil {
		return err
	}
	if err := s.oneRunACell(); err != nil {
		return err
	}
	if err := s.noTests(); err != nil {
		return err
	}
	if err := s.somewhereToPutResults(); err != nil {
		return err
	}
	if err := s.directories(); err != nil {
		return err
	}
	var from Source
	if len(source) > 1 {
		return errors.New("enginebench.Main was given more than one source")
	}
	if len(source) == 1 {
		from = source[0]
	}
	if err := s.enoughRequests(from); err != nil {
		return err
	}
	s.ctx = s.interruptible()
	if err := s.findTargets(s.ctx, from); err != nil {
		return err
	}
	if err := enoughFiles(s.mostSlots()); err != nil {
		return err
	}
	if err := s.enoughPrompts(); err != nil {
		return err
	}
	if s.calibrated, err = truth.LoadCalibration(); err != nil {
		s.notes = append(s.notes, line.Flat(err.Error()))
	}
	if s.server == nil {
		s.canary = newCanary(s.ctx)
		if !s.isCalibrated() {
			s.notes = append(s.notes, "the client is not calibrated on this machine, so that no load is known to be beyond it: make calibrate")
		}
	}
	s.screen = openScreen()
	return nil
}

func (s *session) end() {
	s.screen.close()
	s.canary.close()
	if s.server != nil {
		s.server.Close()
	}
}

// isCalibrated reports whether a knee is known for every protocol in use.
func (s *session) isCalibrated() bool {
	return !slices.ContainsFunc(s.targets, func(t *target) bool { return s.calibrated.Knee(truth.ProtocolOf(t.info)) == 0 })
}

// directories makes the directories that results go to, so that a run does not
// end with nowhere to put them.
func (s *session) directories() error {
	for _, dir := range []struct{ flag, path string }{{"record", s.record}, {"samples", s.samples}} {
		if dir.path == "" {
			continue
		}
		if err := os.MkdirAll(dir.path, 0o755); err != nil {
			return fmt.Errorf("-%s: %w", dir.flag, err)
		}
	}
	return nil
}

// exitInterrupted is the exit code that shells give a program which an
// interrupt ended.
const exitInterrupted = 130

// errInterrupted is why cells after a Ctrl-C have no numbers.
var errInterrupted = engines.Errorf(engines.Cancelled, "interrupted")

// interruptible is a context that ends at the first interrupt, so that the
// cells already measured keep their lines. The second ends the process.
func (s *session) interruptible() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		signal.Stop(signals)
		cancel(errInterrupted)
	}()
	return ctx
}

func (s *session) interrupted() bool { return s.ctx != nil && s.ctx.Err() != nil }

// mostSlots is how many connections the largest selected cell has.
func (s *session) mostSlots() int {
	most := 0
	for _, t := range s.targets {
		for _, c := range t.cells {
			if selected(t.name, c.name) {
				most = max(most, c.shape.Concurrency)
			}
		}
	}
	return most
}

// enoughPrompts checks before the first cell that the last one will find
// prompts too.
func (s *session) enoughPrompts() error {
	if s.plan.cursor == nil {
		return nil
	}
	most := 0
	for _, t := range s.targets { // those that -bench leaves out need none
		need := 0
		for _, c := range t.cells {
			if selected(t.name, c.name) {
				need += c.shape.Total() * runsOfACell()
			}
		}
		most = max(most, need)
	}
	return s.plan.cursor.Check(most)
}

// oneRunACell makes -benchtime=1x the default, so that a cell is one load run
// however short it is: engines that are repeated more or less often would get
// different prompts.
func (s *session) oneRunACell() error {
	const name = "test.benchtime"
	if !s.set[name] {
		return flag.Set(name, "1x")
	}
	if value := flag.Lookup(name).Value.String(); !strings.HasSuffix(value, "x") {
		return fmt.Errorf("-benchtime=%s: a cell is measured by whole load runs; say how many, as -benchtime=3x, or repeat it with -count", value)
	}
	return nil
}

// noTests makes -run=^$ the default: go test runs the tests of a package before
// its benchmarks, again for each -count, and takes the time for it from engines
// that have just answered. A -run that was given, even an empty one, stands.
func (s *session) noTests() error {
	const name = "test.run"
	if s.set[name] {
		return nil
	}
	return flag.Set(name, "^$")
}

func (s *session) cellNames() []string {
	var names []string
	for _, t := range s.targets {
		for _, c := range t.cells {
			names = append(names, "engine="+t.name+"/"+c.name)
		}
	}
	return names
}
