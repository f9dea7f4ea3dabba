package enginebench_test

import (
	"testing"

	"enginebench"
)

// A repository of one's own keeps this in its bench_test.go. The first
// function is its TestMain, the second its BenchmarkServe.
func Example() {
	_ = func(m *testing.M) {
		enginebench.Main(m, enginebench.Live("vllm=http://localhost:8000", "triton=grpc://localhost:8001"))
	}
	_ = func(b *testing.B) { enginebench.Serve(b) }
	// Then:
	//	go test -bench=. -concurrency=1,8,64 -prompts=prompts.jsonl
	// Output:
}
