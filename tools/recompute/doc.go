// Recompute decodes recordings, without a wire and without waiting, and prints
// the benchmark lines of the runs that they were made of.
//
//	go tool recompute fixtures/recordings > run.txt
//	go tool recompute -samples=samples -metrics=all old/ new/vllm.concurrency=32.jsonl.gz
//	go tool recompute -tokenize=http://localhost:8000 results/recordings
//
// So a question that comes up after a run (another metric, a definition that
// was corrected, token counts that the engine does not give) needs no second
// run. An argument is a recording, or a directory with recordings at its top.
// Of a vLLM and a Triton that ran on CPU it prints, less the Unit lines and cut
// at the right:
//
//	load: closed
//	prompts: ac8bd8710ebe
//	output-tokens: 32
//	seed: 42
//	triton-version: 2.51.0
//	triton-model: tensorrt_llm
//	vllm-version: 0.32.0
//	vllm-model: tiny-llama
//	# triton is Triton 2.51.0, Python backend with the TRT-LLM tensor contract, vLLM 0.32.0 engine core, …
//	# vllm is vLLM 0.32.0, openai.completions, recomputed from recordings of 2026-11-26, prompts as token ids
//	# recomputed from recordings: the times are the recorded run's; …
//	BenchmarkServe/engine=triton/concurrency=2-2	       1	     64812 client-p99-us	       111.4 latency-ms	…
//	--- BENCH: BenchmarkServe/engine=triton/concurrency=2-2
//	    recompute.go:1: SUSPECT: 49.5 % of token events shared a read with another: gaps between tokens are not known
//	    recompute.go:1: engine's own TTFT: it counts 7.8 ms by its replies where the client saw 16.4 ms: 8.6 ms lie on the path between them
//	BenchmarkServe/engine=vllm/concurrency=2-2  	       1	      4368 client-p99-us	        97.51 latency-ms	…
//	--- BENCH: BenchmarkServe/engine=vllm/concurrency=2-2
//	    recompute.go:1: SUSPECT: 43.1 % of token events shared a read with another: gaps between tokens are not known
//	PASS
//
// benchstat, go tool gate and go tool report read it as they read a run's.
// Each directory has a header of its own, so one output can hold two versions
// of an engine:
//
//	go tool recompute old/ new/ > both.txt
//	go tool gate -col vllm-version both.txt
//
// # What is the same as in the run, and what is not
//
// Every sample is: token counts, and all times to the nanosecond. So are the
// metrics, except those of the client's machine (client-cpu-us/chunk,
// gc-cycles), which no recording holds. Metrics are computed by this build's
// definitions and the verdict by its bounds, which is the point where those
// were corrected. A verdict does not know here what the machine did meanwhile
// (stolen time, CPU quota, clocks, canary), nor -max-errors of the run, which
// is to be given again where it was not 1 %. Findings that rest on the engine's
// own counters are missing, and so are goos, goarch, pkg and cpu, since the
// run's are not known. The suffix of a name is this machine's GOMAXPROCS.
//
// -samples writes what a run's -samples does, under names that are the same
// every time. Into a directory of its own: beside the samples of the run itself
// each request would count twice.
//
// # Token counts
//
// A count that the engine gave always stands. Where it gave none, -tokenizer
// (the model's tokenizer.json; needs the build tag tokenizers and what
// make tokenizers builds) or -tokenize (an engine that serves the model and has
// /tokenize) counts by tokenizing the reply's text again. In the samples such
// counts are marked "counted":"tokenizer", and below the line stands how many
// there were and, where a number of tokens was forced, how far they are off.
//
// Exact are then still all times: TTFT, latencies, and the span that tokens/s
// divides by. An approximation is the number of tokens:
//   - text need not tokenize to the tokens that it was made of, least where
//     tokens were sampled at random or a character was cut by the end;
//   - tokens without text (end of sequence, reasoning marks, tool calls) are
//     not in it, so that a reply that ended by itself counts one too few;
//   - Triton's ensemble turns each token into text alone, where SentencePiece
//     models lose spaces (triton-inference-server/tensorrtllm_backend, issues
//     34, 112, 332): such text tokenizes to other tokens.
//
// Measured on 33 replies of a vLLM with random weights, against its own counts:
// 30 tokenize to the very number, the other three to 51 tokens more.
//
// So a count fails no request whose forced number of tokens it misses. Tokens of
// single events are not told: the differences between the counts of growing
// prefixes can be 0 or negative, since what comes next changes how the text
// before it is cut, and a count that sometimes is 0 makes ITL infinite. What
// rests on them (tpot-ms, itl-*, steady-tokens/s) stays absent.
//
// The tokenizer is also held against the counts that the engine gave, and a
// difference is a warning. A large one says that it is another model's. Replies
// that carry ids and no text are not compared.
//
// # Exit code
//
// 0: good. 1: a recording is INVALID; its cell is printed as --- FAIL with the
// reason, as by go test. 2: bad input: not a recording, cut off, damaged, of an
// unknown version or a dialect that this build lacks, a directory without one,
// a tokenizer that broke. Each is a line on stderr, and all others are
// recomputed all the same.
package main
