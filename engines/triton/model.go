package triton

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"enginebench/engines"
	pb "enginebench/engines/triton/inference"
)

// model is how requests for one model are built, from what the server says of
// it: tensor names and datatypes changed over TRT-LLM's releases, and a
// datatype or a name that is wrong is refused.
type model struct {
	name    string
	dialect string
	inputs  []input
	outputs []*pb.ModelInferRequest_InferRequestedOutputTensor
}

// input is one tensor of every request.
type input struct {
	name     string
	datatype string
	shape    []int64 // as the server lists it, the batch dimension first if there is one; -1 where a request chooses
	value    func(engines.Request) elements
}

// values gives each input that is always sent, where a model lists it.
var values = map[string]func(engines.Request) elements{
	"input_ids":     func(r engines.Request) elements { return tokens(r.Tokens) },
	"input_lengths": func(r engines.Request) elements { return number(int64(len(r.Tokens))) },
	"text_input":    func(r engines.Request) elements { return text(r.Text) },

	"request_output_len":        outputTokens,
	"max_tokens":                outputTokens,
	"sampling_param_max_tokens": outputTokens,

	// Exactly so many: an end that is no token, and no end before the last.
	"end_id":                    always(number(-1)),
	"min_tokens":                outputTokens,
	"min_length":                outputTokens, // before it was min_tokens
	"sampling_param_min_tokens": outputTokens,
	"sampling_param_ignore_eos": always(truth(true)),
	"sampling_parameters":       samplingParameters,

	// Greedy: with one candidate the temperature has nothing to choose.
	"runtime_top_k":        always(number(1)),
	"top_k":                always(number(1)),
	"sampling_param_top_k": always(number(1)),

	"streaming": always(truth(true)),
	"stream":    always(truth(true)),

	"exclude_input_in_output":                  always(truth(true)),
	"sampling_param_exclude_input_from_output": always(truth(true)),
}

// neutral gives an input a value that changes nothing, for a model that
// requires it.
var neutral = map[string]elements{
	"pad_id": number(0), "beam_width": number(1), "num_return_sequences": number(1),
	"bad_words": text(""), "stop_words": text(""),
	"runtime_top_p": number(1), "top_p": number(1), "sampling_param_top_p": number(1),
	"temperature": number(1), "sampling_param_temperature": number(1), "repetition_penalty": number(1),
	"len_penalty": number(0), "length_penalty": number(0), "presence_penalty": number(0), "frequency_penalty": number(0),
	"seed": number(0), "random_seed": number(0), "sampling_param_seed": number(0), "stop": truth(false),
	"return_log_probs": truth(false), "return_context_logits": truth(false), "return_generation_logits": truth(false),
	"return_perf_metrics": truth(false), "return_num_input_tokens": truth(false), "return_num_output_tokens": truth(false),
	"return_finish_reason": truth(false), "return_stop_reason": truth(false), "return_cumulative_logprob": truth(false),
}

// wanted are the outputs that are asked for, with the input that turns them on
// where there is one. Outputs that are not asked for are not computed.
var wanted = []struct {
	output, flag string
	dialects     []string
	perf         bool // only where performance metrics are asked for
}{
	{"output_ids", "", []string{TensorRTLLM}, false},
	{"sequence_length", "", []string{TensorRTLLM}, false},
	{"text_output", "", []string{Ensemble, BLS, LLMAPI, VLLM}, false},
	{"num_output_tokens", "return_num_output_tokens", []string{Ensemble, BLS, LLMAPI, VLLM}, false},
	{"num_input_tokens", "return_num_input_tokens", []string{Ensemble, BLS, LLMAPI, VLLM}, false},
	{"finish_reason", "return_finish_reason", []string{LLMAPI, VLLM}, false},
	// llmapi gives its metrics the datatype of its text: not to be read.
	{"arrival_time_ns", "return_perf_metrics", []string{TensorRTLLM, Ensemble, BLS}, true},
	{"first_token_time_ns", "return_perf_metrics", []string{TensorRTLLM, Ensemble, BLS}, true},
	{"kv_cache_reused_blocks", "return_perf_metrics", []string{TensorRTLLM, Ensemble, BLS}, true},
}

func always(e elements) func(engines.Request) elements {
	return func(engines.Request) elements { return e }
}

func outputTokens(r engines.Request) elements { return number(int64(r.OutputTokens)) }

// samplingParameters is the JSON text that Triton's vLLM backend makes vLLM's
// SamplingParams of.
func samplingParameters(r engines.Request) elements {
	return text(fmt.Sprintf(`{"max_tokens":%d,"min_tokens":%[1]d,"ignore_eos":true,"temperature":0}`, r.OutputTokens))
}

// newModel reads a model's contract. config may be nil; then every input that
// is not known is taken to be optional. The error names what is not
// understood.
func newModel(meta *pb.ModelMetadataResponse, config *pb.ModelConfig, perf bool) (*model, error) {
	m := &model{name: meta.Name}
	listed := func(tensors []*pb.ModelMetadataResponse_TensorMetadata, name string) bool {
		return slices.ContainsFunc(tensors, func(t *pb.ModelMetadataResponse_TensorMetadata) bool { return t.Name == name })
	}
	if m.dialect = dialectOf(meta, config); m.dialect == "" {
		return nil, fmt.Errorf("model %s is of no known dialect: its inputs are %s", meta.Name, names(meta.Inputs))
	}
	flags := map[string]bool{}
	for _, w := range wanted {
		if !slices.Contains(w.dialects, m.dialect) || w.perf && !perf || !listed(meta.Outputs, w.output) {
			continue
		}
		if w.flag != "" && !listed(meta.Inputs, w.flag) {
			continue // it can't be turned on
		}
		flags[w.flag] = true
		m.outputs = append(m.outputs, &pb.ModelInferRequest_InferRequestedOutputTensor{Name: w.output})
	}
	if len(m.outputs) == 0 {
		return nil, fmt.Errorf("model %s has no output that is understood: its outputs are %s", meta.Name, names(meta.Outputs))
	}
	for _, t := range meta.Inputs {
		value, err := valueOf(t, flags[t.Name], required(config, t.Name))
		if err != nil {
			return nil, fmt.Errorf("model %s: %w", meta.Name, err)
		}
		if value != nil {
			m.inputs = append(m.inputs, input{t.Name, t.Datatype, t.Shape, value})
		}
	}
	return m, nil
}

// valueOf is what to send for an input; nil leaves it out.
func valueOf(t *pb.ModelMetadataResponse_TensorMetadata, flag, required bool) (func(engines.Request) elements, error) {
	value := values[t.Name]
	if flag {
		value = always(truth(true))
	}
	if t.Name == "end_id" && strings.HasPrefix(t.Datatype, "UINT") {
		value = nil // -1 can't be said
	}
	if value == nil && required {
		e, known := neutral[t.Name]
		if !known {
			return nil, fmt.Errorf("required input %s (%s %v) is not understood", t.Name, t.Datatype, t.Shape)
		}
		value = always(e)
	}
	return value, nil
}

func required(config *pb.ModelConfig, name string) bool {
	for _, in := range config.GetInput() {
		if in.Name == name {
			return !in.Optional
		}
	}
	return false
}

// dialectOf tells the dialects apart by the inputs that only one of them has.
func dialectOf(meta *pb.ModelMetadataResponse, config *pb.ModelConfig) string {
	has := map[string]bool{}
	for _, t := range meta.Inputs {
		has[t.Name] = true
	}
	switch {
	case has["input_ids"] && has["request_output_len"]:
		return TensorRTLLM
	case has["text_input"] && has["sampling_param_max_tokens"]:
		return LLMAPI
	case has["text_input"] && has["sampling_parameters"]:
		return VLLM
	case has["text_input"] && has["max_tokens"] && (meta.Platform == "ensemble" || config.GetPlatform() == "ensemble"):
		return Ensemble
	case has["text_input"] && has["max_tokens"]:
		return BLS
	}
	return ""
}

func names(tensors []*pb.ModelMetadataResponse_TensorMetadata) string {
	var all []string
	for _, t := range tensors {
		all = append(all, t.Name)
	}
	return strings.Join(all, ", ")
}

func (m *model) sends(name string) bool {
	return slices.ContainsFunc(m.inputs, func(in input) bool { return in.name == name })
}

func (m *model) asks(output string) bool {
	return slices.ContainsFunc(m.outputs, func(o *pb.ModelInferRequest_InferRequestedOutputTensor) bool { return o.Name == output })
}

// takesTokens reports whether prompts go as token ids.
func (m *model) takesTokens() bool { return m.dialect == TensorRTLLM }

// forces reports whether a reply has exactly as many tokens as asked for. The
// bare model ends at end_id alone, which is -1 where it is left out; the
// preprocessing of an ensemble puts the tokenizer's there.
func (m *model) forces() bool {
	if m.sends("min_tokens") || m.sends("min_length") {
		return true
	}
	switch m.dialect {
	case VLLM, TensorRTLLM:
		return true
	case LLMAPI:
		return m.sends("sampling_param_min_tokens") || m.sends("sampling_param_ignore_eos")
	}
	return m.sends("end_id")
}

// counts is where token counts come from; "" is nowhere.
func (m *model) counts() string {
	switch {
	case m.asks("output_ids"):
		return countedIDs
	case m.asks("num_output_tokens"):
		return countedTensor
	}
	return ""
}

// encode builds a request.
func (m *model) encode(r engines.Request) ([]byte, error) {
	request := &pb.ModelInferRequest{
		ModelName: m.name,
		Id:        r.ID.String(),
		Parameters: map[string]*pb.InferParameter{
			"triton_enable_empty_final_response": {ParameterChoice: &pb.InferParameter_BoolParam{BoolParam: true}},
		},
		Outputs: m.outputs,
	}
	for _, in := range m.inputs {
		value := in.value(r)
		raw, err := value.encode(in.datatype)
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", in.name, err)
		}
		shape, err := in.shapeFor(value.len())
		if err != nil {
			return nil, err
		}
		request.Inputs = append(request.Inputs, &pb.ModelInferRequest_InferInputTensor{Name: in.name, Datatype: in.datatype, Shape: shape})
		request.RawInputContents = append(request.RawInputContents, raw)
	}
	return proto.Marshal(request)
}

// shapeFor is the shape of n elements along the last dimension; the others are
// 1, the batch's too.
func (in *input) shapeFor(n int) ([]int64, error) {
	shape := slices.Repeat([]int64{1}, max(1, len(in.shape)))
	shape[len(shape)-1] = int64(n)
	for i, dim := range in.shape {
		if dim >= 0 && dim != shape[i] {
			return nil, fmt.Errorf("input %s: shape %v does not fit the model's %v", in.name, shape, in.shape)
		}
	}
	return shape, nil
}
