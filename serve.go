package enginebench

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"testing"
	"time"

	"enginebench/engines"
	"enginebench/fixtures"
	"enginebench/workload"
	"enginebench/workload/line"
	"enginebench/workload/truth"
)

// Serve runs the benchmark: a sub-benchmark for each engine and, below it, for
// each cell. TestMain must have called [Main].
//
// One iteration of a cell's b.Loop is one whole load run. Go repeats a run
// that took less than a second; the line then holds all repeats together.
func Serve(b *testing.B) {
	s := current
	if s == nil {
		b.Fatal("enginebench.Serve: TestMain must call enginebench.Main(m)")
	}
	for _, t := range s.targets {
		b.Run("engine="+t.name, func(b *testing.B) {
			for _, c := range t.cells {
				b.Run(c.name, func(b *testing.B) { s.measure(b, t, c) })
			}
		})
	}
}

// measure runs one cell and reports it.
func (s *session) measure(b *testing.B, t *target, c cell) {
	fail := func(format string, args ...any) {
		b.Helper()
		s.failedN++
		b.Fatal(line.Flat(fmt.Sprintf(format, args...)))
	}
	if err := context.Cause(s.ctx); err != nil {
		fail("not measured: %v", err)
	}
	budget := s.plan.budget.Of(c.shape.Requests)
	m := &measurement{session: s, target: t, cell: c,
		runner: &workload.Runner{Engine: t.engine, Limits: s.limits, Progress: new(workload.Progress)}}
	m.runner.Limits.MaxErrors = budget
	defer m.runner.Close()
	if err := m.warmUp(s.ctx); err != nil {
		fail("warm up: %v", err)
	}
	for b.Loop() {
		if err := m.run(s.ctx); err != nil {
			fail("%v", err)
		}
	}
	summary := workload.Summarize(m.outcomes...)
	judgement := workload.Judge(summary, budget, m.outcomes...)
	m.findings = workload.Audit(summary, m.outcomes...)
	if err := m.save(summary, judgement); err != nil {
		m.unsaved("samples", err)
	}
	if judgement.Verdict == workload.Invalid {
		for _, warning := range m.warnings {
			b.Log(line.Flat(warning))
		}
		fail("%s", line.Failure(judgement))
	}
	report(b, summary, s.metrics == "all")
	for _, note := range line.Notes(judgement, m.warnings, m.findings) {
		b.Log(note)
	}
	if c := m.outcomes[len(m.outcomes)-1].Canary; c != nil {
		b.Log(canaryLine(c))
	}
	s.measuredN++
}

// report puts the metrics on the benchmark's line. It comes after the loop,
// which forgets what was reported before its end.
func report(b *testing.B, m workload.Summary, all bool) {
	b.ReportMetric(0, "ns/op") // takes it off the line: it says nothing here
	for unit, value := range line.Values(m, all) {
		b.ReportMetric(value, unit)
	}
}

// measurement is one cell while it is measured.
type measurement struct {
	*session
	target   *target
	cell     cell
	runner   *workload.Runner
	outcomes []workload.Outcome
	first    int // number of the first run
	warnings []string
	findings []string
}

func (m *measurement) key() string { return m.target.name + "/" + m.cell.name }

// warmUp sends one wave of short requests. Recordings need none, and in an
// open loop a wave of all slots would be a load of its own kind.
func (m *measurement) warmUp(ctx context.Context) error {
	m.first = m.runs[m.key()]
	if m.cell.recorded != nil || m.cell.shape.Load.Open() {
		return nil
	}
	from, err := m.plan.cursor.TakeWarmup(m.target.name, m.cell.shape.Concurrency)
	if err != nil {
		return err
	}
	p, err := workload.Warmup(m.cell.shape, m.invocation, m.invocation, from)
	if err != nil {
		return err
	}
	defer m.screen.watch(m.key()+" warms up", m.runner.Progress)()
	run, err := m.runner.Run(ctx, p)
	if err != nil {
		return err
	}
	return run.Stopped
}

// run makes one load run, decodes it, and records it where that was asked for.
func (m *measurement) run(ctx context.Context) error {
	p, err := m.nextPlan()
	if err != nil {
		return err
	}
	var run *workload.Run
	before := m.target.counters(ctx)
	canary, err := m.canary.around(ctx, p.Concurrency, func() (err error) {
		defer m.screen.watch(m.key(), m.runner.Progress)()
		run, err = m.runner.Run(ctx, p)
		return err
	})
	if err != nil {
		return err
	}
	out := workload.Decode(run, m.target.name, m.target.engine, m.target.info)
	out.Server = m.target.counters(ctx).Since(before)
	out.Canary, out.Knee = canary, m.knee
	if m.cell.recorded != nil {
		out.Canary = m.check(run)
	}
	for i := range out.Samples {
		out.Samples[i].Run = m.runs[m.key()]
	}
	m.runs[m.key()]++
	m.outcomes = append(m.outcomes, out)
	m.keep(run)
	if m.plan.cursor != nil {
		m.warnings = append(m.warnings, m.plan.cursor.Warnings()...)
	}
	return nil
}

// check puts a replayed run beside what the replay did: there the whole load
// is scripted, and no canary is needed.
func (m *measurement) check(run *workload.Run) *workload.Canary {
	report, err := m.server.Report()
	if err != nil {
		m.warnings = append(m.warnings, err.Error())
		return nil
	}
	found, err := truth.Compare(run, m.target.engine, m.cell.recorded, report)
	if err != nil {
		return nil // a recorded failure has no counterpart
	}
	return summed(found)
}

func (m *measurement) nextPlan() (*workload.Plan, error) {
	if m.cell.recorded != nil {
		return workload.PlanOf(m.cell.recorded, m.invocation)
	}
	from, err := m.plan.cursor.Take(m.target.name, m.cell.shape.Total())
	if err != nil {
		return nil, err
	}
	return workload.NewPlan(m.cell.shape, m.invocation, m.invocation, from)
}

// keep writes the recording of a cell's first run. A disk that is full ends
// the recording and not the measurement.
func (m *measurement) keep(run *workload.Run) {
	if m.record == "" || m.runs[m.key()] > 1 {
		return
	}
	common := m.conditions()
	rec := workload.Recording(run, fixtures.Header{Engine: m.target.name, Prompts: common.Prompts, Info: m.target.info,
		Target: fixtures.TargetOf(m.target.spec.URL, m.target.spec.Options), Describe: common.Describe}, m.recordText)
	if _, err := fixtures.Write(m.record, rec, m.secrets()...); err != nil {
		m.unsaved("recording", err)
	}
}

// unsaved notes a file that could not be written. The numbers stand and are
// printed; that a file is missing shows in a warning and in the exit code.
func (m *measurement) unsaved(what string, err error) {
	m.unsavedN++
	m.warnings = append(m.warnings, fmt.Sprintf("could not save the %s of this cell: %v", what, err))
}

// counters reads the engine's own counters, where it has any. They explain
// numbers and are never part of one, so that a failure to read them is none.
func (t *target) counters(ctx context.Context) engines.Counters {
	reader, ok := t.engine.(engines.CounterReader)
	if !ok || t.url == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, countersLimit)
	defer cancel()
	counters, err := reader.Counters(ctx)
	if err != nil {
		return nil
	}
	return counters
}

// countersLimit bounds what reading the counters may take.
const countersLimit = 5 * time.Second

// colocated reports whether an engine runs on this machine, where the client
// takes CPU time from it.
func (t *target) colocated() bool {
	u, err := url.Parse(t.url)
	if err != nil || t.url == "" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
