// Package openai speaks to servers with OpenAI's HTTP interface: vLLM first of
// all, and SGLang, llama.cpp, LMDeploy, trtllm-serve, Triton's OpenAI
// frontend, Ollama's /v1 and hosted ones.
//
// Requests go to /v1/completions with the prompt as token ids, or, with
// api=chat, to /v1/chat/completions as text. Everything beyond the interface's
// core is optional: [Engine.Describe] finds out with requests of one token
// which fields the server takes, leaves out the others and says so.
package openai

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"enginebench/engines"
	"enginebench/engines/capture"
	"enginebench/engines/counters"
	"enginebench/engines/httpstream"
)

// Options are the options of the dialect, as a URL's query gives them, each
// with a line of help.
var Options = []httpstream.Option{
	{Name: "model", Help: "the model to measure, where the server has several"},
	{Name: "api", Help: "completions (default) or chat"},
	{Name: "prompt", Help: "tokens, text, or auto (default): token ids where the server takes them"},
	{Name: "force", Help: "yes, no, or auto (default): whether the server can be made to give exactly as many tokens as asked for"},
	{Name: "extra", Help: "a JSON object of more body fields"},
	httpstream.Proxy,
}

// Engine is a model behind an OpenAI-compatible server.
type Engine struct {
	decoder
	cfg    *httpstream.Config
	model  string // asked for; then the one that is measured
	chat   bool
	prompt string // "tokens", "text" or "auto"
	force  string // "yes", "no" or "auto"
	extra  map[string]json.RawMessage
	shape  shape // of a request's body, as Describe found it out
}

var (
	_ engines.Engine        = (*Engine)(nil)
	_ engines.CounterReader = (*Engine)(nil)
)

// New reads the spec of an http or https engine. It does not talk to the
// server. The error names an option that is unknown or has an unknown value.
func New(spec engines.Spec) (engines.Engine, error) {
	if err := httpstream.CheckOptions(spec, "an OpenAI-compatible engine", Options); err != nil {
		return nil, err
	}
	e := &Engine{model: spec.Options.Get("model")}
	api := "completions"
	for _, o := range []struct {
		name  string
		to    *string
		known []string
	}{
		{"api", &api, []string{"completions", "chat"}},
		{"prompt", &e.prompt, []string{"auto", "tokens", "text"}},
		{"force", &e.force, []string{"auto", "yes", "no"}},
	} {
		*o.to = o.known[0]
		if v := spec.Options.Get(o.name); v != "" {
			*o.to = v
		}
		if !slices.Contains(o.known, *o.to) {
			return nil, fmt.Errorf("open engine %s: unknown %s=%s; known are %s", spec.Name, o.name, *o.to, strings.Join(o.known, ", "))
		}
	}
	if e.chat = api == "chat"; e.chat {
		if e.prompt == "tokens" {
			return nil, fmt.Errorf("open engine %s: api=chat takes no prompt=tokens: chat messages are text", spec.Name)
		}
		e.prompt = "text"
	}
	if err := e.readExtra(spec.Options.Get("extra")); err != nil {
		return nil, fmt.Errorf("open engine %s: %w", spec.Name, err)
	}
	spec.URL = withoutV1(spec.URL)
	path := "/v1/completions"
	if e.chat {
		path = "/v1/chat/completions"
	}
	cfg, err := httpstream.NewConfig(spec, spec.URL.Scheme, path)
	if err != nil {
		return nil, fmt.Errorf("open engine %s: %w", spec.Name, err)
	}
	e.cfg = cfg
	e.shape = shape{chat: e.chat, text: e.prompt == "text", model: e.model, extra: e.extra}
	if e.force == "no" {
		e.shape.drop = forcing
	}
	return e, nil
}

// withoutV1 is a base URL that may have been given with the interface's own
// /v1 at its end.
func withoutV1(u *url.URL) *url.URL {
	base := *u
	base.Path = strings.TrimSuffix(strings.TrimRight(base.Path, "/"), "/v1")
	base.RawPath = ""
	return &base
}

func (e *Engine) readExtra(raw string) error {
	if raw == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(raw), &e.extra); err != nil {
		return fmt.Errorf("read option extra=%s: want a JSON object of body fields: %w", raw, err)
	}
	for name := range e.extra {
		if slices.Contains(owned, name) {
			return fmt.Errorf("read option extra: %s is set by the request itself", name)
		}
	}
	return nil
}

// Dial implements [engines.Engine].
func (e *Engine) Dial(ctx context.Context) (engines.Slot, error) {
	slot, err := e.cfg.NewSlot(ctx)
	if err != nil {
		return nil, err
	}
	return slot, nil
}

// Encode implements [engines.Engine].
func (e *Engine) Encode(r engines.Request) (engines.Message, error) {
	body, err := e.shape.encode(r)
	if err != nil {
		return engines.Message{}, fmt.Errorf("encode request %s: %w", r.ID, err)
	}
	return engines.Message{ID: r.ID.String(), Body: body}, nil
}

// Counters implements [engines.CounterReader] with the server's Prometheus
// page. A server without one has no counters, which is no error.
func (e *Engine) Counters(ctx context.Context) (engines.Counters, error) {
	client := e.cfg.NewClient()
	defer client.Close()
	page, err := client.Get(ctx, "/metrics")
	switch class := engines.ClassOf(err); {
	case class == engines.Rejected:
		return engines.Counters{}, nil
	case err != nil:
		return nil, fmt.Errorf("read counters: %w", err)
	}
	found, err := counters.Parse(page)
	if err != nil {
		return engines.Counters{}, nil // trtllm-serve has JSON of its own there
	}
	return found, nil
}

// HasError implements [engines.ErrorScanner].
func (e *Engine) HasError(c *capture.Capture) bool { return httpstream.HasError(c) }
