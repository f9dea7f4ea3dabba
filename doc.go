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
// A repository keeps its own benchmark in two functions. Go finds the module
// by a replace directive or a go.work file:
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
// A name matches [a-z][a-z0-9_.]*, since it becomes part of a benchmark's name.
// Keys come from the environment alone: OPENAI_API_KEY, or VLLM_API_KEY for an
// engine called vllm. -header="Name: value" sends a header that is no secret
// with every request, and -ca=file trusts more certificates.
//
// -replay=directory measures recordings in place of engines, -replay=file one of
// them. What they fix, as their prompts, can't be set beside it.
//
// # Load
//
// -load=closed keeps as many requests in flight as each level of
// -concurrency=1,2,4,8,16,32,64 says; -load=waves sends them in waves;
// -load=rate=8 sends 8 a second, whatever is in flight, and counts latencies
// from the intended send. -requests=N is the measured requests of a cell, 10 a
// slot by default and 100 in an open loop. -seed fixes all that is random.
//
// # Prompts
//
// -prompts=FILE.jsonl takes prompts that make prompts wrote, and
// -prompts=synthetic:in=128 makes them up; package prompts is their manual.
// -output-tokens=512 is how many each reply has, exactly where the engine can
// be made to, and a reply with another number then has failed. Every engine
// gets the same prompts, as token ids where its dialect takes ids, and none is
// sent twice, since an engine answers a prompt that it has seen from its cache.
// Several processes over one server say which pass of how many they are:
// -pass=1/6.
//
// # Limits
//
// A request fails that has no event within -ttft-timeout, none for
// -idle-timeout in the middle, or is not whole after -request-timeout.
// -run-timeout bounds a cell: package testing does not bound benchmarks. When
// more than -max-errors of a run's requests fail (1% by default, or a number),
// the run is given up and the cell has no numbers. -capture-memory bounds what
// replies may take before they are decoded.
//
// # Output
//
// Stdout is Go's benchmark format: Unit lines with each metric's direction,
// key: value lines with the conditions, lines of # for people, and a line a
// cell:
//
//	BenchmarkServe/engine=vllm/concurrency=32-2  1  3071 tokens/s  23.1 ttft-ms …
//
// A metric that does not exist is not printed; none is ever 0 in place of
// unknown. The definitions are in [workload.Metrics]; -metrics=all prints the
// client's own too. -describe=gpu="A10G 24GB" adds a condition that only the
// user knows. Below a line stands what there is to doubt about it: SUSPECT with
// the reason, and findings that explain a number. Progress goes to the
// terminal.
//
// A cell that has no numbers fails with INVALID and the reason. The exit code
// is 1 if a cell failed, whatever -count is, or if none was measured, 2 if what
// was asked for can't be done or stdout does not take results, and 130 if it
// was interrupted; go test makes 1 of all. At Ctrl-C the cells already measured
// keep their lines and the others fail.
//
// Unless -benchtime says otherwise (as -benchtime=3x), a cell is one load run.
// Unless -run says otherwise, -bench runs no tests: they would take their time
// between the engines' first answers and the load.
//
// # Files
//
// -samples=directory writes a file for each run: its record, with exact values
// and the evidence for them, and a JSON line for each request.
// -record=directory writes a recording of each cell's first run;
// -record-prompts keeps the prompts in it, not only their hashes.
//
// Without -bench the binary runs its tests and asks no engine anything.
package enginebench
