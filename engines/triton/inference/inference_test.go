package inference

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// TestNumbersAreTritons pins everything that goes over the wire, as it stands
// in grpc_service.proto and model_config.proto of triton-inference-server/common.
func TestNumbersAreTritons(t *testing.T) {
	file := File_inference_proto
	require.EqualValues(t, "inference", file.Package())
	want := map[string]string{
		"ServerLiveRequest":                            "",
		"ServerLiveResponse":                           "live=1",
		"ServerReadyRequest":                           "",
		"ServerReadyResponse":                          "ready=1",
		"ModelReadyRequest":                            "name=1 version=2",
		"ModelReadyResponse":                           "ready=1",
		"ServerMetadataRequest":                        "",
		"ServerMetadataResponse":                       "name=1 version=2 extensions=3*",
		"ModelMetadataRequest":                         "name=1 version=2",
		"ModelMetadataResponse":                        "name=1 versions=2* platform=3 inputs=4* outputs=5*",
		"ModelMetadataResponse.TensorMetadata":         "name=1 datatype=2 shape=3*",
		"InferParameter":                               "bool_param=1 int64_param=2 string_param=3 double_param=4 uint64_param=5",
		"ModelInferRequest":                            "model_name=1 model_version=2 id=3 parameters=4* inputs=5* outputs=6* raw_input_contents=7*",
		"ModelInferRequest.InferInputTensor":           "name=1 datatype=2 shape=3* parameters=4*",
		"ModelInferRequest.InferRequestedOutputTensor": "name=1 parameters=2*",
		"ModelInferResponse":                           "model_name=1 model_version=2 id=3 parameters=4* outputs=5* raw_output_contents=6*",
		"ModelInferResponse.InferOutputTensor":         "name=1 datatype=2 shape=3* parameters=4*",
		"ModelStreamInferResponse":                     "error_message=1 infer_response=2",
		"ModelConfigRequest":                           "name=1 version=2",
		"ModelConfigResponse":                          "config=1",
		"ModelStatisticsRequest":                       "name=1 version=2",
		"StatisticDuration":                            "count=1 ns=2",
		"InferStatistics":                              "success=1 fail=2 queue=3 compute_input=4 compute_infer=5 compute_output=6",
		"ModelStatistics":                              "name=1 version=2 last_inference=3 inference_count=4 execution_count=5 inference_stats=6",
		"ModelStatisticsResponse":                      "model_stats=1*",
		"RepositoryIndexRequest":                       "repository_name=1 ready=2",
		"RepositoryIndexResponse":                      "models=1*",
		"RepositoryIndexResponse.ModelIndex":           "name=1 version=2 state=3 reason=4",
		"ModelInstanceGroup":                           "name=1 count=2 gpus=3* kind=4",
		"ModelInput":                                   "name=1 data_type=2 dims=4* optional=8",
		"ModelOutput":                                  "name=1 data_type=2 dims=3*",
		"ModelTransactionPolicy":                       "decoupled=1",
		"ModelParameter":                               "string_value=1",
		"ModelEnsembling":                              "step=1*",
		"ModelEnsembling.Step":                         "model_name=1 model_version=2",
		"ModelConfig":                                  "name=1 platform=2 max_batch_size=4 input=5* output=6* instance_group=7* parameters=14* ensemble_scheduling=15 backend=17 model_transaction_policy=19",
	}
	got := map[string]string{}
	messages("", file.Messages(), got)
	require.Equal(t, want, got)

	var methods []string
	service := file.Services().ByName("GRPCInferenceService").Methods()
	for i := range service.Len() {
		m := service.Get(i)
		methods = append(methods, fmt.Sprintf("%s %s>%s %v %v", m.Name(), m.Input().Name(), m.Output().Name(), m.IsStreamingClient(), m.IsStreamingServer()))
	}
	require.Contains(t, methods, "ModelStreamInfer ModelInferRequest>ModelStreamInferResponse true true")
	require.Len(t, methods, 9)
	require.Equal(t, "/inference.GRPCInferenceService/ModelStreamInfer", GRPCInferenceService_ModelStreamInfer_FullMethodName)
	require.EqualValues(t, 13, DataType_TYPE_STRING)
	require.EqualValues(t, 2, ModelInstanceGroup_KIND_CPU)
}

func messages(prefix string, all protoreflect.MessageDescriptors, into map[string]string) {
	for i := range all.Len() {
		m := all.Get(i)
		if m.IsMapEntry() {
			continue
		}
		text := ""
		for j := range m.Fields().Len() {
			f := m.Fields().Get(j)
			if j > 0 {
				text += " "
			}
			text += fmt.Sprintf("%s=%d", f.Name(), f.Number())
			if f.Cardinality() == protoreflect.Repeated {
				text += "*"
			}
		}
		name := prefix + string(m.Name())
		into[name] = text
		messages(name+".", m.Messages(), into)
	}
}
