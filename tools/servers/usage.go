//go:build linux

package main

const usage = `servers brings up real serving engines on this machine, without a GPU.

  go tool servers install [flags] [vllm] [triton] [light]
  go tool servers start   [flags] [vllm] [triton] [light]
  go tool servers stop    [vllm] [triton] [light]
  go tool servers status  [vllm] [triton] [light]

  vllm    vLLM on CPU with a tiny Llama of random weights; OpenAI-compatible HTTP
  triton  Triton with vLLM's engine core behind the TRT-LLM tensor contract; gRPC
  light   Triton with a toy generator behind five tensor contracts; up in seconds

install and start mean vllm and triton where none is named, stop and status all.
Flags of install and start:
  -vllm-version=0.32.0  version of vLLM, also of the one inside triton
  -python=PATH          a Python 3.11 or 3.12 to install with (default: found)
Flags of start:
  -vllm-port=8000       -grpc-port=8001  -metrics-port=8002  -http-port=8003
  -delay=5ms            light: time from step to step
  -burst=1              light: tokens that a reply gets in a step
  -bls-instances=4      light: requests that tensorrt_llm_bls takes at once
  -timeout=5m           how long to wait until a server answers

Examples:
  go tool servers install && go tool servers start
  go tool servers start light
  go tool servers start -grpc-port=9001 -metrics-port=9002 -http-port=9003 light
  go tool servers stop

Exit codes: 0 good, 1 a server that was started does not answer (status), 2 else.
`
