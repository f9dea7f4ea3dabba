//go:build linux

// Servers brings up real serving engines on this machine, without a GPU, to try a
// benchmark on.
//
//	$ go tool servers install          # 7 GB, once; what is there is left alone
//	$ go tool servers start
//	triton answers after 82.8 s (pid 25044): grpc://127.0.0.1:8001 http://127.0.0.1:8003 http://127.0.0.1:8002/metrics
//	  Triton 2.51.0, Python backend with the TRT-LLM tensor contract, vLLM 0.32.0 engine core
//	  log: ~/.cache/enginebench/servers/run/triton.log
//	vllm answers after 77.6 s (pid 25042): http://127.0.0.1:8000
//	  vLLM 0.32.0 on CPU, a tiny Llama with random weights
//	  log: ~/.cache/enginebench/servers/run/vllm.log
//	$ go tool servers start            # again: nothing happens
//	triton runs already (pid 25044): grpc://127.0.0.1:8001 http://127.0.0.1:8003 http://127.0.0.1:8002/metrics
//	vllm runs already (pid 25042): http://127.0.0.1:8000
//	$ go tool servers stop
//	vllm stopped (pid 25042, 3 processes)
//	triton stopped (pid 25044, 5 processes)
//
// # The servers
//
// vllm is vLLM's own server. triton is a real Triton whose model tensorrt_llm has
// the tensor contract of TensorRT-LLM and vLLM's engine core behind it, in a worker
// child; TensorRT-LLM itself needs a GPU. So scheduling, continuous batching and the
// wire are real on both, and say nothing about TensorRT-LLM's speed. Both serve the
// same Llama of two layers with the same random weights: a greedy request gets the
// same ids from both, and its text is noise. Prompt and output together may have
// 4096 tokens, and 128 requests run at once.
//
// light is a Triton with a toy generator: a thread that hands every running request
// a token a step and computes nothing. It needs 220 MB and is up in seconds. Its
// models have the five tensor contracts that a Triton client meets:
//
//	tensorrt_llm      the bare contract: token ids in, the new ids out
//	ensemble          text; preprocessing, tensorrt_llm, postprocessing in Triton's ensemble scheduler
//	tensorrt_llm_bls  text; the same by calls from Python; a separate empty final response;
//	                  -bls-instances caps how many requests run at once, as with the original
//	llmapi            text; no batch dimension, every response has the text so far, no counts
//	vllm_model        Triton's vllm_backend: sampling parameters as JSON text
//
// What a server is also stands in ServerMetadata's name and in the parameter
// description of each model's configuration.
//
// # Faults on request
//
// A prompt asks the toy generator for a fault, as text or as ids:
//
//	!error K        128255, 1, K       an error message after K tokens
//	!stall K MS     128255, 2, K, MS   after K tokens nothing for MS ms (at most 120000)
//	!short K        128255, 3, K       the reply ends after K tokens, however many were forced
//	!burst K        128255, 4, K       K tokens in each response
//
// An end id (text models fill in 128009 where the request has none) comes up about
// once in 64 tokens, so a reply of free length ends early.
//
// # What stop ends
//
// Every server leads a session of its own, and its pid is remembered together with
// its start time and the boot it belongs to. Stop ends that session's processes
// and no other: not one that got the same pid later. Servers listen on 127.0.0.1,
// and see nothing of the environment but PATH, HOME and TMPDIR.
//
// # Two cores are enough
//
// vLLM's default on CPU is a process for the model, for whose answer the engine's
// process spins. On two cores that leaves the client none: on a busy machine the
// program saw tokens 0.1 to 0.4 s after the kernel had them, in bunches. Here the
// model runs inside the engine's process, on one thread; the same delay is then
// 0.05 ms at the median. With both servers up, 7 GB of memory are taken, and idle
// ones take no CPU.
//
// Another vLLM is a flag away, to compare two versions:
//
//	go tool servers install -vllm-version=0.31.0 vllm
//	go tool servers stop vllm
//	go tool servers start -vllm-version=0.31.0 vllm
//
// Everything lies in $ENGINEBENCH_CACHE/servers, or else in enginebench/servers in
// the user's cache folder. Linux on x86-64 only: that is what the wheels are for.
package main
