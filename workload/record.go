package workload

import (
	"time"

	"enginebench/engines"
)

// Verdict says whether a run's numbers can be trusted.
type Verdict string

const (
	Valid   Verdict = "VALID"
	Suspect Verdict = "SUSPECT" // the numbers stand, with reasons to doubt them
	Invalid Verdict = "INVALID" // there are no numbers
)

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
	Evidence     map[string]float64    `json:"evidence,omitempty"` // self-calibration, by name with unit: "gc-cycles", "coalesced-%"
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
