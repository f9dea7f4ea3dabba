// Package triton speaks to NVIDIA Triton over gRPC, one ModelStreamInfer
// stream a request, in the five dialects that its language models have: the
// bare tensorrt_llm model (token ids in and out), an ensemble or a BLS model
// around it (text), the llmapi model (text, TensorRT-LLM's PyTorch backend),
// and Triton's vLLM backend.
//
// Requests are built from what the server says of the model, not from
// constants: [Engine.Describe] reads its metadata and configuration first.
package triton

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"

	"enginebench/engines"
	"enginebench/engines/capture"
	"enginebench/engines/grpcstream"
	"enginebench/engines/httpstream"
	pb "enginebench/engines/triton/inference"
)

// The dialects, by the names that recordings keep.
const (
	TensorRTLLM = "triton.tensorrt_llm"
	Ensemble    = "triton.ensemble"
	BLS         = "triton.bls"
	LLMAPI      = "triton.llmapi"
	VLLM        = "triton.vllm"
)

// Dialects are all of them.
var Dialects = []string{TensorRTLLM, Ensemble, BLS, LLMAPI, VLLM}

// Options are the options of an engine's URL, each with a line of help.
var Options = []struct{ Name, Help string }{
	{"model", "the model to measure; default tensorrt_llm"},
	{"perf", "on (default) or off: ask for the engine's own times and reused cache blocks, where the model gives them"},
	{"metrics", "the server's metrics page, default http://HOST:PORT/metrics at the port above the gRPC one; off: none"},
}

// defaultModel is the name that TensorRT-LLM's model repository gives.
const defaultModel = "tensorrt_llm"

// Engine is a model behind Triton.
type Engine struct {
	decoder
	cfg         *grpcstream.Config
	name        string // of the model
	perf        bool
	metrics     *url.URL      // nil: none
	scrapeLimit time.Duration // of one reading of metrics
	model       *model        // as Describe found it
}

var (
	_ engines.Engine        = (*Engine)(nil)
	_ engines.CounterReader = (*Engine)(nil)
)

// New reads the spec of a grpc or grpcs engine. It does not talk to the
// server. The error names an option that is unknown or has an unknown value.
func New(spec engines.Spec) (engines.Engine, error) {
	e, err := newEngine(spec)
	if err != nil {
		return nil, fmt.Errorf("open engine %s: %w", spec.Name, err)
	}
	return e, nil
}

func newEngine(spec engines.Spec) (*Engine, error) {
	for name := range spec.Options {
		if !slices.ContainsFunc(Options, func(o struct{ Name, Help string }) bool { return o.Name == name }) {
			return nil, fmt.Errorf("unknown option %q; a Triton engine takes model, perf, metrics", name)
		}
	}
	if spec.URL.Port() == "" {
		return nil, fmt.Errorf("url %s needs a port; Triton's default for gRPC is 8001", spec.URL)
	}
	if strings.Trim(spec.URL.Path, "/") != "" {
		return nil, fmt.Errorf("url %s: a gRPC address has no path; choose a model with ?model=NAME", spec.URL)
	}
	e := &Engine{
		name: spec.Options.Get("model"), scrapeLimit: scrapeLimit,
		cfg: &grpcstream.Config{Address: spec.URL.Host, Method: pb.GRPCInferenceService_ModelStreamInfer_FullMethodName,
			Metadata: metadataOf(spec)},
	}
	if e.name == "" {
		e.name = defaultModel
	}
	switch perf := spec.Options.Get("perf"); perf {
	case "", "on":
		e.perf = true
	case "off":
	default:
		return nil, fmt.Errorf("unknown perf=%s; known are on, off", perf)
	}
	var err error
	if e.metrics, err = metricsURL(spec); err != nil {
		return nil, err
	}
	switch spec.URL.Scheme {
	case "grpc":
	case "grpcs":
		roots, err := httpstream.Roots(spec.CAFile)
		if err != nil {
			return nil, err
		}
		e.cfg.TLS = &tls.Config{RootCAs: roots, ServerName: spec.URL.Hostname()}
	default:
		return nil, fmt.Errorf("unknown scheme %s; Triton is grpc:// or grpcs://", spec.URL.Scheme)
	}
	return e, nil
}

func metadataOf(spec engines.Spec) metadata.MD {
	md := metadata.MD{}
	for name, values := range spec.Header {
		md.Append(name, values...)
	}
	if spec.APIKey != "" {
		md.Set("authorization", "Bearer "+spec.APIKey)
	}
	return md
}

// metricsURL is where the option says, or where the server's Prometheus page
// is by default: Triton's ports are 8000 (HTTP), 8001 (gRPC) and 8002.
func metricsURL(spec engines.Spec) (*url.URL, error) {
	switch raw := spec.Options.Get("metrics"); raw {
	case "":
		port, err := strconv.Atoi(spec.URL.Port())
		if err != nil {
			return nil, fmt.Errorf("url %s: port: %w", spec.URL, err)
		}
		return &url.URL{Scheme: "http", Host: net.JoinHostPort(spec.URL.Hostname(), strconv.Itoa(port+1)), Path: "/metrics"}, nil
	case "off":
		return nil, nil
	default:
		u, err := url.Parse(raw)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("option metrics=%s: want a URL, for example http://localhost:8002/metrics, or off", raw)
		}
		return u, nil
	}
}

// Dial implements [engines.Engine].
func (e *Engine) Dial(ctx context.Context) (engines.Slot, error) {
	slot, err := e.cfg.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return slot, nil
}

// Encode implements [engines.Engine].
func (e *Engine) Encode(r engines.Request) (engines.Message, error) {
	if e.model == nil {
		return engines.Message{}, fmt.Errorf("encode request %s: the engine was not described yet", r.ID)
	}
	if e.model.takesTokens() && len(r.Tokens) == 0 {
		return engines.Message{}, fmt.Errorf("encode request %s: it has no token ids, and model %s takes nothing else", r.ID, e.model.name)
	}
	body, err := e.model.encode(r)
	if err != nil {
		return engines.Message{}, fmt.Errorf("encode request %s for model %s: %w", r.ID, e.model.name, err)
	}
	return engines.Message{ID: r.ID.String(), Body: body}, nil
}

// HasError implements [engines.ErrorScanner]: error_message is field 1 of a
// response and stands first in it, and is left out where it is empty.
func (e *Engine) HasError(c *capture.Capture) bool {
	const errorMessage = 1<<3 | 2 // field 1, length-delimited
	for i := range c.Chunks {
		if chunk := c.Chunk(i); len(chunk) > 1 && chunk[0] == errorMessage && chunk[1] != 0 {
			return true
		}
	}
	return false
}
