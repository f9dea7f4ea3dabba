package enginebench

import (
	"maps"
	"os"
	"strings"

	"enginebench/workload"
)

// conditions are what the flags say, or what the recordings do.
func (s *session) conditions() workload.Conditions {
	if s.plan.pool != nil {
		return workload.Conditions{Load: s.plan.load.String(), Prompts: s.plan.pool.Hash(), OutputTokens: s.output, Seed: s.seed, Describe: s.plan.describe}
	}
	c := workload.ConditionsOf(s.targets[0].cells[0].recorded.Header)
	c.Describe = maps.Clone(c.Describe)
	if c.Describe == nil {
		c.Describe = map[string]string{}
	}
	maps.Copy(c.Describe, s.plan.describe)
	return c
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

// save writes a file for each run of the cell: its record and its samples.
// Metrics are those of the run; the verdict is the cell's.
func (m *measurement) save(cell workload.Summary, j workload.Judgement) error {
	if m.samples == "" {
		return nil
	}
	for i, out := range m.outcomes {
		own := cell
		if len(m.outcomes) > 1 {
			own = workload.Summarize(out)
		}
		record := out.Record(m.target.name, m.target.info, m.conditions(), own, j)
		record.Run = m.first + i
		record.Warnings, record.Findings = m.warnings, m.findings
		if err := workload.SaveSamples(m.samples, m.invocation, record, out.Samples); err != nil {
			return err
		}
	}
	return nil
}
