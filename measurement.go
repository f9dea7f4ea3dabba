package enginebench

import (
	"context"
	"fmt"
	"strings"

	"enginebench/fixtures"
	"enginebench/fixtures/replay"
	"enginebench/workload"
	"enginebench/workload/prompts"
	"enginebench/workload/truth"
)

// measurement is one cell while it is measured.
type measurement struct {
	*session
	target   *target
	cell     cell
	runner   *workload.Runner
	warm     []prompts.Prompt // of the warm-up
	next     *workload.Plan   // of the first run
	outcomes []workload.Outcome
	first    int             // number of the first run
	late     replay.Lateness // of a replay's writes
	warnings []string
	findings []string
}

func (s *session) newMeasurement(t *target, c cell) *measurement {
	m := &measurement{session: s, target: t, cell: c, first: s.runs[t.name+"/"+c.name],
		runner: &workload.Runner{Engine: t.engine, Limits: s.limits, Progress: new(workload.Progress)}}
	m.runner.Limits.MaxErrors = m.budget()
	return m
}

func (m *measurement) key() string { return m.target.name + "/" + m.cell.name }

func (m *measurement) budget() int { return m.plan.budget.Of(m.cell.shape.Requests) }

// prepare takes the cell's prompts and warms the engine up. Prompts are taken
// first and whatever comes of it: an engine whose cell fails must not shift the
// prompts of its later cells against those of other engines.
func (m *measurement) prepare() (err error) {
	if m.cell.recorded == nil {
		if m.warm, err = m.plan.cursor.TakeWarmup(m.target.name, m.cell.shape.Concurrency); err != nil {
			return err
		}
	}
	if m.next, err = m.nextPlan(); err != nil {
		return err
	}
	if err := context.Cause(m.ctx); err != nil {
		return fmt.Errorf("not measured: %w", err)
	}
	if err := m.warmUp(); err != nil {
		return fmt.Errorf("warm up: %w", err)
	}
	return nil
}

// nextPlan is the plan of the next run. Each has an invocation of its own in
// its requests' ids, so that no two requests of a process share one.
func (m *measurement) nextPlan() (*workload.Plan, error) {
	if m.cell.recorded != nil {
		return workload.PlanOf(m.cell.recorded, m.nextInvocation())
	}
	from, err := m.plan.cursor.Take(m.target.name, m.cell.shape.Total())
	if err != nil {
		return nil, err
	}
	return workload.NewPlan(m.cell.shape, m.nextInvocation(), m.invocation, from)
}

func (m *measurement) nextInvocation() string {
	m.plansN++
	return fmt.Sprintf("%s.%d", m.invocation, m.plansN)
}

// warmUp sends one wave of short requests. Recordings need none, and in an
// open loop a wave of all slots would be a load of its own kind.
func (m *measurement) warmUp() error {
	if m.cell.recorded != nil || m.cell.shape.Load.Open() {
		return nil
	}
	p, err := workload.Warmup(m.cell.shape, m.nextInvocation(), m.invocation, m.warm)
	if err != nil {
		return err
	}
	defer m.screen.watch(m.key()+" warms up", m.runner.Progress)()
	run, err := m.runner.Run(m.ctx, p)
	if err != nil {
		return err
	}
	return run.Stopped
}

// run makes one load run, decodes it, and records it where that was asked for.
// After a run that was given up it does nothing: the cell has no numbers, and
// an engine that is down is not to be asked again.
func (m *measurement) run() error {
	if n := len(m.outcomes); n > 0 && m.outcomes[n-1].Stopped != nil {
		return nil
	}
	p := m.next
	if m.next = nil; p == nil {
		var err error
		if p, err = m.nextPlan(); err != nil {
			return err
		}
	}
	var run *workload.Run
	before := m.target.counters(m.ctx)
	protocol := truth.ProtocolOf(m.target.info)
	canary, warning, err := m.canary.around(m.ctx, protocol, p.Concurrency, func() (err error) {
		defer watchdog(m.limits.Run, m.key(), dump)()
		defer m.screen.watch(m.key(), m.runner.Progress)()
		run, err = m.runner.Run(m.ctx, p)
		return err
	})
	if err != nil {
		return err
	}
	out := workload.Decode(run, m.target.name, m.target.engine, m.target.info)
	out.Server = m.target.counters(m.ctx).Since(before)
	out.Canary, out.Knee = canary, m.calibrated.Knee(protocol)
	if warning != "" {
		m.warnings = append(m.warnings, warning)
	}
	if m.cell.recorded != nil && run.Stopped == nil { // else replies are cut short, and the truth is not
		out.Canary = m.check(run)
	}
	for i := range out.Samples {
		out.Samples[i].Run = m.runs[m.key()]
	}
	m.runs[m.key()]++
	m.warnings = append(m.warnings, out.Doubts...)
	if n := out.UserStamped(); n > 0 {
		m.warnings = append(m.warnings, fmt.Sprintf("arrivals of %d of %d replies are the program's own times, not the kernel's (stamp=user)", n, len(out.Samples)))
	}
	m.outcomes = append(m.outcomes, out)
	m.keep(run, out)
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
	m.late = report.Late
	found, err := truth.Compare(run, m.target.engine, m.cell.recorded, report)
	if err != nil {
		m.warnings = append(m.warnings, err.Error())
		return nil
	}
	return summed(found)
}

// truthLines say, for people, how the client's numbers stand to known ones.
func (m *measurement) truthLines() []string {
	c := m.outcomes[len(m.outcomes)-1].Canary
	switch {
	case c == nil:
		return nil
	case m.cell.recorded == nil:
		return []string{canaryLine(c, false)}
	}
	return []string{canaryLine(c, true) + "; the replay wrote " + m.late.String()}
}

// judge sums the runs up and saves their samples.
func (m *measurement) judge() (workload.Summary, workload.Judgement) {
	summary := workload.Summarize(m.outcomes...)
	judgement := workload.Judge(summary, m.budget(), m.outcomes...)
	m.findings = workload.Audit(summary, m.outcomes...)
	if m.plan.cursor != nil {
		for _, warning := range m.plan.cursor.Warnings() {
			if strings.HasPrefix(warning, m.target.name+":") {
				m.warnings = append(m.warnings, warning)
			}
		}
	}
	if err := m.save(summary, judgement); err != nil {
		m.unsaved("samples", err)
	}
	return summary, judgement
}

// giveUp saves the samples of the runs that were made before one that could not
// be.
func (m *measurement) giveUp(cause error) {
	if len(m.outcomes) == 0 {
		return
	}
	j := workload.Judgement{Verdict: workload.Invalid, Reasons: []string{fmt.Sprintf("run %d of the cell: %v", len(m.outcomes)+1, cause)}}
	if err := m.save(workload.Summarize(m.outcomes...), j); err != nil {
		m.unsaved("samples", err)
	}
}

// keep writes the recording of a cell's first run, unless the run came to
// nothing: a good recording of the same name must not make way for it. A disk
// that is full ends the recording and not the measurement.
func (m *measurement) keep(run *workload.Run, out workload.Outcome) {
	if m.record == "" || m.runs[m.key()] > 1 {
		return
	}
	if workload.Judge(workload.Summarize(out), m.budget(), out).Verdict == workload.Invalid {
		m.warnings = append(m.warnings, "not recorded: the run is INVALID")
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
