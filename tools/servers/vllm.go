//go:build linux

package main

import (
	"fmt"
	"path/filepath"
	"strconv"
)

const (
	// vllmVersion is the version that is installed when none is asked for.
	vllmVersion = "0.32.0"
	// modelName is the name under which vLLM serves the tiny model.
	modelName = "tiny-llama"
	// maxModelLen bounds prompt and output together, in tokens. The model takes 8192.
	maxModelLen = 4096
	// maxSeqs is how many requests run at once: twice the largest concurrency that
	// is measured by default, so that the engine never queues by its own limit.
	maxSeqs = 128
)

// vllmEnv is the environment of vLLM's engine, as a server and inside Triton.
func vllmEnv(c cache) []string {
	return []string{
		"HF_HUB_OFFLINE=1",
		"HF_HOME=" + filepath.Join(c.run(), "huggingface"),
		"VLLM_CACHE_ROOT=" + filepath.Join(c.run(), "vllm"),
		"VLLM_CONFIG_ROOT=" + filepath.Join(c.run(), "vllm"),
		"VLLM_NO_USAGE_STATS=1",
		"VLLM_HOST_IP=127.0.0.1",
		// In GiB. A token of the tiny model takes about 1 KiB: a million tokens.
		"VLLM_CPU_KVCACHE_SPACE=1",
		// The model runs inside the engine's process (with --distributed-executor-backend
		// uni, which the CPU platform allows only with this variable) on one thread. By
		// default it has a process of its own, for whose answer the engine's process
		// spins: on two cores nothing is left for the client, which then sees its tokens
		// in bunches, up to 0.4 s late.
		"VLLM_ENABLE_V1_MULTIPROCESSING=0",
		"VLLM_CPU_OMP_THREADS_BIND=nobind",
		"OMP_NUM_THREADS=1",
	}
}

// vllmServer is vLLM's OpenAI-compatible server.
func vllmServer(c cache, o options) server {
	url := fmt.Sprintf("http://127.0.0.1:%d", o.vllmPort)
	return server{
		Name:  "vllm",
		Label: fmt.Sprintf("vLLM %s on CPU, a tiny Llama with random weights", o.vllmVersion),
		Args: []string{
			c.vllmPython(o.vllmVersion), "-m", "vllm.entrypoints.openai.api_server",
			"--model", c.modelFromRun(), "--served-model-name", modelName,
			"--load-format", "dummy", "--enforce-eager", "--distributed-executor-backend", "uni",
			"--max-model-len", strconv.Itoa(maxModelLen), "--max-num-seqs", strconv.Itoa(maxSeqs),
			"--host", "127.0.0.1", "--port", strconv.Itoa(o.vllmPort),
		},
		Env:       vllmEnv(c),
		Dir:       c.run(),
		Ports:     map[string]int{"vllm-port": o.vllmPort},
		Endpoints: []string{url},
		Ready:     []probe{{URL: url + "/health"}, {URL: url + "/v1/models", Body: modelName}},
		Prepare:   c.writeModel,
	}
}
