// Package enginebench measures LLM serving engines as Go benchmarks: each
// engine and concurrency is a sub-benchmark of package testing, so that
// benchstat, CI and a Go developer's habits just work, and every number comes
// with the evidence that it can be trusted.
//
//	go test -bench=. -tags=live     measures the engines on this machine's ports
//	go test -bench=.                replays recorded ones, without a server
//
// # A benchmark of one's own
//
// A repository keeps its own benchmark in two functions. Go requires the
// module by a replace directive or a go.work file:
//
//	func TestMain(m *testing.M) { enginebench.Main(m, enginebench.Live("vllm=http://localhost:8000")) }
//
//	func BenchmarkServe(b *testing.B) { enginebench.Serve(b) }
//
// # Engines
//
// -engine=name=url adds an engine; the scheme picks the protocol and the query
// its options. An engine that was asked for must answer, or nothing is
// measured; of those in the source that TestMain gives, the ones that do not
// answer are named and left out.
//
//	-engine=vllm=http://localhost:8000
//	-engine='chat=https://host/v1?api=chat&model=llama'
//	-engine=triton=grpc://localhost:8001
//
// Keys come from the environment alone: OPENAI_API_KEY, or VLLM_API_KEY for an
// engine called vllm.
//
// # Output
//
// Stdout is Go's benchmark format: Unit lines with each metric's direction,
// key: value lines with the conditions, lines of # for people, and a line a
// cell:
//
//	BenchmarkServe/engine=vllm/concurrency=32-2  1  1454 tokens/s  38.4 ttft-ms …
//
// A metric that does not exist is not printed; none is ever 0 in place of
// unknown. The definitions are in package workload, [workload.Metrics]. Below
// a line stands what there is to doubt about it: SUSPECT with the reason, and
// findings that explain a number. A cell that has no numbers fails with
// INVALID and the reason, and the exit code is not 0, whatever -count is.
//
// -samples=directory writes a JSON line for each request, with exact values;
// -record=directory writes recordings, which -replay=directory measures again.
package enginebench
