package triton

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"enginebench/engines"
	"enginebench/engines/capture"
	pb "enginebench/engines/triton/inference"
)

func sprint(v any) string { return fmt.Sprint(v) }

// fakeTriton is a Triton with models of which the test says what they are and
// how they answer.
type fakeTriton struct {
	pb.UnimplementedGRPCInferenceServiceServer
	name     string
	notReady bool

	mu       sync.Mutex // what the calls and the test both touch
	meta     map[string]*pb.ModelMetadataResponse
	config   map[string]*pb.ModelConfig
	answer   func(r *pb.ModelInferRequest, stream pb.GRPCInferenceService_ModelStreamInferServer) error
	requests []*pb.ModelInferRequest
	headers  metadata.MD
	served   uint64
}

func (f *fakeTriton) ServerReady(context.Context, *pb.ServerReadyRequest) (*pb.ServerReadyResponse, error) {
	return &pb.ServerReadyResponse{Ready: !f.notReady}, nil
}

func (f *fakeTriton) ServerMetadata(context.Context, *pb.ServerMetadataRequest) (*pb.ServerMetadataResponse, error) {
	return &pb.ServerMetadataResponse{Name: f.name, Version: "2.51.0"}, nil
}

func (f *fakeTriton) ModelReady(_ context.Context, r *pb.ModelReadyRequest) (*pb.ModelReadyResponse, error) {
	return &pb.ModelReadyResponse{Ready: f.meta[r.Name] != nil}, nil
}

func (f *fakeTriton) ModelMetadata(_ context.Context, r *pb.ModelMetadataRequest) (*pb.ModelMetadataResponse, error) {
	return f.meta[r.Name], nil
}

func (f *fakeTriton) ModelConfig(_ context.Context, r *pb.ModelConfigRequest) (*pb.ModelConfigResponse, error) {
	if f.config[r.Name] == nil {
		return nil, status.Error(codes.PermissionDenied, "not for you")
	}
	return &pb.ModelConfigResponse{Config: f.config[r.Name]}, nil
}

func (f *fakeTriton) ModelStatistics(context.Context, *pb.ModelStatisticsRequest) (*pb.ModelStatisticsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &pb.ModelStatisticsResponse{ModelStats: []*pb.ModelStatistics{{InferenceStats: &pb.InferStatistics{Success: &pb.StatisticDuration{Count: f.served}}}}}, nil
}

func (f *fakeTriton) RepositoryIndex(context.Context, *pb.RepositoryIndexRequest) (*pb.RepositoryIndexResponse, error) {
	index := &pb.RepositoryIndexResponse{Models: []*pb.RepositoryIndexResponse_ModelIndex{{Name: "broken", State: "UNAVAILABLE", Reason: "no GPU"}}}
	for name := range f.meta {
		index.Models = append(index.Models, &pb.RepositoryIndexResponse_ModelIndex{Name: name, State: "READY"})
	}
	return index, nil
}

func (f *fakeTriton) ModelStreamInfer(stream pb.GRPCInferenceService_ModelStreamInferServer) error {
	r, err := stream.Recv()
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.headers, _ = metadata.FromIncomingContext(stream.Context())
	f.requests = append(f.requests, r)
	f.served++
	answer := f.answer
	f.mu.Unlock()
	return answer(r, stream)
}

// answers changes how requests are answered from now on.
func (f *fakeTriton) answers(answer func(*pb.ModelInferRequest, pb.GRPCInferenceService_ModelStreamInferServer) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

// say answers with responses.
func say(responses ...*pb.ModelStreamInferResponse) func(*pb.ModelInferRequest, pb.GRPCInferenceService_ModelStreamInferServer) error {
	return func(_ *pb.ModelInferRequest, stream pb.GRPCInferenceService_ModelStreamInferServer) error {
		for _, m := range responses {
			if err := stream.Send(m); err != nil {
				return err
			}
		}
		return nil
	}
}

func (f *fakeTriton) add(name, platform string, batch int32, lines ...string) *pb.ModelConfig {
	if f.meta == nil {
		f.meta, f.config = map[string]*pb.ModelMetadataResponse{}, map[string]*pb.ModelConfig{}
	}
	f.meta[name], f.config[name] = contract(name, platform, batch, lines...)
	return f.config[name]
}

// bareTriton has the bare model, whose every reply is one token.
func bareTriton() *fakeTriton {
	f := &fakeTriton{name: "triton", answer: say(last(ids(5)))}
	f.add(defaultModel, "", 128, bareLines...)
	return f
}

func (f *fakeTriton) serve(t *testing.T) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	pb.RegisterGRPCInferenceServiceServer(server, f)
	go server.Serve(l)
	t.Cleanup(server.Stop)
	return l.Addr().String()
}

func open(t *testing.T, address, query string) *Engine {
	spec, err := engines.ParseSpec("triton=grpc://" + address + "?" + query)
	require.NoError(t, err)
	spec.APIKey = "secret"
	spec.Header = http.Header{"X-Team": {"bench"}}
	e, err := New(spec)
	require.NoError(t, err)
	return e.(*Engine)
}

func TestDescribeSaysWhatIsThere(t *testing.T) {
	f := bareTriton()
	f.config[defaultModel].Parameters = map[string]*pb.ModelParameter{
		"label": {StringValue: "a stand-in"}, "max_seq_len": {StringValue: "4096"}, "vocab_size": {StringValue: "128256"},
	}
	e := open(t, f.serve(t), "metrics=off")
	info, err := e.Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, "2.51.0", info.Version)
	require.Equal(t, "Triton 2.51, a stand-in", info.Server)
	require.Equal(t, "tensorrt_llm", info.Model)
	require.Equal(t, "grpc", info.Protocol)
	require.Equal(t, TensorRTLLM, info.Dialect)
	require.Equal(t, []int{4096, 128256, 128}, []int{info.MaxModelLen, info.VocabSize, info.MaxConcurrency})
	require.True(t, info.TakesTokens && info.ForcesOutput && info.PerEvent)
	require.False(t, info.TakesSalt)
	require.Equal(t, "token ids", info.Counts)
	require.Empty(t, info.Warnings)

	require.Len(t, info.Preflight, 1)
	require.Equal(t, 1, e.Decode(info.Preflight[0]).Tokens)
	f.mu.Lock()
	defer f.mu.Unlock()
	id, err := engines.ParseRequestID(f.requests[0].Id)
	require.NoError(t, err)
	require.Equal(t, engines.PreflightCell, id.Cell)
	require.Equal(t, []string{"Bearer secret"}, f.headers["authorization"])
	require.Equal(t, []string{"bench"}, f.headers["x-team"])

	var methods []string
	for _, x := range info.Exchanges {
		_, method, _ := strings.Cut(strings.TrimPrefix(x.Method, "/"), "/")
		methods = append(methods, method)
		require.NotContains(t, string(x.Asked)+string(x.Body), "secret")
	}
	require.Equal(t, []string{"ServerReady", "ServerMetadata", "ModelReady", "ModelMetadata", "ModelConfig"}, methods)
	var meta pb.ModelMetadataResponse
	require.NoError(t, proto.Unmarshal(info.Exchanges[3].Body, &meta))
	require.True(t, proto.Equal(f.meta[defaultModel], &meta))
}

func TestDescribeCapsConcurrency(t *testing.T) {
	cpu := func(n int32) []*pb.ModelInstanceGroup {
		return []*pb.ModelInstanceGroup{{Count: n, Kind: pb.ModelInstanceGroup_KIND_CPU}}
	}
	f := &fakeTriton{name: "triton", answer: say(last(textOut("a"), count(1)))}
	f.add("bls", "python", 128, textLines...).InstanceGroup = cpu(4)
	f.add("ensemble", "ensemble", 128, textLines...).EnsembleScheduling = &pb.ModelEnsembling{
		Step: []*pb.ModelEnsembling_Step{{ModelName: "preprocessing"}, {ModelName: "tensorrt_llm"}, {ModelName: "postprocessing"}}}
	f.config["preprocessing"] = &pb.ModelConfig{InstanceGroup: cpu(3)}
	f.config["tensorrt_llm"] = &pb.ModelConfig{InstanceGroup: cpu(1), ModelTransactionPolicy: &pb.ModelTransactionPolicy{Decoupled: true}}
	f.config["postprocessing"] = &pb.ModelConfig{InstanceGroup: cpu(2)}
	address := f.serve(t)
	for name, want := range map[string]struct {
		most     int
		warnings []string
	}{
		"bls":      {4, []string{"model bls runs each request to its end in one of its 4 instances, so that no more run at once"}},
		"ensemble": {2, []string{"step preprocessing of the ensemble has 3 instances, each of which works on one request at a time", "step postprocessing of the ensemble has 2 instances, each of which works on one request at a time"}},
	} {
		t.Run(name, func(t *testing.T) {
			info, err := open(t, address, "metrics=off&model="+name).Describe(t.Context())
			require.NoError(t, err)
			require.Equal(t, want.most, info.MaxConcurrency)
			require.Equal(t, want.warnings, info.Warnings)
		})
	}
}

func TestDescribeWarnsOfWhatAModelCantDo(t *testing.T) {
	f := &fakeTriton{name: "my server", answer: say(more(textOut("a")), more(textOut("a b")), last(textOut("a b c")))}
	f.add(defaultModel, "python", 0, llmapiLines...)
	f.config = nil // refused
	info, err := open(t, f.serve(t), "metrics=off").Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, "my server", info.Server)
	require.False(t, info.ForcesOutput || info.PerEvent || info.TakesTokens)
	require.Len(t, info.Warnings, 3)
	require.Contains(t, info.Warnings[0], "not for you")
	require.Contains(t, info.Warnings[1], "can't be forced")
	require.Contains(t, info.Warnings[2], "no token counts")
}

func TestDescribeFailsInOneLineThatSaysWhatToDo(t *testing.T) {
	unknown, notReady, empty := bareTriton(), bareTriton(), &fakeTriton{name: "triton"}
	notReady.notReady = true
	odd := &fakeTriton{name: "triton"}
	odd.add(defaultModel, "", 8, append([]string{"lora_task_id UINT64 -1,1 required"}, bareLines...)...)
	tooLong, silent, none := bareTriton(), bareTriton(), bareTriton()
	tooLong.answer = say(failed("prompt length 8 exceeds the maximum of 4"))
	silent.answer = say(more(ids(5)))
	none.answer = say(last())
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed.Close()
	stranger := grpc.NewServer()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go stranger.Serve(l)
	t.Cleanup(stranger.Stop)

	for name, c := range map[string]struct {
		address, query string
		class          engines.Class
		text           string
	}{
		"unknown model":     {unknown.serve(t), "model=nope", engines.Rejected, "choose one with ?model=NAME of: broken (UNAVAILABLE no GPU), tensorrt_llm"},
		"no default model":  {empty.serve(t), "", engines.Rejected, "?model=NAME of: broken"},
		"not ready":         {notReady.serve(t), "", engines.EngineError, "not ready"},
		"required input":    {odd.serve(t), "", engines.Rejected, "required input lora_task_id"},
		"preflight refused": {tooLong.serve(t), "", engines.Rejected, "preflight of one token: rejected: the server says: prompt length"},
		"preflight cut off": {silent.serve(t), "", engines.Incomplete, "without a final response"},
		"preflight empty":   {none.serve(t), "", engines.Empty, "no token"},
		"HTTP/1 port":       {plain.Listener.Addr().String(), "", engines.Dial, "looks like an HTTP/1 port"},
		"nobody there":      {closed.Addr().String(), "", engines.Dial, "connection refused"},
		"no Triton":         {l.Addr().String(), "", engines.Protocol, "speaks gRPC but is no Triton"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, c.address, c.query+"&metrics=off").Describe(t.Context())
			require.Equal(t, c.class, engines.ClassOf(err), "%v", err)
			require.ErrorContains(t, err, c.text)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestNewRefusesWhatItDoesNotKnow(t *testing.T) {
	for url, text := range map[string]string{
		"triton=grpc://h":                         "needs a port",
		"triton=grpc://h:8001/v1":                 "no path",
		"triton=grpc://h:8001?modle=x":            `unknown option "modle"`,
		"triton=grpc://h:8001?perf=maybe":         "unknown perf=maybe",
		"triton=grpc://h:8001?metrics=there":      "want a URL",
		"triton=http://h:8001":                    "unknown scheme http",
		"triton=grpcs://h:8001?metrics=ftp://h/m": "want a URL",
	} {
		spec, err := engines.ParseSpec(url)
		require.NoError(t, err)
		_, err = New(spec)
		require.ErrorContains(t, err, "open engine triton: ", url)
		require.ErrorContains(t, err, text, url)
	}
}

func TestEncodeNeedsADescribedModelAndAPrompt(t *testing.T) {
	e := open(t, bareTriton().serve(t), "metrics=off")
	_, err := e.Encode(testRequest)
	require.ErrorContains(t, err, "not described")
	_, err = e.Describe(t.Context())
	require.NoError(t, err)
	_, err = e.Encode(engines.Request{Text: "x", OutputTokens: 1})
	require.ErrorContains(t, err, "no token ids")
	m, err := e.Encode(testRequest)
	require.NoError(t, err)
	require.Equal(t, "run/concurrency=2/5", m.ID)
}

// TestRepliesOverTheWire runs whole exchanges through a slot: what a server
// does, and the class and the number of tokens that come out.
func TestRepliesOverTheWire(t *testing.T) {
	type stream = pb.GRPCInferenceService_ModelStreamInferServer
	for name, c := range map[string]struct {
		answer func(*pb.ModelInferRequest, stream) error
		class  engines.Class
		tokens int
	}{
		"good":               {say(more(ids(1)), more(ids(2)), last(ids(3))), "", 3},
		"empty final":        {say(more(ids(1)), last()), "", 1},
		"error after tokens": {say(more(ids(1)), more(ids(2)), failed("CUDA error")), engines.EngineError, 2},
		"error at once":      {say(refused("Request for unknown model: 'x' is not found")), engines.Rejected, 0},
		"no final":           {say(more(ids(1)), more(ids(2))), engines.Incomplete, 2},
		"no response":        {say(), engines.Incomplete, 0},
		"status after tokens": {func(_ *pb.ModelInferRequest, s stream) error {
			return errors.Join(s.Send(more(ids(1))), status.Error(codes.Internal, "x"))
		}, engines.EngineError, 1},
		"unavailable after tokens": {func(_ *pb.ModelInferRequest, s stream) error {
			return errors.Join(s.Send(more(ids(1))), status.Error(codes.Unavailable, "x"))
		}, engines.Reset, 1},
		"exhausted":   {func(*pb.ModelInferRequest, stream) error { return status.Error(codes.ResourceExhausted, "x") }, engines.Throttled, 0},
		"zero tokens": {say(more(), last()), engines.Empty, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := bareTriton()
			e := open(t, f.serve(t), "metrics=off")
			_, err := e.Describe(t.Context())
			require.NoError(t, err)
			f.answers(c.answer)
			r, _ := send(t, t.Context(), e)
			require.Equal(t, c.tokens, r.Tokens)
			if c.class == "" {
				require.Nil(t, r.Err)
			} else {
				require.NotNil(t, r.Err)
				require.Equal(t, c.class, r.Err.Class, "%v", r.Err)
			}
		})
	}
}

func TestAStalledReplyKeepsWhatCame(t *testing.T) {
	f := bareTriton()
	e := open(t, f.serve(t), "metrics=off")
	_, err := e.Describe(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancelCause(t.Context())
	f.answers(func(_ *pb.ModelInferRequest, s pb.GRPCInferenceService_ModelStreamInferServer) error {
		if err := s.Send(more(ids(1))); err != nil {
			return err
		}
		<-s.Context().Done()
		return s.Context().Err()
	})
	into := capture.New(1, 1<<12, 16)[0]
	go func() {
		for into.Progress() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel(engines.Errorf(engines.IdleTimeout, "no event for 30s"))
	}()
	r, _ := sendInto(t, ctx, e, into)
	require.Equal(t, engines.IdleTimeout, r.Err.Class)
	require.Equal(t, []int32{1}, r.IDs)
}

func send(t *testing.T, ctx context.Context, e *Engine) (engines.Reply, *capture.Capture) {
	return sendInto(t, ctx, e, capture.New(1, 1<<12, 16)[0])
}

func sendInto(t *testing.T, ctx context.Context, e *Engine, into *capture.Capture) (engines.Reply, *capture.Capture) {
	slot, err := e.Dial(t.Context())
	require.NoError(t, err)
	defer slot.Close()
	m, err := e.Encode(testRequest)
	require.NoError(t, err)
	_ = slot.Send(ctx, m, into) // into.Err is the same
	return e.Decode(into), into
}
