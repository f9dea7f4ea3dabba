package faults

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/fixtures"
	"enginebench/fixtures/script"
	"enginebench/workload"
)

// plainScript is a reply of 64 tokens in 650 ms, in some 20 KB over HTTP.
func plainScript(p protocol) script.Script {
	return script.Script{Engine: p.name, Dialect: p.dialect, Concurrency: 4, Requests: 8, Tokens: 64,
		TTFT: 20 * time.Millisecond, Gap: 10 * time.Millisecond}
}

// firstToken and lastToken are when those of a plain script come: 20 ms, and 63
// gaps later.
const firstToken, lastToken = 20., 20. + 63*10

// reading is what is reported of a script's run, and what the audits say of it.
type reading struct {
	rec      *fixtures.Recording
	metrics  map[string]float64
	findings []string
}

// measured runs scripts over the wire, at the same time.
func measured(t *testing.T, scripts ...script.Script) []reading {
	t.Helper()
	var readings []reading
	var recs []*fixtures.Recording
	for _, s := range scripts {
		rec, err := s.Recording()
		require.NoError(t, err)
		recs = append(recs, rec)
	}
	server := serve(t, recs...)
	var clients []*client
	for _, rec := range recs {
		clients = append(clients, newClient(t, rec, server.URL(rec.Header.Engine), workload.Limits{Run: patience, MaxErrors: -1}))
	}
	for i, res := range together(t, clients...) {
		m := workload.Summarize(res.Outcome)
		require.Equal(t, len(res.Samples), m.OK)
		readings = append(readings, reading{recs[i], m.Metrics, audit(t, recs[i].Header.Engine, m, res.Outcome)})
	}
	return readings
}

// audit logs what the audits say, and of which numbers.
func audit(t *testing.T, engine string, m workload.Summary, o workload.Outcome) []string {
	t.Helper()
	findings := workload.Audit(m, o)
	said := "no finding"
	if len(findings) > 0 {
		said = strings.Join(findings, "; ")
	}
	t.Logf("%s: ttft %.1f ms, latency %.1f ms: %s", engine, m.Metrics["ttft-ms"], m.Metrics["latency-ms"], said)
	return findings
}

// number is what a pattern's group captures in a finding.
func number(t *testing.T, pattern, finding string) float64 {
	found := regexp.MustCompile(pattern).FindStringSubmatch(finding)
	require.NotNil(t, found, "%s", finding)
	v, err := strconv.ParseFloat(found[1], 64)
	require.NoError(t, err)
	return v
}

func TestAPlainStreamGivesNoFinding(t *testing.T) {
	t.Parallel()
	for _, r := range measured(t, plainScript(protocols[0]), plainScript(protocols[1])) {
		require.Empty(t, r.findings)
		require.InEpsilon(t, lastToken, r.metrics["latency-ms"], 0.1)
	}
}

// A stream that stays open for a second after its last token made another
// benchmark's latencies a second longer. It does not make ours.
func TestAStreamThatEndsASecondLateIsNamed(t *testing.T) {
	t.Parallel()
	var scripts []script.Script
	for _, p := range protocols {
		s := plainScript(p)
		s.LateEnd = time.Second
		scripts = append(scripts, s)
	}
	for _, r := range measured(t, scripts...) {
		require.Len(t, r.findings, 1)
		require.InEpsilon(t, 1000, number(t, `^end of stream: .* open for (\d+) ms after their last token`, r.findings[0]), 0.05)
		require.InEpsilon(t, lastToken, r.metrics["latency-ms"], 0.1, "the second is not in it")
	}
}

// A buffer of 4 KiB on the path holds the first token back until a dozen others
// have come, which made another benchmark's TTFT a block's time.
func TestBlockBufferingIsNamed(t *testing.T) {
	t.Parallel()
	s := plainScript(protocols[0])
	s.Block = 4096
	r := measured(t, s)[0]
	require.Len(t, r.findings, 1)
	require.Contains(t, r.findings[0], "block buffering")
	events := number(t, `first read of a reply held (\d+) events`, r.findings[0])

	// A block is full with the event that ends in it or reaches beyond it.
	var fills []float64
	for _, q := range r.rec.Requests {
		if q.Measured {
			fills = append(fills, (q.Capture.Chunks[0].Arrival-q.Capture.Send).Seconds()*1e3)
		}
	}
	fill := mean(fills)
	require.InDelta(t, firstToken+10*events, fill, 10, "the script's own arithmetic: a gap for each event of the first read")
	require.InEpsilon(t, fill, r.metrics["ttft-ms"], 0.1, "TTFT is the fill time")
	require.Greater(t, r.metrics["ttft-ms"], 5*firstToken, "and not the engine's")
}

func mean(values []float64) float64 {
	sum := 0.
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
