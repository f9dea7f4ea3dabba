package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkMillionRequests reports, with page and plots, on samples of a
// million requests of 64 tokens: 84 runs of 14 cells, 1.2 GB. The command runs
// in a process of its own, whose largest memory is reported and bounded.
//
//	go test -run='^$' -bench=MillionRequests -benchtime=1x ./tools/report
func BenchmarkMillionRequests(b *testing.B) {
	dir := b.TempDir()
	samples := filepath.Join(dir, "samples")
	require.NoError(b, os.Mkdir(samples, 0o755))
	levels := []int{1, 2, 4, 8, 16, 32, 64} // 127 slots; 2 engines × 127 × 6 runs × 657 = 1,001,268
	lines := ""
	for _, e := range []synthetic{
		{name: "triton", ttft: 16 * time.Millisecond, gap: 14 * time.Millisecond, batch: 32, tokens: 64, requests: 657, runs: 6, seed: 1},
		{name: "vllm", ttft: 25 * time.Millisecond, gap: 14 * time.Millisecond, batch: 256, tokens: 64, requests: 657, runs: 6, seed: 2},
	} {
		lines += e.write(b, samples, levels...)
	}
	input := filepath.Join(dir, "run.txt")
	require.NoError(b, os.WriteFile(input, []byte(lines), 0o644))
	self, err := os.Executable()
	require.NoError(b, err)

	const limit = 500.0 // MB
	peak := 0.0
	for b.Loop() {
		cmd := exec.Command(self, "-samples", samples, "-o", filepath.Join(dir, "out"), input)
		cmd.Env = append(os.Environ(), asCommand+"=1")
		out, err := cmd.CombinedOutput()
		require.NoError(b, err, "%s", out)
		require.Contains(b, string(out), "## Results")
		peak = max(peak, float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)/1000) // kB
	}
	b.ReportMetric(1_001_268/(b.Elapsed().Seconds()/float64(b.N)), "requests/s")
	b.ReportMetric(peak, "peak-MB")
	require.Less(b, peak, limit, "the report's memory grows with the number of requests")
}
