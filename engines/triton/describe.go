package triton

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"enginebench/engines"
	"enginebench/engines/capture"
	"enginebench/engines/grpcstream"
	pb "enginebench/engines/triton/inference"
)

// Describe implements [engines.Engine]. It asks the server what it is and what
// the model takes, then sends one request of one token as a run would.
func (e *Engine) Describe(ctx context.Context) (engines.Info, error) {
	d := &describer{engine: e, info: engines.Info{Model: e.name, Protocol: "grpc"}}
	slot, err := e.cfg.Dial(ctx)
	if err != nil {
		return d.info, err
	}
	defer slot.Close()
	d.slot = slot
	if err := d.run(ctx); err != nil {
		return d.info, fmt.Errorf("describe model %s: %w", e.name, err)
	}
	return d.info, nil
}

type describer struct {
	engine *Engine
	slot   *grpcstream.Slot
	info   engines.Info
	config *pb.ModelConfig // nil: the server did not give it
}

func (d *describer) warn(format string, args ...any) {
	d.info.Warnings = append(d.info.Warnings, fmt.Sprintf(format, args...))
}

// ask makes a unary call and keeps the exchange.
func (d *describer) ask(ctx context.Context, method string, question, answer proto.Message) (codes.Code, error) {
	asked, err := proto.Marshal(question)
	if err != nil {
		return codes.Internal, fmt.Errorf("encode %s: %w", method, err)
	}
	body, code, err := d.slot.Call(ctx, method, asked)
	d.info.Exchanges = append(d.info.Exchanges, engines.Exchange{Method: method, Status: int(code), Body: body, Asked: asked})
	if err != nil {
		return code, err
	}
	if err := proto.Unmarshal(body, answer); err != nil {
		return code, engines.Errorf(engines.Protocol, "read the answer of %s: %w", method, err)
	}
	return code, nil
}

func (d *describer) run(ctx context.Context) error {
	if err := d.server(ctx); err != nil {
		return err
	}
	meta, err := d.model(ctx)
	if err != nil {
		return err
	}
	m, err := newModel(meta, d.config, d.engine.perf)
	if err != nil {
		return &engines.Error{Class: engines.Rejected, Err: err}
	}
	d.engine.model = m
	d.info.Dialect = m.dialect
	d.info.TakesTokens = m.takesTokens()
	d.info.ForcesOutput = m.forces()
	d.info.Counts = m.counts()
	d.info.PerEvent = d.info.Counts != ""
	d.info.MaxModelLen = d.parameterInt("max_seq_len", "max_model_len")
	d.info.VocabSize = d.parameterInt("vocab_size")
	d.label()
	if err := d.limits(ctx); err != nil {
		return err
	}
	if !d.info.ForcesOutput {
		d.warn("the number of output tokens can't be forced: model %s has no end_id, min_tokens or min_length input; replies end where the model ends them", meta.Name)
	}
	if d.info.Counts == "" {
		d.warn("model %s gives no token counts: token metrics are absent", meta.Name)
	}
	if err := d.preflight(ctx); err != nil {
		return err
	}
	if err := d.checkMetrics(ctx); err != nil {
		return err
	}
	if m.asks("kv_cache_reused_blocks") {
		d.engine.blockTokens = d.engine.blockSize(ctx)
	}
	return nil
}

// server asks whether the server is there and ready, and what it is.
func (d *describer) server(ctx context.Context) error {
	var ready pb.ServerReadyResponse
	code, err := d.ask(ctx, pb.GRPCInferenceService_ServerReady_FullMethodName, &pb.ServerReadyRequest{}, &ready)
	switch {
	case code == codes.Unimplemented:
		return engines.Errorf(engines.Protocol, "the server at %s speaks gRPC but is no Triton: %w", d.engine.cfg.Address, err)
	case err != nil:
		return err
	case !ready.Ready:
		return engines.Errorf(engines.EngineError, "the server at %s says that it is not ready: wait until its models are loaded", d.engine.cfg.Address)
	}
	var server pb.ServerMetadataResponse
	if _, err := d.ask(ctx, pb.GRPCInferenceService_ServerMetadata_FullMethodName, &pb.ServerMetadataRequest{}, &server); err != nil {
		return err
	}
	d.info.Version = server.Version
	d.info.Server = server.Name
	if server.Name == "triton" || server.Name == "" { // the name it has unless it is started with another
		d.info.Server = strings.TrimSuffix("Triton "+server.Version, ".0")
	}
	return nil
}

// model asks for the model's contract.
func (d *describer) model(ctx context.Context) (*pb.ModelMetadataResponse, error) {
	name := d.engine.name
	var ready pb.ModelReadyResponse
	code, err := d.ask(ctx, pb.GRPCInferenceService_ModelReady_FullMethodName, &pb.ModelReadyRequest{Name: name}, &ready)
	switch {
	case err == nil && !ready.Ready, code == codes.NotFound, code == codes.InvalidArgument, code == codes.Unavailable:
		return nil, d.noModel(ctx, err)
	case err != nil:
		return nil, err
	}
	var meta pb.ModelMetadataResponse
	if _, err := d.ask(ctx, pb.GRPCInferenceService_ModelMetadata_FullMethodName, &pb.ModelMetadataRequest{Name: name}, &meta); err != nil {
		return nil, err
	}
	var config pb.ModelConfigResponse
	if _, err := d.ask(ctx, pb.GRPCInferenceService_ModelConfig_FullMethodName, &pb.ModelConfigRequest{Name: name}, &config); err != nil {
		d.warn("the server does not tell the model's configuration (%v): which inputs it requires and how many requests it runs at once is not known", err)
	} else {
		d.config = config.Config
	}
	return &meta, nil
}

// noModel says which models are there instead.
func (d *describer) noModel(ctx context.Context, why error) error {
	var index pb.RepositoryIndexResponse
	if _, err := d.ask(ctx, pb.GRPCInferenceService_RepositoryIndex_FullMethodName, &pb.RepositoryIndexRequest{}, &index); err != nil {
		return engines.Errorf(engines.Rejected, "the server has no ready model of that name (%v); name one with ?model=NAME", why)
	}
	var there []string
	for _, m := range index.Models {
		name := m.Name
		if m.State != "READY" {
			name = strings.TrimSpace(name + " (" + strings.TrimSpace(m.State+" "+oneLine(m.Reason)) + ")")
		}
		there = append(there, name)
	}
	if len(there) == 0 {
		return engines.Errorf(engines.Rejected, "the server has no models at all")
	}
	return engines.Errorf(engines.Rejected, "the server has no ready model of that name; choose one with ?model=NAME of: %s", strings.Join(there, ", "))
}

func (d *describer) parameter(names ...string) string {
	for _, name := range names {
		if p := d.config.GetParameters()[name]; p.GetStringValue() != "" {
			return p.StringValue
		}
	}
	return ""
}

// parameterInt is 0 where none of the parameters is there as a number.
func (d *describer) parameterInt(names ...string) int {
	n, err := strconv.Atoi(d.parameter(names...))
	if err != nil {
		return 0
	}
	return n
}

// label adds what the model's configuration says of itself, for people.
func (d *describer) label() {
	if label := d.parameter("label", "description"); label != "" && !strings.Contains(d.info.Server, label) {
		d.info.Server += ", " + label
	}
}

// limits finds what caps the requests that run at once. A BLS model runs a
// request to its end in one instance; the instances of an ensemble's steps
// before and behind the model each work on one request at a time.
func (d *describer) limits(ctx context.Context) error {
	switch d.engine.model.dialect {
	case BLS:
		d.limit(instances(d.config), "model %s runs each request to its end in one of its %d instances, so that no more run at once", d.config.GetName())
	case Ensemble:
		for _, step := range d.config.GetEnsembleScheduling().GetStep() {
			var config pb.ModelConfigResponse
			if _, err := d.ask(ctx, pb.GRPCInferenceService_ModelConfig_FullMethodName, &pb.ModelConfigRequest{Name: step.ModelName}, &config); err != nil {
				return err
			}
			if config.Config.GetModelTransactionPolicy().GetDecoupled() {
				continue // it goes on with the next request while it streams
			}
			d.limit(instances(config.Config), "step %s of the ensemble has %d instances, each of which works on one request at a time", step.ModelName)
		}
	}
	if n := int(d.config.GetMaxBatchSize()); n > 0 && (d.info.MaxConcurrency == 0 || n < d.info.MaxConcurrency) {
		d.info.MaxConcurrency = n
	}
	return nil
}

func (d *describer) limit(n int, why, model string) {
	if n == 0 {
		return
	}
	d.warn(why, model, n)
	if d.info.MaxConcurrency == 0 || n < d.info.MaxConcurrency {
		d.info.MaxConcurrency = n
	}
}

// instances is how many instances a model has; 0 where that depends on the
// number of GPUs.
func instances(config *pb.ModelConfig) int {
	n := 0
	for _, g := range config.GetInstanceGroup() {
		switch {
		case len(g.Gpus) > 0:
			n += int(g.Count) * len(g.Gpus)
		case g.Kind == pb.ModelInstanceGroup_KIND_CPU, g.Kind == pb.ModelInstanceGroup_KIND_MODEL:
			n += int(g.Count)
		default:
			return 0
		}
	}
	return n
}

// The prompt of a preflight: ids that every vocabulary has, and words.
var (
	preflightTokens = []int32{11, 12, 13, 14, 15, 16, 17, 18}
	preflightText   = "Count from one to ten: one, two, three,"
)

// preflight sends one request for one token through a slot of its own kind.
func (d *describer) preflight(ctx context.Context) error {
	id := engines.RequestID{Invocation: strconv.FormatUint(rand.Uint64(), 36), Cell: engines.PreflightCell}
	m, err := d.engine.Encode(engines.Request{ID: id, Tokens: preflightTokens, Text: preflightText, OutputTokens: 1})
	if err != nil {
		return err
	}
	c := capture.New(1, 64<<10, 64)[0]
	if err := d.slot.Send(ctx, m, c); err != nil {
		return fmt.Errorf("preflight of one token: %w", err)
	}
	d.info.Preflight = append(d.info.Preflight, c)
	reply := d.engine.Decode(c)
	if reply.Err != nil && (reply.Err.Class != engines.Empty || d.info.ForcesOutput) {
		return fmt.Errorf("preflight of one token: %w", reply.Err)
	}
	if reply.Counted != d.info.Counts && len(reply.Events) > 0 {
		d.warn("token counts were to come as %s and came as %q", d.info.Counts, reply.Counted)
		d.info.Counts, d.info.PerEvent = reply.Counted, reply.Counted != ""
	}
	if reply.Counted != "" && reply.Tokens > 1 {
		d.warn("one token was asked for and %d came: the model does not heed the limit", reply.Tokens)
	}
	return nil
}
