package openai

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"

	"enginebench/engines"
	"enginebench/engines/httpstream"
)

// Describe implements [engines.Engine]. It asks for the models and the
// version, then sends requests of one token, in the form of the run's own,
// until it knows which fields the server takes, how it counts, and whether the
// number of output tokens can be forced.
func (e *Engine) Describe(ctx context.Context) (engines.Info, error) {
	client := e.cfg.NewClient()
	defer client.Close()
	info := engines.Info{Protocol: "http/1.1 sse", Dialect: Completions}
	if e.chat {
		info.Dialect = Chat
	}
	owner, err := e.pickModel(ctx, client, &info)
	if err != nil {
		return info, err
	}
	info.Server, info.Version = identify(ctx, client, owner)
	p := &preflight{engine: e, info: &info}
	if err := p.run(ctx); err != nil {
		return info, err
	}
	info.Exchanges = append(client.Exchanges, p.exchanges...)
	return info, nil
}

// modelList is the answer to GET /v1/models: OpenAI's fields, vLLM's and
// SGLang's max_model_len, and llama.cpp's meta.
type modelList struct {
	Data []struct {
		ID          string `json:"id"`
		OwnedBy     string `json:"owned_by"`
		MaxModelLen int    `json:"max_model_len"`
		Meta        struct {
			VocabSize int `json:"n_vocab"`
			Context   int `json:"n_ctx"`
		} `json:"meta"`
	} `json:"data"`
}

// pickModel finds the model to measure and what the list says of it, and
// returns who the server says owns it.
func (e *Engine) pickModel(ctx context.Context, client *httpstream.Client, info *engines.Info) (owner string, err error) {
	at := e.cfg.URL("/v1/models")
	var list modelList
	if err := client.GetJSON(ctx, "/v1/models", &list); err != nil {
		missing := false
		if n := len(client.Exchanges); n > 0 {
			status := client.Exchanges[n-1].Status
			missing = status == http.StatusNotFound || status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented
		}
		switch {
		case missing && e.model != "":
			info.Warnings = append(info.Warnings, "the server has no list of models; "+e.model+" is taken on trust")
			info.Model, e.shape.model = e.model, e.model
			return "", nil
		case missing:
			return "", engines.Errorf(engines.Protocol, "ask for the models: nothing at %s; is this an OpenAI-compatible server, and is the URL's path right? (?model=NAME goes on without the list)", at)
		case errors.Is(err, syscall.ECONNREFUSED):
			return "", engines.Errorf(engines.Dial, "ask for the models: no server listens on %s; start it, or give its address", e.cfg.Base.Host)
		}
		return "", fmt.Errorf("ask for the models: %w", err)
	}
	var served []string
	for _, m := range list.Data {
		served = append(served, m.ID)
		if m.ID != e.model && (e.model != "" || len(list.Data) != 1) {
			continue
		}
		info.Model, e.shape.model = m.ID, m.ID
		info.MaxModelLen, info.VocabSize = max(m.MaxModelLen, m.Meta.Context), m.Meta.VocabSize
		return m.OwnedBy, nil
	}
	names := strings.Join(served, ", ")
	switch {
	case len(served) == 0:
		return "", engines.Errorf(engines.Rejected, "ask for the models: %s lists none", at)
	case e.model == "":
		return "", engines.Errorf(engines.Rejected, "choose a model: the server has several; ask for one of them with ?model=NAME: %s", names)
	}
	return "", engines.Errorf(engines.Rejected, "choose a model: %s is not served; served are: %s", e.model, names)
}

// servers is who is who by the owned_by of its models, with where its version
// stands.
var servers = []struct {
	owner, name string
	versions    []string
}{
	{"vllm", "vLLM", []string{"/version"}},
	{"sglang", "SGLang", []string{"/server_info", "/get_server_info"}},
	{"llamacpp", "llama.cpp", []string{"/props"}},
	{"lmdeploy", "LMDeploy", nil},
	{"tensorrt_llm", "TensorRT-LLM", []string{"/version"}},
	{"Triton Inference Server", "Triton OpenAI frontend", nil},
	{"library", "Ollama", []string{"/api/version"}}, // "library" is the namespace of Ollama's own models
}

const anyServer = "OpenAI-compatible"

// identify finds out what runs and its version, by what the server says of
// itself and nothing else. An unknown owner may still be vLLM behind a name of
// its own: its metrics say so.
func identify(ctx context.Context, client *httpstream.Client, owner string) (name, version string) {
	name, paths := anyServer, []string{"/version"}
	for _, s := range servers {
		if strings.EqualFold(owner, s.owner) {
			name, paths = s.name, s.versions
		}
	}
	for _, path := range paths {
		var answer struct {
			Version   string `json:"version"`
			BuildInfo string `json:"build_info"` // llama.cpp
		}
		if client.GetJSON(ctx, path, &answer) == nil {
			version = answer.Version + answer.BuildInfo
			break
		}
	}
	switch {
	case name == "Ollama" && version == "":
		return anyServer, "" // an owner of that name proves nothing alone
	case name == anyServer && version != "":
		if page, err := client.Get(ctx, "/metrics"); err == nil && bytes.Contains(page, []byte("\nvllm:")) {
			name = "vLLM"
		}
	}
	return name, version
}
