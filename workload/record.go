package workload

import (
	"time"

	"enginebench/engines"
	"enginebench/fixtures"
)

// Verdict says whether a run's numbers can be trusted.
type Verdict string

const (
	Valid   Verdict = "VALID"   // nothing is to be said against the numbers
	Suspect Verdict = "SUSPECT" // the numbers stand, with reasons to doubt them
	Invalid Verdict = "INVALID" // there are no numbers
)

// Conditions are what the cells of one result share, and what two results must
// share to be compared.
type Conditions struct {
	Load         string // as [ParseLoad] reads it
	Prompts      string // hash of the whole pool
	OutputTokens int
	Seed         uint64
	Describe     map[string]string // what only the user knows: gpu, …
}

// ConditionsOf are the conditions under which a recording was made.
func ConditionsOf(h fixtures.Header) Conditions {
	return Conditions{h.Load, h.Prompts, h.OutputTokens, h.Seed, h.Describe}
}

// RunRecord is what one run of a cell came to, with exact values and the
// evidence for them. It is the first line of the run in a -samples file.
type RunRecord struct {
	Engine       string                `json:"engine"`
	Cell         string                `json:"cell"` // "concurrency=32", "wave=32", "rate=8"
	Run          int                   `json:"run"`
	When         time.Time             `json:"when"`
	Load         string                `json:"load"` // "closed", "waves", "rate=8"
	Concurrency  int                   `json:"concurrency,omitempty"`
	Prompts      string                `json:"prompts"` // hash of the whole pool
	OutputTokens int                   `json:"output-tokens"`
	Seed         uint64                `json:"seed"`
	Info         EngineInfo            `json:"info"`
	Describe     map[string]string     `json:"describe,omitempty"` // what only the user knows: gpu, …
	Metrics      map[string]float64    `json:"metrics"`            // by unit, exact, every metric that exists
	Sent         int                   `json:"sent"`
	OK           int                   `json:"ok"`
	Failed       int                   `json:"failed"`
	Cancelled    int                   `json:"cancelled"`
	ByClass      map[engines.Class]int `json:"by-class,omitempty"`
	Verdict      Verdict               `json:"verdict"`
	Reasons      []string              `json:"reasons,omitempty"`  // for a verdict other than VALID
	Warnings     []string              `json:"warnings,omitempty"` // doubts that change no verdict
	Findings     []string              `json:"findings,omitempty"` // what the audits explain, a sentence each
	Evidence     map[string]float64    `json:"evidence,omitempty"` // self-calibration, by name with unit: "gc-cycles", "client-p99-us"
}

// EngineInfo is the part of engines.Info that results keep.
type EngineInfo struct {
	Version  string   `json:"version,omitempty"`
	Model    string   `json:"model,omitempty"`
	Server   string   `json:"server,omitempty"`
	Protocol string   `json:"protocol,omitempty"`
	Dialect  string   `json:"dialect,omitempty"`
	Counts   string   `json:"counts,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// Record makes the record of a run of which m are the metrics and j is the
// verdict. Run, Warnings and Findings are left to the caller.
func (o *Outcome) Record(engine string, info engines.Info, c Conditions, m Summary, j Judgement) RunRecord {
	return RunRecord{
		Engine: engine, Cell: o.Plan.Cell, When: o.Start.UTC().Truncate(time.Second),
		Load: c.Load, Concurrency: o.Plan.Concurrency, Prompts: c.Prompts, OutputTokens: c.OutputTokens, Seed: c.Seed,
		Info: EngineInfo{Version: info.Version, Model: info.Model, Server: info.Server, Protocol: info.Protocol,
			Dialect: info.Dialect, Counts: info.Counts, Warnings: info.Warnings},
		Describe: c.Describe, Metrics: m.Metrics,
		Sent: m.Sent, OK: m.OK, Failed: m.Failed, Cancelled: m.Cancelled, ByClass: m.ByClass,
		Verdict: j.Verdict, Reasons: j.Reasons, Evidence: o.Evidence(),
	}
}
