package enginebench

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"enginebench/engines"
	"enginebench/workload"
	"enginebench/workload/line"
)

// Serve runs the benchmark: a sub-benchmark for each engine and, below it, for
// each cell. TestMain must have called [Main].
//
// One iteration of a cell's b.Loop is one whole load run; -benchtime=3x makes
// three, whose line holds them together.
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
	m := s.newMeasurement(t, c)
	defer m.runner.Close()
	if err := m.prepare(); err != nil {
		fail("%v", err)
	}
	for b.Loop() {
		if err := m.run(); err != nil {
			m.giveUp(err)
			log(b, m.warnings)
			fail("%v", err)
		}
	}
	summary, judgement := m.judge()
	if judgement.Verdict == workload.Invalid {
		log(b, m.warnings)
		fail("%s", line.Failure(judgement))
	}
	report(b, summary, s.metrics == "all")
	log(b, append(line.Notes(judgement, m.warnings, m.findings), m.truthLines()...))
	s.measuredN++
}

// logLines is how many lines below a result package testing prints.
const logLines = 10

// log writes notes below the result, each once. Where they are too many for
// package testing, the last ones share a line.
func log(b *testing.B, notes []string) {
	b.Helper()
	var once []string
	for _, note := range notes {
		if note = line.Flat(note); !slices.Contains(once, note) {
			once = append(once, note)
		}
	}
	if len(once) >= logLines {
		once = append(once[:logLines-2], strings.Join(once[logLines-2:], "; "))
	}
	for _, note := range once {
		b.Log(note)
	}
}

// report puts the metrics on the benchmark's line. It comes after the loop,
// which forgets what was reported before its end.
func report(b *testing.B, m workload.Summary, all bool) {
	b.ReportMetric(0, "ns/op") // takes it off the line: it says nothing here
	for unit, value := range line.Values(m, all) {
		b.ReportMetric(value, unit)
	}
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
