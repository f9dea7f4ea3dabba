// Package workload turns prompts into numbers, one step a file:
//
//	prompts ─▶ plan.go ─▶ run.go ─▶ sample.go ─▶ summary.go ─▶ verdict.go
//	           what and    captures   one           one cell      can it be
//	           when                   request                     trusted
//
// A [Plan] says which requests one run of a cell sends and when. A [Runner]
// sends them, and does nothing else meanwhile but append to captures. When the
// run's window has closed, [Decode] turns the captures into a [Sample] a
// request, and [Summarize] the samples into the metrics of a cell: small pure
// functions, the same for a live run, a replay, and a recording that is
// decoded without a wire.
//
// # Load shapes
//
// The closed loop keeps c requests in flight: a slot whose request ended takes
// the next one. Each slot's first request, the ramp, has a random length, so
// that the slots do not stay in step as waves do; it counts for throughput,
// since the engine worked on it, and enters no latency.
//
// Waves send c requests at once and the next c when all have ended. Every
// wave's tail runs at a lower concurrency than its name says; the shape is here
// because older reports used it.
//
// The open loop sends at times drawn beforehand (Poisson arrivals), whatever
// the engine does. Its latencies count from the intended send, so that a
// request that had to wait for a late client or a free slot says so.
package workload
