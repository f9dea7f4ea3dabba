package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"enginebench/workload"

	"github.com/stretchr/testify/require"
)

// synthetic is a made-up engine: a closed loop whose times follow from the
// concurrency, with seeded noise.
type synthetic struct {
	name     string
	ttft     time.Duration // at concurrency 1
	gap      time.Duration // between tokens at concurrency 1
	batch    int           // requests served at once; more wait
	tokens   int
	requests int // a slot
	runs     int
	seed     uint64
	garbage  float64 // share of outputs that differ from everybody else's
}

var epoch = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// write simulates the engine at each concurrency and writes its sample files.
// It returns the benchmark lines of the runs, as go test prints them.
func (e synthetic) write(t testing.TB, dir string, concurrencies ...int) string {
	lines := ""
	for _, c := range concurrencies {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s.concurrency=%d.jsonl", e.name, c)))
		require.NoError(t, err)
		w := bufio.NewWriterSize(f, 1<<20)
		for run := range e.runs {
			record := e.run(t, w, c, run)
			lines += fmt.Sprintf("BenchmarkServe/engine=%s/concurrency=%d-2\t1", e.name, c)
			for _, m := range workload.Metrics {
				if v, ok := record.Metrics[m.Unit]; ok {
					lines += "\t" + printed(v) + " " + m.Unit
				}
			}
			lines += "\n"
		}
		require.NoError(t, w.Flush())
		require.NoError(t, f.Close())
	}
	return lines
}

// printed writes a value as testing's benchmark lines do.
func printed(v float64) string {
	switch {
	case v >= 999.95:
		return fmt.Sprintf("%.0f", v)
	case v >= 99.995:
		return fmt.Sprintf("%.1f", v)
	case v >= 9.9995:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func (e synthetic) run(t testing.TB, w *bufio.Writer, c, run int) *workload.RunRecord {
	noise := rand.New(rand.NewPCG(e.seed, uint64(c)<<32|uint64(run)))
	drift := 1 + 0.01*noise.NormFloat64() // between runs
	served := min(c, e.batch)
	var samples []workload.Sample
	for slot := range c {
		at := time.Duration(slot) * 2 * time.Millisecond
		for i := range e.requests {
			s := e.sample(noise, c, served, run, slot*e.requests+i, i > 0, at, drift)
			samples = append(samples, s)
			at = s.End + time.Millisecond
		}
	}
	record := e.record(c, run, samples)
	encoder := json.NewEncoder(w)
	require.NoError(t, encoder.Encode(map[string]any{"run": record}))
	for i := range samples {
		require.NoError(t, encoder.Encode(map[string]any{"sample": &samples[i]}))
	}
	return record
}

func (e synthetic) sample(noise *rand.Rand, c, served, run, index int, measured bool, send time.Duration, drift float64) workload.Sample {
	scale := func(d time.Duration, spread float64) time.Duration {
		return time.Duration(float64(d) * drift * max(0.2, 1+spread*noise.NormFloat64()))
	}
	gap := time.Duration(float64(e.gap) * (1 + 0.015*float64(served-1)))
	tokens := e.tokens
	wait := time.Duration(0)
	if c > e.batch {
		wait = time.Duration(float64(gap) * float64(tokens) * float64(c-e.batch) / float64(e.batch))
	}
	s := workload.Sample{Engine: e.name, Cell: fmt.Sprintf("concurrency=%d", c), Run: run, Index: index, Measured: measured, Status: workload.OK,
		Prompt: fmt.Sprintf("%d-%d-%d", c, run, index), Intended: send, Origin: send, Send: send, PromptLen: 128, EnginePromptLen: 128,
		Wanted: tokens, Forced: true, Tokens: &tokens, Counted: "token ids", FirstEvent: 1, Events: tokens, Stamp: "kernel", Finish: "length"}
	s.FirstToken = send + scale(e.ttft*time.Duration(1+served/8), 0.15) + scale(wait, 0.1)
	s.Head, s.FirstChunk = s.FirstToken, s.FirstToken
	s.LastToken = s.FirstToken
	for range tokens - 1 {
		g := scale(gap, 0.08)
		s.Gaps, s.GapTokens = append(s.Gaps, g), append(s.GapTokens, 1)
		s.LastToken += g
	}
	s.End = s.LastToken + 50*time.Microsecond
	hash := fmt.Sprintf("ids:%016x", uint64(c)<<40|uint64(run)<<32|uint64(index))
	if noise.Float64() < e.garbage {
		hash = "ids:bad" + s.Prompt
	}
	s.OutputHash = hash
	return s
}

func (e synthetic) record(c, run int, samples []workload.Sample) *workload.RunRecord {
	var ttft, latency, tpot time.Duration
	var last time.Duration
	measured, tokens := 0, 0
	for i := range samples {
		s := &samples[i]
		tokens += *s.Tokens
		last = max(last, s.LastToken)
		if s.Measured {
			measured++
			ttft += s.FirstToken - s.Origin
			latency += s.LastToken - s.Origin
			tpot += (s.LastToken - s.FirstToken) / time.Duration(max(1, *s.Tokens-1))
		}
	}
	mean := func(d time.Duration) float64 { return float64(d) / float64(measured) / 1e6 }
	r := &workload.RunRecord{Engine: e.name, Cell: fmt.Sprintf("concurrency=%d", c), Run: run, When: epoch.Add(time.Duration(run) * time.Hour), Load: "closed",
		Concurrency: c, Prompts: "8f3c2a91d0be4477", OutputTokens: e.tokens, Seed: 42,
		Info:     workload.EngineInfo{Version: "1." + fmt.Sprint(e.seed), Model: "tiny-llama", Server: e.name, Protocol: "http", Dialect: "openai.completions", Counts: "token ids"},
		Describe: map[string]string{"gpu": "A10G 24GB"},
		Metrics: map[string]float64{"tokens/s": float64(tokens) / last.Seconds(), "ttft-ms": mean(ttft), "latency-ms": mean(latency), "tpot-ms": mean(tpot),
			"ok-%": 100, "req/s": float64(len(samples)) / last.Seconds()},
		Sent: len(samples), OK: len(samples), Verdict: workload.Valid}
	if e.name == "vllm" && c == 32 {
		r.Verdict, r.Reasons = workload.Suspect, []string{fmt.Sprintf("coalesced %.1f %% of token events shared a read", 7+float64(run)/10)}
	}
	return r
}

// pair is the two engines of the tests, and the lines of their runs.
func pair(t testing.TB, dir string, runs int, concurrencies ...int) string {
	triton := synthetic{name: "triton", ttft: 16 * time.Millisecond, gap: 14 * time.Millisecond, batch: 32, tokens: 48, requests: 12, runs: runs, seed: 1}
	vllm := synthetic{name: "vllm", ttft: 25 * time.Millisecond, gap: 14 * time.Millisecond, batch: 256, tokens: 48, requests: 12, runs: runs, seed: 2, garbage: 0.03}
	return triton.write(t, dir, concurrencies...) + vllm.write(t, dir, concurrencies...)
}

// scaled multiplies a printed number.
func scaled(number string, factor float64) string {
	v, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return number
	}
	return strconv.FormatFloat(v*factor, 'f', 4, 64)
}
