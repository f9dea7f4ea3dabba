package enginebench

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"enginebench/workload"
)

// common is what all cells of a session share.
type common struct {
	Load         string
	Prompts      string
	OutputTokens int
	Seed         uint64
	Describe     map[string]string
}

// common is what the flags say, or what the recordings do.
func (s *session) common() common {
	if s.plan.pool != nil {
		return common{s.plan.load.String(), s.plan.pool.Hash(), s.output, s.seed, s.plan.describe}
	}
	h := s.targets[0].cells[0].recorded.Header
	describe := s.plan.describe
	if len(describe) == 0 {
		describe = h.Describe
	}
	return common{h.Load, h.Prompts, h.OutputTokens, h.Seed, describe}
}

// secrets are what must not get into a recording.
func (s *session) secrets() []string {
	var found []string
	for _, variable := range os.Environ() {
		if name, value, _ := strings.Cut(variable, "="); strings.HasSuffix(name, "_API_KEY") && value != "" {
			found = append(found, value)
		}
	}
	return found
}

func joinReasons(reasons []string) string { return strings.Join(reasons, "; ") }

// save writes a file for each run of the cell: its record and its samples. The
// names of files tell runs of several processes apart.
func (m *measurement) save(summary workload.Summary, j workload.Judgement) error {
	if m.samples == "" {
		return nil
	}
	for i, out := range m.outcomes {
		name := fmt.Sprintf("%s.%s.%s-%s-%03d.jsonl", m.target.name, m.cell.name,
			out.Start.UTC().Format("20060102T150405"), m.invocation, m.first+i)
		err := writeFile(filepath.Join(m.samples, name), func(w io.Writer) error {
			return workload.WriteSamples(w, m.runRecord(out, m.first+i, summary, j), out.Samples)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// runRecord is the first line of a run's samples. Metrics are those of the
// run; the verdict is the cell's.
func (m *measurement) runRecord(out workload.Outcome, number int, cell workload.Summary, j workload.Judgement) workload.RunRecord {
	own := cell
	if len(m.outcomes) > 1 {
		own = workload.Summarize(out)
	}
	info, shared := m.target.info, m.common()
	return workload.RunRecord{
		Engine: m.target.name, Cell: m.cell.name, Run: number, When: out.Start.UTC().Truncate(time.Second),
		Load: shared.Load, Concurrency: out.Plan.Concurrency, Prompts: shared.Prompts, OutputTokens: shared.OutputTokens, Seed: shared.Seed,
		Info: workload.EngineInfo{Version: info.Version, Model: info.Model, Server: info.Server, Protocol: info.Protocol,
			Dialect: info.Dialect, Counts: info.Counts, Warnings: info.Warnings},
		Describe: shared.Describe, Metrics: own.Metrics,
		Sent: own.Sent, OK: own.OK, Failed: own.Failed, Cancelled: own.Cancelled, ByClass: own.ByClass,
		Verdict: j.Verdict, Reasons: j.Reasons, Warnings: slices.Concat(m.warnings, m.doubts()), Findings: m.findings, Evidence: out.Evidence(),
	}
}

// doubts are what one should know of the cell's circumstances.
func (m *measurement) doubts() []string {
	var doubts []string
	if m.target.colocated() {
		doubts = append(doubts, "client and engine ran on one machine and shared its CPU")
	}
	if m.cell.recorded != nil {
		doubts = append(doubts, "replayed from a recording: these are the recorded engine's times, not a live one's")
	}
	return doubts
}

// writeFile writes a file whole or not at all.
func writeFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".*.part")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	w := bufio.NewWriter(f)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
