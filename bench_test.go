package enginebench_test

import (
	"testing"

	"enginebench"
)

// TestMain owns flags, the lines before the results, and the exit code. Which
// engines there are when no flag says so is in live_test.go for -tags=live and
// in recorded_test.go otherwise.
func TestMain(m *testing.M) { enginebench.Main(m, source()) }

// BenchmarkServe measures every engine at every level of concurrency:
//
//	BenchmarkServe/engine=vllm/concurrency=32
//	BenchmarkServe/engine=vllm/wave=32         with -load=waves
//	BenchmarkServe/engine=vllm/rate=8          with -load=rate=8
//
// One iteration is one whole load run. Select cells as ever: -bench
// elements are unanchored, so that concurrency=3 also matches 32 and one
// writes
//
//	go test -bench='Serve/engine=vllm/concurrency=(1|32)$' -tags=live
func BenchmarkServe(b *testing.B) { enginebench.Serve(b) }
