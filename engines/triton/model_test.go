package triton

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"enginebench/engines"
	pb "enginebench/engines/triton/inference"
)

// contract makes a model's metadata and configuration of lines such as
// "input_ids INT32 -1,-1 required" and "> output_ids INT32 -1,-1".
func contract(name, platform string, batch int32, lines ...string) (*pb.ModelMetadataResponse, *pb.ModelConfig) {
	meta := &pb.ModelMetadataResponse{Name: name, Platform: platform, Versions: []string{"1"}}
	config := &pb.ModelConfig{Name: name, MaxBatchSize: batch}
	if platform == "ensemble" {
		config.Platform = platform
	}
	for _, line := range lines {
		fields := strings.Fields(strings.TrimPrefix(line, "> "))
		t := &pb.ModelMetadataResponse_TensorMetadata{Name: fields[0], Datatype: fields[1]}
		for dim := range strings.SplitSeq(fields[2], ",") {
			t.Shape = append(t.Shape, map[string]int64{"-1": -1, "1": 1, "2": 2}[dim])
		}
		if strings.HasPrefix(line, "> ") {
			meta.Outputs = append(meta.Outputs, t)
			continue
		}
		meta.Inputs = append(meta.Inputs, t)
		config.Input = append(config.Input, &pb.ModelInput{Name: fields[0], Optional: len(fields) < 4})
	}
	return meta, config
}

// The contracts of the five dialects, shortened: what a request may use, and
// some of what it must not touch.
var (
	bareLines = []string{
		"input_ids INT32 -1,-1 required", "input_lengths INT32 -1,1 required", "request_output_len INT32 -1,1 required",
		"streaming BOOL -1,1", "end_id INT32 -1,1", "pad_id INT32 -1,1", "min_tokens INT32 -1,1", "beam_width INT32 -1,1", "runtime_top_k INT32 -1,1",
		"temperature FP32 -1,1", "seed UINT64 -1,1", "stop BOOL -1,1", "stop_words_list INT32 -1,2,-1", "return_perf_metrics BOOL -1,1", "exclude_input_in_output BOOL -1,1",
		"> output_ids INT32 -1,-1,-1", "> sequence_length INT32 -1,-1", "> cum_log_probs FP32 -1,-1", "> arrival_time_ns INT64 -1,1", "> first_token_time_ns INT64 -1,1",
	}
	textLines = []string{
		"text_input BYTES -1,1 required", "max_tokens INT32 -1,1 required", "bad_words BYTES -1,-1", "end_id INT32 -1,1", "top_k INT32 -1,1", "min_tokens INT32 -1,1",
		"stream BOOL -1,1", "return_num_input_tokens BOOL -1,1", "return_num_output_tokens BOOL -1,1", "return_perf_metrics BOOL -1,1",
		"> text_output BYTES -1,-1", "> num_input_tokens INT32 -1,1", "> num_output_tokens INT32 -1,1", "> arrival_time_ns INT64 -1,1", "> first_token_time_ns INT64 -1,1",
	}
	llmapiLines = []string{
		"text_input BYTES 1 required", "streaming BOOL 1", "sampling_param_max_tokens INT32 1", "sampling_param_top_k INT32 1", "sampling_param_temperature FP32 1",
		"return_finish_reason BOOL 1", "> text_output BYTES -1", "> finish_reason BYTES -1", "> arrival_time_ns BYTES -1",
	}
	vllmLines = []string{
		"text_input BYTES 1 required", "stream BOOL 1", "sampling_parameters BYTES 1", "exclude_input_in_output BOOL 1", "return_finish_reason BOOL 1",
		"return_num_input_tokens BOOL 1", "return_num_output_tokens BOOL 1", "> text_output BYTES -1", "> finish_reason BYTES -1", "> num_input_tokens UINT32 1", "> num_output_tokens UINT32 -1",
	}
)

var testRequest = engines.Request{
	ID:     engines.RequestID{Invocation: "run", Cell: "concurrency=2", Index: 5},
	Tokens: []int32{11, 12, 128000}, Text: "hé", OutputTokens: 64,
}

// request encodes testRequest and shows what went out: "name datatype shape
// value", in the model's order.
func request(t *testing.T, m *model) (*pb.ModelInferRequest, []string) {
	body, err := m.encode(testRequest)
	require.NoError(t, err)
	var r pb.ModelInferRequest
	require.NoError(t, proto.Unmarshal(body, &r))
	require.Len(t, r.RawInputContents, len(r.Inputs))
	var shown []string
	for i, in := range r.Inputs {
		shown = append(shown, in.Name+" "+in.Datatype+" "+strings.ReplaceAll(strings.Trim(strings.Join(strings.Fields(sprint(in.Shape)), ","), "[]"), " ", ",")+" "+value(t, in.Datatype, r.RawInputContents[i]))
	}
	return &r, shown
}

// value reads raw bytes back, by other code than that which wrote them.
func value(t *testing.T, datatype string, raw []byte) string {
	var all []string
	for len(raw) > 0 {
		switch datatype {
		case "INT32":
			all, raw = append(all, sprint(int32(binary.LittleEndian.Uint32(raw)))), raw[4:]
		case "UINT32":
			all, raw = append(all, sprint(binary.LittleEndian.Uint32(raw))), raw[4:]
		case "FP32":
			all, raw = append(all, sprint(math.Float32frombits(binary.LittleEndian.Uint32(raw)))), raw[4:]
		case "INT64", "UINT64":
			all, raw = append(all, sprint(int64(binary.LittleEndian.Uint64(raw)))), raw[8:]
		case "BOOL":
			all, raw = append(all, sprint(raw[0] == 1)), raw[1:]
		case "BYTES":
			n := binary.LittleEndian.Uint32(raw)
			all, raw = append(all, string(raw[4:4+n])), raw[4+n:]
		default:
			t.Fatalf("datatype %s", datatype)
		}
	}
	return strings.Join(all, ",")
}

func TestRequestsAreBuiltFromTheModelsMetadata(t *testing.T) {
	sampling := `{"max_tokens":64,"min_tokens":64,"ignore_eos":true,"temperature":0}`
	tests := []struct {
		name, platform, dialect string
		batch                   int32
		lines                   []string
		inputs                  []string
		outputs                 string
		tokens, forces          bool
		counts                  string
	}{
		{
			name: "tensorrt_llm", dialect: TensorRTLLM, batch: 128, lines: bareLines,
			inputs: []string{"input_ids INT32 1,3 11,12,128000", "input_lengths INT32 1,1 3", "request_output_len INT32 1,1 64", "streaming BOOL 1,1 true", "end_id INT32 1,1 -1",
				"min_tokens INT32 1,1 64", "runtime_top_k INT32 1,1 1", "return_perf_metrics BOOL 1,1 true", "exclude_input_in_output BOOL 1,1 true"},
			outputs: "output_ids sequence_length arrival_time_ns first_token_time_ns", tokens: true, forces: true, counts: "token ids",
		},
		{
			name: "ensemble", platform: "ensemble", dialect: Ensemble, batch: 8, lines: textLines,
			inputs: []string{"text_input BYTES 1,1 hé", "max_tokens INT32 1,1 64", "end_id INT32 1,1 -1", "top_k INT32 1,1 1", "min_tokens INT32 1,1 64", "stream BOOL 1,1 true",
				"return_num_input_tokens BOOL 1,1 true", "return_num_output_tokens BOOL 1,1 true", "return_perf_metrics BOOL 1,1 true"},
			outputs: "text_output num_output_tokens num_input_tokens arrival_time_ns first_token_time_ns", forces: true, counts: "num_output_tokens",
		},
		{
			name: "tensorrt_llm_bls", platform: "python", dialect: BLS, batch: 8, lines: textLines[:3], // no counts, no end: an old one
			inputs: []string{"text_input BYTES 1,1 hé", "max_tokens INT32 1,1 64"}, outputs: "text_output",
		},
		{
			name: "llmapi", dialect: LLMAPI, lines: llmapiLines,
			inputs:  []string{"text_input BYTES 1 hé", "streaming BOOL 1 true", "sampling_param_max_tokens INT32 1 64", "sampling_param_top_k INT32 1 1", "return_finish_reason BOOL 1 true"},
			outputs: "text_output finish_reason",
		},
		{
			name: "vllm_model", dialect: VLLM, lines: vllmLines,
			inputs: []string{"text_input BYTES 1 hé", "stream BOOL 1 true", "sampling_parameters BYTES 1 " + sampling, "exclude_input_in_output BOOL 1 true", "return_finish_reason BOOL 1 true",
				"return_num_input_tokens BOOL 1 true", "return_num_output_tokens BOOL 1 true"},
			outputs: "text_output num_output_tokens num_input_tokens finish_reason", forces: true, counts: "num_output_tokens",
		},
		{
			name: "other datatypes, old names, required neutral inputs", dialect: BLS, batch: 8,
			lines: []string{"text_input BYTES -1,1 required", "max_tokens UINT32 -1,1 required", "bad_words BYTES -1,1 required", "temperature FP32 -1,1 required",
				"random_seed UINT64 -1,1 required", "end_id UINT32 -1,1", "min_length INT64 -1,1", "stream BOOL -1,1", "> text_output BYTES -1,-1"},
			inputs:  []string{"text_input BYTES 1,1 hé", "max_tokens UINT32 1,1 64", "bad_words BYTES 1,1 ", "temperature FP32 1,1 1", "random_seed UINT64 1,1 0", "min_length INT64 1,1 64", "stream BOOL 1,1 true"},
			outputs: "text_output", forces: true,
		},
		{
			name: "bare without a batch dimension", dialect: TensorRTLLM,
			lines:   []string{"input_ids INT32 -1 required", "input_lengths INT64 1 required", "request_output_len INT32 1 required", "> output_ids INT32 -1"},
			inputs:  []string{"input_ids INT32 3 11,12,128000", "input_lengths INT64 1 3", "request_output_len INT32 1 64"},
			outputs: "output_ids", tokens: true, forces: true, counts: "token ids",
		},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			lines := c.lines
			if c.name == "tensorrt_llm_bls" {
				lines = append(slices.Clone(lines), "> text_output BYTES -1,-1", "> num_output_tokens INT32 -1,1")
			}
			meta, config := contract(c.name, c.platform, c.batch, lines...)
			m, err := newModel(meta, config, true)
			require.NoError(t, err)
			require.Equal(t, c.dialect, m.dialect)
			r, inputs := request(t, m)
			require.Equal(t, c.inputs, inputs)
			var outputs []string
			for _, o := range r.Outputs {
				outputs = append(outputs, o.Name)
			}
			require.Equal(t, c.outputs, strings.Join(outputs, " "))
			require.Equal(t, c.name, r.ModelName)
			require.Equal(t, "run/concurrency=2/5", r.Id)
			require.True(t, r.Parameters["triton_enable_empty_final_response"].GetBoolParam())
			require.Equal(t, c.tokens, m.takesTokens())
			require.Equal(t, c.forces, m.forces())
			require.Equal(t, c.counts, m.counts())
		})
	}
}

func TestAModelThatIsNotUnderstoodIsNamed(t *testing.T) {
	tests := map[string]struct {
		lines []string
		text  string
	}{
		"required input": {append([]string{"lora_task_id UINT64 -1,1 required"}, bareLines...), "required input lora_task_id (UINT64 [-1 1]) is not understood"},
		"no dialect":     {[]string{"image FP32 -1,-1 required", "> label INT32 -1"}, "no known dialect: its inputs are image"},
		"no output":      {[]string{"text_input BYTES 1 required", "max_tokens INT32 1", "> embedding FP32 -1"}, "its outputs are embedding"},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			meta, config := contract("m", "python", 8, c.lines...)
			_, err := newModel(meta, config, true)
			require.ErrorContains(t, err, c.text)
		})
	}
}

func TestPerfCanBeTurnedOff(t *testing.T) {
	meta, config := contract("m", "", 8, bareLines...)
	m, err := newModel(meta, config, false)
	require.NoError(t, err)
	require.False(t, m.sends("return_perf_metrics"))
	require.False(t, m.asks("arrival_time_ns"))
}

func TestAValueThatDoesNotFitIsAnError(t *testing.T) {
	for name, lines := range map[string][]string{
		"datatype": {"input_ids INT8 -1,-1 required", "request_output_len INT32 -1,1", "> output_ids INT32 -1"},
		"text":     {"text_input INT32 -1,1 required", "max_tokens INT32 -1,1", "> text_output BYTES -1"},
		"number":   {"text_input BYTES -1,1 required", "max_tokens BYTES -1,1", "> text_output BYTES -1"},
		"shape":    {"input_ids INT32 -1,2 required", "request_output_len INT32 -1,1", "> output_ids INT32 -1"},
	} {
		t.Run(name, func(t *testing.T) {
			meta, config := contract("m", "python", 8, lines...)
			m, err := newModel(meta, config, true)
			require.NoError(t, err)
			_, err = m.encode(testRequest)
			require.ErrorContains(t, err, "input ")
		})
	}
}

func TestTextOf64KiBAndMoreKeepsItsLength(t *testing.T) {
	long := strings.Repeat("x", 70_000)
	raw, err := text(long).encode("BYTES")
	require.NoError(t, err)
	require.EqualValues(t, 70_000, binary.LittleEndian.Uint32(raw))
	back, err := decodeText("BYTES", raw)
	require.NoError(t, err)
	require.Equal(t, long, back)
}

func BenchmarkEncode(b *testing.B) {
	meta, config := contract("m", "", 8, bareLines...)
	m, err := newModel(meta, config, true)
	require.NoError(b, err)
	r := testRequest
	r.Tokens = make([]int32, 512)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.encode(r); err != nil {
			b.Fatal(err)
		}
	}
}
