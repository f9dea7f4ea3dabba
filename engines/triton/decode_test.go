package triton

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"enginebench/engines"
	"enginebench/engines/capture"
	pb "enginebench/engines/triton/inference"
)

const ms = time.Millisecond

// tensor is one output of a response.
type tensor struct {
	name, datatype string
	value          elements
}

func ids(n ...int32) tensor           { return tensor{"output_ids", "INT32", tokens(n)} }
func textOut(s string) tensor         { return tensor{"text_output", "BYTES", text(s)} }
func count(n int64) tensor            { return tensor{"num_output_tokens", "INT32", number(n)} }
func int64s(s string, n int64) tensor { return tensor{s, "INT64", number(n)} }

func responseOf(final bool, outputs ...tensor) *pb.ModelStreamInferResponse {
	r := &pb.ModelInferResponse{ModelName: "m", Id: "i/c/0", Parameters: finalParameter(final)}
	for _, o := range outputs {
		raw, err := o.value.encode(o.datatype)
		if err != nil {
			panic(err)
		}
		r.Outputs = append(r.Outputs, &pb.ModelInferResponse_InferOutputTensor{Name: o.name, Datatype: o.datatype, Shape: []int64{1, int64(o.value.len())}})
		r.RawOutputContents = append(r.RawOutputContents, raw)
	}
	return &pb.ModelStreamInferResponse{InferResponse: r}
}

func finalParameter(final bool) map[string]*pb.InferParameter {
	return map[string]*pb.InferParameter{"triton_final_response": {ParameterChoice: &pb.InferParameter_BoolParam{BoolParam: final}}}
}

func more(outputs ...tensor) *pb.ModelStreamInferResponse { return responseOf(false, outputs...) }
func last(outputs ...tensor) *pb.ModelStreamInferResponse { return responseOf(true, outputs...) }

// refused is an error before the request was enqueued: the response has an id
// and nothing else.
func refused(message string) *pb.ModelStreamInferResponse {
	return &pb.ModelStreamInferResponse{ErrorMessage: message, InferResponse: &pb.ModelInferResponse{Id: "i/c/0"}}
}

// failed is an error of the model's backend.
func failed(message string) *pb.ModelStreamInferResponse {
	return &pb.ModelStreamInferResponse{ErrorMessage: message,
		InferResponse: &pb.ModelInferResponse{Id: "i/c/0", ModelName: "m", Parameters: finalParameter(true)}}
}

// captured is a capture of the responses, one each 10 ms, sent at 5 ms, that
// ended well 1 ms after the last.
func captured(responses ...*pb.ModelStreamInferResponse) *capture.Capture {
	c := &capture.Capture{Send: 5 * ms}
	for i, m := range responses {
		b, err := proto.Marshal(m)
		if err != nil {
			panic(err)
		}
		at := time.Duration(i+1) * 10 * ms
		c.Append(b, at, at)
	}
	c.Trailer = capture.Trailer{Arrival: time.Duration(len(responses))*10*ms + ms, Clean: true}
	return c
}

func decode(t testing.TB, dialect string, c *capture.Capture) engines.Reply {
	d, ok := Decoder(dialect)
	require.True(t, ok)
	return d.Decode(c)
}

func TestDecodeReadsEachDialect(t *testing.T) {
	tests := []struct {
		name, dialect string
		responses     []*pb.ModelStreamInferResponse
		want          engines.Reply
	}{
		{
			name: "bare: ids are the new ones of each response", dialect: TensorRTLLM,
			responses: []*pb.ModelStreamInferResponse{
				more(ids(7), tensor{"sequence_length", "INT32", number(1)}),
				more(ids(8, 9), tensor{"sequence_length", "INT32", number(2)}),
				last(ids(10), tensor{"sequence_length", "INT32", number(1)}),
			},
			want: engines.Reply{Tokens: 4, Counted: "token ids", IDs: []int32{7, 8, 9, 10}, CachedTokens: -1,
				Events: []engines.Event{{Arrival: 10 * ms, Tokens: 1, Chunk: 0}, {Arrival: 20 * ms, Tokens: 2, Chunk: 1}, {Arrival: 30 * ms, Tokens: 1, Chunk: 2}}},
		},
		{
			name: "bare: the engine's times give its own time to first token", dialect: TensorRTLLM,
			responses: []*pb.ModelStreamInferResponse{
				more(ids(7), int64s("arrival_time_ns", 1_000_000_000), int64s("first_token_time_ns", 1_004_500_000)), // 4.5 ms
				last(ids(8), int64s("arrival_time_ns", 1_000_000_000), int64s("first_token_time_ns", 1_004_500_000)),
			},
			want: engines.Reply{Tokens: 2, Counted: "token ids", IDs: []int32{7, 8}, CachedTokens: -1, ServerTTFT: 4500 * time.Microsecond,
				Events: []engines.Event{{Arrival: 10 * ms, Tokens: 1, Chunk: 0}, {Arrival: 20 * ms, Tokens: 1, Chunk: 1}}},
		},
		{
			name: "bare: an empty final response is no event and not the end time", dialect: TensorRTLLM,
			responses: []*pb.ModelStreamInferResponse{more(ids(7)), last()},
			want: engines.Reply{Tokens: 1, Counted: "token ids", IDs: []int32{7}, CachedTokens: -1,
				Events: []engines.Event{{Arrival: 10 * ms, Tokens: 1, Chunk: 0}}},
		},
		{
			name: "bare: no reused block is no cached token", dialect: TensorRTLLM,
			responses: []*pb.ModelStreamInferResponse{last(ids(7), tensor{"kv_cache_reused_blocks", "INT32", number(0)})},
			want: engines.Reply{Tokens: 1, Counted: "token ids", IDs: []int32{7}, CachedTokens: 0,
				Events: []engines.Event{{Arrival: 10 * ms, Tokens: 1, Chunk: 0}}},
		},
		{
			name: "ensemble: delta text, counts of each response, a token without text", dialect: Ensemble,
			responses: []*pb.ModelStreamInferResponse{
				more(textOut("Hel"), count(1), tensor{"num_input_tokens", "INT32", number(9)}),
				more(textOut(""), count(1), tensor{"num_input_tokens", "INT32", number(9)}),
				last(textOut("lo"), count(3), tensor{"num_input_tokens", "INT32", number(9)}),
			},
			want: engines.Reply{Tokens: 5, Counted: "num_output_tokens", Text: "Hello", PromptTokens: 9, CachedTokens: -1,
				Events: []engines.Event{{Arrival: 10 * ms, Tokens: 1, Chunk: 0}, {Arrival: 20 * ms, Tokens: 1, Chunk: 1}, {Arrival: 30 * ms, Tokens: 3, Chunk: 2}}},
		},
		{
			name: "bls: accumulated text, and a final response of its own", dialect: BLS,
			responses: []*pb.ModelStreamInferResponse{
				more(textOut("one"), count(1)), more(textOut("one two"), count(1)), more(textOut("one two three"), count(1)), last(),
			},
			want: engines.Reply{Tokens: 3, Counted: "num_output_tokens", Text: "one two three", CachedTokens: -1,
				Events: []engines.Event{{Arrival: 10 * ms, Tokens: 1, Chunk: 0}, {Arrival: 20 * ms, Tokens: 1, Chunk: 1}, {Arrival: 30 * ms, Tokens: 1, Chunk: 2}}},
		},
		{
			name: "bls: delta text that repeats itself stays delta", dialect: BLS,
			responses: []*pb.ModelStreamInferResponse{more(textOut("ha"), count(1)), more(textOut("ha"), count(1)), more(textOut("ha"), count(1)), last()},
			want: engines.Reply{Tokens: 3, Counted: "num_output_tokens", Text: "hahaha", CachedTokens: -1,
				Events: []engines.Event{{Arrival: 10 * ms, Tokens: 1, Chunk: 0}, {Arrival: 20 * ms, Tokens: 1, Chunk: 1}, {Arrival: 30 * ms, Tokens: 1, Chunk: 2}}},
		},
		{
			name: "bare: ids are a better count than a count", dialect: TensorRTLLM,
			responses: []*pb.ModelStreamInferResponse{more(count(9), ids(7)), last(ids(8), count(9))},
			want: engines.Reply{Tokens: 2, Counted: "token ids", IDs: []int32{7, 8}, CachedTokens: -1,
				Events: []engines.Event{{Arrival: 10 * ms, Tokens: 1, Chunk: 0}, {Arrival: 20 * ms, Tokens: 1, Chunk: 1}}},
		},
		{
			// The second response ends in the middle of a character; the
			// third adds no text: no event, since there is no count either.
			name: "llmapi: the text so far, no counts", dialect: LLMAPI,
			responses: []*pb.ModelStreamInferResponse{
				more(textOut("a"), tensor{"finish_reason", "BYTES", text("None")}), more(textOut("a caf\uFFFD")), more(textOut("a caf\uFFFD")),
				last(textOut("a café"), tensor{"finish_reason", "BYTES", text("length")}),
			},
			want: engines.Reply{Text: "a café", Finish: "length", CachedTokens: -1,
				Events: []engines.Event{{Arrival: 10 * ms, Chunk: 0}, {Arrival: 20 * ms, Chunk: 1}, {Arrival: 40 * ms, Chunk: 3}}},
		},
		{
			name: "vllm: unsigned counts, a response without tokens is no event", dialect: VLLM,
			responses: []*pb.ModelStreamInferResponse{
				more(textOut("a"), tensor{"num_output_tokens", "UINT32", number(1)}, tensor{"num_input_tokens", "UINT32", number(4)}),
				more(textOut("."), tensor{"num_output_tokens", "UINT32", number(0)}), // held back, of a token counted before
				last(textOut(" b"), tensor{"num_output_tokens", "UINT32", number(2)}, tensor{"finish_reason", "BYTES", text("stop")}),
			},
			want: engines.Reply{Tokens: 3, Counted: "num_output_tokens", Text: "a. b", PromptTokens: 4, Finish: "stop", CachedTokens: -1,
				Events: []engines.Event{{Arrival: 10 * ms, Tokens: 1, Chunk: 0}, {Arrival: 30 * ms, Tokens: 2, Chunk: 2}}},
		},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, decode(t, c.dialect, captured(c.responses...)))
		})
	}
}

func TestMessagesOfOneReadAreCoalescedEvents(t *testing.T) {
	c := captured(more(ids(1)), more(ids(2)), more(ids(3)), last(ids(4)))
	c.Chunks[2].Arrival = c.Chunks[1].Arrival // messages 1 and 2 came in one read
	e := decode(t, TensorRTLLM, c).Events
	require.False(t, e[1].Coalesced(e[0]))
	require.True(t, e[2].Coalesced(e[1]))
	require.False(t, e[3].Coalesced(e[2]))
}

func TestDecodeMultipliesReusedBlocksByTheirSize(t *testing.T) {
	d := &decoder{blockTokens: 32}
	r := d.Decode(captured(last(ids(1), tensor{"kv_cache_reused_blocks", "INT32", number(3)})))
	require.Equal(t, 96, r.CachedTokens) // 3 blocks of 32 tokens
	require.Equal(t, -1, decode(t, TensorRTLLM, captured(last(ids(1), tensor{"kv_cache_reused_blocks", "INT32", number(3)}))).CachedTokens)
}

func TestDecodeClassesFailures(t *testing.T) {
	whole := []*pb.ModelStreamInferResponse{more(ids(1)), last(ids(2))}
	with := func(c *capture.Capture, change func(*capture.Capture)) *capture.Capture {
		change(c)
		return c
	}
	noContents := more(ids(1))
	noContents.InferResponse.RawOutputContents = nil
	tests := []struct {
		name   string
		c      *capture.Capture
		class  engines.Class
		text   string
		events int
	}{
		{"unknown model", captured(refused("Request for unknown model: 'nope' is not found")), engines.Rejected, "unknown model: 'nope'", 0},
		{"wrong datatype", captured(refused("[request id: a4] inference input 'streaming' data-type is 'INT32', but model 'tensorrt_llm' expects 'BOOL'")), engines.Rejected, "expects 'BOOL'", 0},
		{"refused while stopping", captured(refused("Server is stopping, scheduler for model has stopped")), engines.EngineError, "stopping", 0},
		{"queue full", captured(refused("Exceeds maximum queue size")), engines.Throttled, "queue size", 0},
		{"prompt too long", captured(failed("prompt length (4000) plus request_output_len (200) exceeds the maximum of 4096 tokens")), engines.Rejected, "4096", 0},
		{"engine fails before a token", captured(failed("CUDA error: device-side assert")), engines.EngineError, "CUDA", 0},
		{"error after tokens", captured(more(ids(1)), more(ids(2)), failed("Prompt exceeds something\nsecond line")), engines.EngineError, "something second line", 2},
		{"error and then an empty final", captured(more(ids(1)), failed("boom"), last()), engines.EngineError, "boom", 1},
		{"no final response", captured(more(ids(1)), more(ids(2))), engines.Incomplete, "without a final response", 2},
		{"nothing at all", captured(), engines.Incomplete, "", 0},
		{"no status", with(captured(whole[:1]...), func(c *capture.Capture) { c.Trailer = capture.Trailer{} }), engines.Truncated, "", 1},
		{"final, but no status", with(captured(whole...), func(c *capture.Capture) { c.Trailer = capture.Trailer{} }), engines.Truncated, "", 2},
		{"status in the middle", with(captured(whole[:1]...), func(c *capture.Capture) { c.Trailer.Status, c.Trailer.Message = 8, "too much" }), engines.Throttled, "too much", 1},
		{"transport", with(captured(whole[:1]...), func(c *capture.Capture) { c.Err = engines.Errorf(engines.IdleTimeout, "no event for 1s") }), engines.IdleTimeout, "no event", 1},
		{"transport of no class", with(captured(whole...), func(c *capture.Capture) { c.Err = fmt.Errorf("odd") }), engines.Protocol, "odd", 2},
		{"no tokens", captured(more(), last()), engines.Empty, "no token", 0},
		{"garbage", with(captured(), func(c *capture.Capture) { c.Append([]byte{0xff, 0xff, 0xff}, ms, ms) }), engines.Protocol, "read response 0", 0},
		{"empty message", with(captured(whole[:1]...), func(c *capture.Capture) { c.Append(nil, 50*ms, 50*ms) }), engines.Protocol, "response 1: it is empty", 1},
		{"tokens after the final response", captured(last(ids(1)), more(ids(2))), engines.Protocol, "after the final", 1},
		{"contents missing", captured(noContents), engines.Protocol, "output_ids has no contents", 0},
		{"ids of 3 bytes", captured(more(tensor{"output_ids", "BOOL", elements{numbers: []int64{1, 1, 1}}})), engines.Protocol, "3 bytes as BOOL", 0},
		{"negative count", captured(more(count(-1))), engines.Protocol, "no count", 0},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			r := decode(t, TensorRTLLM, c.c)
			require.NotNil(t, r.Err)
			require.Equal(t, c.class, r.Err.Class, "%v", r.Err)
			require.ErrorContains(t, r.Err, c.text)
			require.NotContains(t, r.Err.Error(), "\n")
			require.Len(t, r.Events, c.events)
		})
	}
}

func TestDecodeShortensWhatTheServerSays(t *testing.T) {
	r := decode(t, BLS, captured(failed(strings.Repeat("é", 5000))))
	require.Less(t, len(r.Err.Error()), 400)
}

func TestDecoderKnowsItsDialects(t *testing.T) {
	for _, name := range Dialects {
		_, ok := Decoder(name)
		require.True(t, ok, name)
	}
	_, ok := Decoder("triton.other")
	require.False(t, ok)
}

func FuzzDecode(f *testing.F) {
	for _, m := range []*pb.ModelStreamInferResponse{
		more(ids(1, 2)), last(), failed("x"), more(textOut("a"), count(2), int64s("arrival_time_ns", 1), int64s("first_token_time_ns", 5)),
		more(tensor{"finish_reason", "BYTES", text("stop")}, tensor{"kv_cache_reused_blocks", "UINT64", number(1 << 40)}),
	} {
		b, err := proto.Marshal(m)
		require.NoError(f, err)
		f.Add(b, b)
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		c := captured()
		c.Append(a, 10*ms, 10*ms)
		c.Append(b, 20*ms, 20*ms)
		r := decode(t, Ensemble, c)
		n := 0
		for _, e := range r.Events {
			require.GreaterOrEqual(t, e.Tokens, 0)
			n += e.Tokens
		}
		require.Equal(t, r.Tokens, n)
		require.True(t, r.Err == nil || r.Err.Class.Known())
		if r.Err == nil {
			require.NotEmpty(t, r.Events)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	const n = 512
	for _, bench := range []struct {
		dialect string
		event   func(i int) *pb.ModelStreamInferResponse
	}{
		{TensorRTLLM, func(i int) *pb.ModelStreamInferResponse {
			return responseOf(i == n-1, ids(int32(i)), tensor{"sequence_length", "INT32", number(1)})
		}},
		{Ensemble, func(i int) *pb.ModelStreamInferResponse {
			return responseOf(i == n-1, textOut(" token"), count(1), tensor{"num_input_tokens", "INT32", number(9)})
		}},
	} {
		b.Run("dialect="+bench.dialect, func(b *testing.B) {
			var all []*pb.ModelStreamInferResponse
			for i := range n {
				all = append(all, bench.event(i))
			}
			c := captured(all...)
			d, _ := Decoder(bench.dialect)
			for b.Loop() {
				if r := d.Decode(c); r.Err != nil || r.Tokens != n {
					b.Fatal(r.Err, r.Tokens)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/event")
		})
	}
}
