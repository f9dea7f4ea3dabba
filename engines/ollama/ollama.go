// Package ollama speaks to Ollama by its native endpoint, POST /api/generate,
// whose reply is a line of JSON an event (docs/api.md). Its OpenAI-compatible
// endpoint is package openai's.
//
// Prompts are text, sent raw: without the model's chat template. The number of
// output tokens can only be bounded, and only the reply's last line counts
// them.
package ollama

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"enginebench/engines"
	"enginebench/engines/capture"
	"enginebench/engines/httpstream"
)

// Options are the options of the dialect.
var Options = []httpstream.Option{
	{Name: "model", Help: "the model to measure, where the server has several"},
	{Name: "num_ctx", Help: "the context length to load the model with; default the server's"},
	httpstream.Proxy,
}

// Engine is a model behind Ollama.
type Engine struct {
	decoder
	cfg    *httpstream.Config
	model  string
	window int // 0: the server's default
}

var _ engines.Engine = (*Engine)(nil)

// New reads the spec of an ollama+http or ollama+https engine. It does not
// talk to the server.
func New(spec engines.Spec) (engines.Engine, error) {
	if err := httpstream.CheckOptions(spec, "an Ollama engine", Options); err != nil {
		return nil, err
	}
	e := &Engine{model: spec.Options.Get("model")}
	if v := spec.Options.Get("num_ctx"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n <= 0 {
			return nil, fmt.Errorf("open engine %s: num_ctx=%s: want a number of tokens", spec.Name, v)
		}
		e.window = n
	}
	cfg, err := httpstream.NewConfig(spec, strings.TrimPrefix(spec.URL.Scheme, "ollama+"), "/api/generate")
	if err != nil {
		return nil, fmt.Errorf("open engine %s: %w", spec.Name, err)
	}
	e.cfg = cfg
	return e, nil
}

// Dial implements [engines.Engine].
func (e *Engine) Dial(ctx context.Context) (engines.Slot, error) {
	slot, err := e.cfg.NewSlot(ctx)
	if err != nil {
		return nil, err
	}
	return slot, nil
}

// request is the body of POST /api/generate.
type request struct {
	Model    string  `json:"model"`
	Prompt   string  `json:"prompt"`
	Raw      bool    `json:"raw"`
	Stream   bool    `json:"stream"`
	Truncate bool    `json:"truncate"` // false: refuse a prompt that does not fit, where the version reads this
	Shift    bool    `json:"shift"`    // false: stop at the context's end instead of forgetting its beginning
	Options  options `json:"options"`
}

// options spell out all sampling, since a model's file may change defaults:
// greedy, no penalty.
type options struct {
	NumPredict       int     `json:"num_predict"`
	NumCtx           int     `json:"num_ctx,omitempty"`
	Temperature      float64 `json:"temperature"`
	TopK             int     `json:"top_k"`
	TopP             float64 `json:"top_p"`
	MinP             float64 `json:"min_p"`
	Seed             int     `json:"seed"`
	RepeatPenalty    float64 `json:"repeat_penalty"`
	PresencePenalty  float64 `json:"presence_penalty"`
	FrequencyPenalty float64 `json:"frequency_penalty"`
}

// Encode implements [engines.Engine].
func (e *Engine) Encode(r engines.Request) (engines.Message, error) {
	if r.Text == "" {
		return engines.Message{}, fmt.Errorf("encode request %s: the prompt has no text, and Ollama takes no token ids", r.ID)
	}
	body, err := json.Marshal(request{Model: e.model, Prompt: r.Text, Raw: true, Stream: true,
		Options: options{NumPredict: r.OutputTokens, NumCtx: e.window, TopK: 1, TopP: 1, RepeatPenalty: 1}})
	if err != nil {
		return engines.Message{}, fmt.Errorf("encode request %s: %w", r.ID, err)
	}
	return engines.Message{ID: r.ID.String(), Body: body}, nil
}

// Describe implements [engines.Engine]. Its request of one token also makes the
// server load the model.
func (e *Engine) Describe(ctx context.Context) (engines.Info, error) {
	info := engines.Info{Server: "Ollama", Protocol: "http/1.1 ndjson", Dialect: Dialect, Counts: countedEval, MaxModelLen: e.window,
		Warnings: []string{"Ollama takes no token ids: prompts go as text, which it splits into tokens its own way",
			"Ollama can't be made to go on after the end token: replies may be shorter than asked for",
			"Ollama counts tokens only at the end of a reply: tpot and itl are absent"}}
	if e.window == 0 {
		info.Warnings = append(info.Warnings, "the context length is the server's default, and longer prompts may be cut: give it with ?num_ctx=N")
	}
	client := e.cfg.NewClient()
	defer client.Close()
	if err := e.pickModel(ctx, client); err != nil {
		return info, err
	}
	info.Model = e.model
	var about struct {
		Version string `json:"version"`
	}
	if client.GetJSON(ctx, "/api/version", &about) == nil {
		info.Version = about.Version
	}
	exchange, err := e.cfg.Preflight(ctx, e)
	if err != nil {
		return info, fmt.Errorf("preflight: %w", err)
	}
	info.Exchanges = append(client.Exchanges, exchange)
	return info, nil
}

func (e *Engine) pickModel(ctx context.Context, client *httpstream.Client) error {
	var list struct {
		Models []struct {
			Name string `json:"name"`
		} `json:"models"`
	}
	if err := client.GetJSON(ctx, "/api/tags", &list); err != nil {
		return fmt.Errorf("ask Ollama for its models: %w", err)
	}
	var names []string
	for _, m := range list.Models {
		names = append(names, m.Name)
		if m.Name == e.model || m.Name == e.model+":latest" {
			return nil
		}
	}
	switch all := strings.Join(names, ", "); {
	case len(names) == 0:
		return engines.Errorf(engines.Rejected, "ask Ollama for its models: it has none; ollama pull one")
	case e.model != "":
		return engines.Errorf(engines.Rejected, "choose a model: %s is not there; there are: %s", e.model, all)
	case len(names) > 1:
		return engines.Errorf(engines.Rejected, "choose a model: the server has several; ask for one of them with ?model=NAME: %s", all)
	}
	e.model = names[0]
	return nil
}

// HasError implements [engines.ErrorScanner].
func (e *Engine) HasError(c *capture.Capture) bool { return httpstream.HasError(c) }
