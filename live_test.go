//go:build live

package enginebench_test

import "enginebench"

// source is the engines of the literal command, go test -bench=. -tags=live.
// One that does not answer is named and left out.
func source() enginebench.Source {
	return enginebench.Live("triton=grpc://localhost:8001", "vllm=http://localhost:8000")
}
