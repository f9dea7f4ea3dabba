//go:build linux

package main

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"

	"enginebench/internal/wholefile"
)

// models holds Triton's model repositories: light/ and core/ are one each, shared/
// is the python that several models import, tiny-llama/ what vLLM reads.
//
//go:embed models
var models embed.FS

const (
	pytritonVersion = "0.7.0"  // the wheel that carries the tritonserver binary
	tritonVersion   = "2.51.0" // the version of that binary
	// textInstances is how many processes tokenize and how many detokenize in the
	// light ensemble.
	textInstances = 2
)

// tritonServer is Triton with vLLM's engine core behind the TRT-LLM tensor contract.
func tritonServer(c cache, o options) server {
	label := fmt.Sprintf("Triton %s, Python backend with the TRT-LLM tensor contract, vLLM %s engine core", tritonVersion, o.vllmVersion)
	s := tritonProcess(c, o, "triton", label, []string{"tensorrt_llm"})
	// Not in the model's configuration, which Triton tells to whoever asks.
	s.Env = append(s.Env, "ENGINEBENCH_WORKER_PYTHON="+c.vllmPython(o.vllmVersion), "ENGINEBENCH_MODEL_DIR="+c.model())
	s.Env = append(s.Env, vllmEnv(c)...)
	s.Prepare = func() error {
		if err := c.writeModel(); err != nil {
			return err
		}
		return writeRepository(c.repository(s.Name), "core", repositoryParams{
			Label: label, MaxSeqs: maxSeqs, MaxSeqLen: maxModelLen,
		})
	}
	return s
}

// lightServer is Triton with a toy generator behind five tensor contracts.
func lightServer(c cache, o options) server {
	label := fmt.Sprintf("toy generator behind Triton %s: it serves the protocol, it is no engine", tritonVersion)
	s := tritonProcess(c, o, "light", label, lightModels)
	s.Variant = fmt.Sprintf("-delay=%s -burst=%d -bls-instances=%d", o.delay, o.burst, o.blsInstances)
	s.Prepare = func() error {
		return writeRepository(c.repository(s.Name), "light", repositoryParams{
			Label: label, MaxSeqs: maxSeqs, MaxSeqLen: maxModelLen,
			DelayMS: strconv.FormatFloat(o.delay.Seconds()*1000, 'f', -1, 64), Burst: o.burst, TextInstances: textInstances, BLSInstances: o.blsInstances,
		})
	}
	return s
}

// lightModels are the models of the light repository that answer requests from outside.
var lightModels = []string{"tensorrt_llm", "ensemble", "tensorrt_llm_bls", "llmapi", "vllm_model"}

func tritonProcess(c cache, o options, name, label string, served []string) server {
	root := c.triton()
	http := fmt.Sprintf("http://127.0.0.1:%d", o.httpPort)
	grpc := fmt.Sprintf("127.0.0.1:%d", o.grpcPort)
	s := server{
		Name:  name,
		Label: label,
		Args: []string{
			filepath.Join(root, "pytriton", "tritonserver", "bin", "tritonserver"),
			"--id=" + label, // what ServerMetadata calls the server's name
			"--model-repository=" + c.repository(name),
			"--backend-directory=" + filepath.Join(root, "pytriton", "tritonserver", "backends"),
			"--grpc-address=127.0.0.1", "--grpc-port=" + strconv.Itoa(o.grpcPort),
			"--http-address=127.0.0.1", "--http-port=" + strconv.Itoa(o.httpPort),
			"--metrics-address=127.0.0.1", "--metrics-port=" + strconv.Itoa(o.metricsPort),
			"--allow-gpu-metrics=false", "--metrics-config=histogram_latencies=true",
			"--exit-timeout-secs=5",
		},
		Env:       []string{"LD_LIBRARY_PATH=" + c.tritonLibraries()},
		Dir:       c.run(),
		Ports:     map[string]int{"grpc-port": o.grpcPort, "http-port": o.httpPort, "metrics-port": o.metricsPort},
		Endpoints: []string{"grpc://" + grpc, http, fmt.Sprintf("http://127.0.0.1:%d/metrics", o.metricsPort)},
		Ready:     []probe{{URL: http + "/v2/health/ready"}, {GRPC: grpc}},
	}
	for _, model := range served {
		s.Ready = append(s.Ready, probe{URL: http + "/v2/models/" + model + "/ready"})
	}
	return s
}

// repositoryParams fill the config.pbtxt templates.
type repositoryParams struct {
	Label         string
	MaxSeqs       int    // requests that run at once; also max_batch_size
	MaxSeqLen     int    // prompt and output together, in tokens
	DelayMS       string // light: the time of one step
	Burst         int    // light: tokens a step
	TextInstances int    // light: of preprocessing and of postprocessing
	BLSInstances  int    // light
}

// writeRepository writes the model repository of the given kind ("light" or
// "core") to dir, in place of what was there: DIR/MODEL/config.pbtxt and
// DIR/MODEL/1/*.py. Every model with code gets a copy of the shared python, since
// Triton puts only a model's own folder on its path.
func writeRepository(dir, kind string, params repositoryParams) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("write model repository: %w", err)
	}
	root := path.Join("models", kind)
	shared, err := fs.Glob(models, "models/shared/*.py")
	if err != nil {
		return err
	}
	return fs.WalkDir(models, root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		model := path.Base(path.Dir(name))
		version := filepath.Join(dir, model, "1")
		if err := os.MkdirAll(version, 0o755); err != nil {
			return fmt.Errorf("write model repository: %w", err)
		}
		if path.Base(name) == "config.pbtxt" {
			return render(name, filepath.Join(dir, model, "config.pbtxt"), params)
		}
		for _, file := range append([]string{name}, shared...) {
			if err := copyModelFile(file, filepath.Join(version, path.Base(file))); err != nil {
				return err
			}
		}
		return nil
	})
}

func render(name, to string, params repositoryParams) error {
	t, err := template.New(path.Base(name)).Option("missingkey=error").ParseFS(models, name)
	if err != nil {
		return err
	}
	var text strings.Builder
	if err := t.Execute(&text, params); err != nil {
		return fmt.Errorf("write %s: %w", to, err)
	}
	return wholefile.WriteBytes(to, []byte(text.String()))
}

func copyModelFile(name, to string) error {
	data, err := models.ReadFile(name)
	if err != nil {
		return err
	}
	return wholefile.WriteBytes(to, data)
}
