// Package tgi speaks to Hugging Face's text-generation-inference by its native
// endpoint, POST /generate_stream, which gives the id of every token in an
// event of its own (router/src/server.rs and lib.rs). Its OpenAI-compatible
// endpoint is package openai's.
//
// Prompts are text, and the number of output tokens can only be bounded: the
// native interface has no way to go on after the end token.
package tgi

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"enginebench/engines"
	"enginebench/engines/capture"
	"enginebench/engines/counters"
	"enginebench/engines/httpstream"
)

// Options are the options of the dialect.
var Options = []httpstream.Option{httpstream.Proxy}

// Engine is a model behind text-generation-inference.
type Engine struct {
	decoder
	cfg *httpstream.Config
}

var (
	_ engines.Engine        = (*Engine)(nil)
	_ engines.CounterReader = (*Engine)(nil)
)

// New reads the spec of a tgi+http or tgi+https engine. It does not talk to
// the server.
func New(spec engines.Spec) (engines.Engine, error) {
	if err := httpstream.CheckOptions(spec, "a TGI engine", Options); err != nil {
		return nil, err
	}
	cfg, err := httpstream.NewConfig(spec, strings.TrimPrefix(spec.URL.Scheme, "tgi+"), "/generate_stream")
	if err != nil {
		return nil, fmt.Errorf("open engine %s: %w", spec.Name, err)
	}
	return &Engine{cfg: cfg}, nil
}

// Dial implements [engines.Engine].
func (e *Engine) Dial(ctx context.Context) (engines.Slot, error) {
	slot, err := e.cfg.NewSlot(ctx)
	if err != nil {
		return nil, err
	}
	return slot, nil
}

// request is the body of POST /generate_stream. Greedy decoding is do_sample
// false: the server refuses a temperature of 0 and a top_p of 1.
type request struct {
	Inputs     string     `json:"inputs"`
	Parameters parameters `json:"parameters"`
}

type parameters struct {
	MaxNewTokens      int     `json:"max_new_tokens"`
	DoSample          bool    `json:"do_sample"`
	RepetitionPenalty float64 `json:"repetition_penalty"`
	FrequencyPenalty  float64 `json:"frequency_penalty"`
	ReturnFullText    bool    `json:"return_full_text"`
	Details           bool    `json:"details"`
}

// Encode implements [engines.Engine].
func (e *Engine) Encode(r engines.Request) (engines.Message, error) {
	if r.Text == "" {
		return engines.Message{}, fmt.Errorf("encode request %s: the prompt has no text, and TGI takes no token ids", r.ID)
	}
	body, err := json.Marshal(request{Inputs: r.Text, Parameters: parameters{MaxNewTokens: r.OutputTokens, RepetitionPenalty: 1, Details: true}})
	if err != nil {
		return engines.Message{}, fmt.Errorf("encode request %s: %w", r.ID, err)
	}
	return engines.Message{ID: r.ID.String(), Body: body}, nil
}

// Describe implements [engines.Engine] with GET /info and a request of one
// token.
func (e *Engine) Describe(ctx context.Context) (engines.Info, error) {
	info := engines.Info{Server: "TGI", Protocol: "http/1.1 sse", Dialect: Dialect, Counts: countedIDs, PerEvent: true,
		Warnings: []string{"TGI's native interface takes no token ids: prompts go as text, which it splits into tokens its own way",
			"TGI can't be made to go on after the end token: replies may be shorter than asked for"}}
	client := e.cfg.NewClient()
	defer client.Close()
	var about struct {
		Model         string `json:"model_id"`
		Version       string `json:"version"`
		MaxTotal      int    `json:"max_total_tokens"`
		MaxConcurrent int    `json:"max_concurrent_requests"`
	}
	if err := client.GetJSON(ctx, "/info", &about); err != nil {
		return info, fmt.Errorf("ask TGI what it serves: %w", err)
	}
	if about.Model == "" {
		return info, engines.Errorf(engines.Protocol, "ask TGI what it serves: %s names no model; is it a TGI server?", e.cfg.URL("/info"))
	}
	info.Model, info.Version, info.MaxModelLen, info.MaxConcurrency = about.Model, about.Version, about.MaxTotal, about.MaxConcurrent
	exchange, err := e.cfg.Preflight(ctx, e)
	if err != nil {
		return info, fmt.Errorf("preflight: %w", err)
	}
	info.Exchanges = append(client.Exchanges, exchange)
	return info, nil
}

// Counters implements [engines.CounterReader].
func (e *Engine) Counters(ctx context.Context) (engines.Counters, error) {
	client := e.cfg.NewClient()
	defer client.Close()
	page, err := client.Get(ctx, "/metrics")
	switch {
	case engines.ClassOf(err) == engines.Rejected:
		return engines.Counters{}, nil
	case err != nil:
		return nil, fmt.Errorf("read counters: %w", err)
	}
	return counters.Parse(page)
}

// HasError implements [engines.ErrorScanner].
func (e *Engine) HasError(c *capture.Capture) bool { return httpstream.HasError(c) }
