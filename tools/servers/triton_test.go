//go:build linux

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var params = repositoryParams{
	Label: "a label", MaxSeqs: 128, MaxSeqLen: 4096, DelayMS: "2.5", Burst: 1, TextInstances: 2, BLSInstances: 4,
}

func TestRepositoriesAreComplete(t *testing.T) {
	for kind, served := range map[string][]string{
		"light": append([]string{"preprocessing", "postprocessing"}, lightModels...),
		"core":  {"tensorrt_llm"},
	} {
		dir := filepath.Join(t.TempDir(), kind)
		require.NoError(t, writeRepository(dir, kind, params))
		for _, model := range served {
			config := readFile(t, dir, model, "config.pbtxt")
			require.Contains(t, config, `name: "`+model+`"`)
			require.Contains(t, config, `string_value: "a label"`, "%s says what it is", model)
			require.NotContains(t, config, "{{")
			require.DirExists(t, filepath.Join(dir, model, "1"), "Triton wants a version of every model, of an ensemble too")
			if strings.Contains(config, `backend: "python"`) {
				requireImports(t, filepath.Join(dir, model, "1"), "model.py")
			}
		}
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, len(served))
	}
}

// requireImports checks that what a model imports of ours lies beside it.
func requireImports(t *testing.T, dir, file string) {
	t.Helper()
	source := readFile(t, dir, file)
	for _, module := range []string{"toy", "trtllm_io", "text_io"} {
		if strings.Contains(source, "import "+module+"\n") {
			require.FileExists(t, filepath.Join(dir, module+".py"))
		}
	}
	if strings.Contains(source, "worker.py") {
		require.FileExists(t, filepath.Join(dir, "worker.py"))
	}
}

// The contracts, as the public configurations of the models have them: a sample of
// each that a client depends on. ? marks what a request may leave out.
func TestModelsHaveTheTensorsOfTheirContracts(t *testing.T) {
	bare := `input_ids INT32 -1; input_lengths INT32 1; request_output_len INT32 1; streaming BOOL 1 ?; end_id INT32 1 ?; pad_id INT32 1 ?;
		min_tokens INT32 1 ?; runtime_top_k INT32 1 ?; runtime_top_p FP32 1 ?; temperature FP32 1 ?; seed UINT64 1 ?; stop_words_list INT32 2, -1 ?;
		return_num_output_tokens BOOL 1 ?; output_ids INT32 -1, -1; sequence_length INT32 -1; num_output_tokens INT32 1; first_token_time_ns INT64 1`
	text := `text_input STRING 1; max_tokens INT32 1; stream BOOL 1 ?; end_id INT32 1 ?; min_tokens INT32 1 ?; top_k INT32 1 ?; temperature FP32 1 ?;
		seed UINT64 1 ?; stop_words STRING -1 ?; return_num_output_tokens BOOL 1 ?; text_output STRING -1; num_output_tokens INT32 1`
	for _, test := range []struct{ kind, model, batch, tensors string }{
		{"core", "tensorrt_llm", "128", bare},
		{"light", "tensorrt_llm", "128", bare},
		{"light", "ensemble", "128", text},
		{"light", "tensorrt_llm_bls", "128", text + "; num_draft_tokens INT32 1 ?; use_draft_logits BOOL 1 ?"},
		{"light", "llmapi", "0", `text_input STRING 1; streaming BOOL 1 ?; sampling_param_max_tokens INT32 1 ?; sampling_param_temperature FP32 1 ?;
			sampling_param_seed UINT64 1 ?; return_finish_reason BOOL 1 ?; text_output STRING -1; finish_reason STRING -1`},
		{"light", "vllm_model", "0", `text_input STRING 1; stream BOOL 1 ?; sampling_parameters STRING 1 ?; exclude_input_in_output BOOL 1 ?;
			return_num_output_tokens BOOL 1 ?; text_output STRING -1; num_input_tokens UINT32 1; num_output_tokens UINT32 -1`},
	} {
		dir := t.TempDir()
		require.NoError(t, writeRepository(dir, test.kind, params))
		config := readFile(t, dir, test.model, "config.pbtxt")
		require.Contains(t, config, "max_batch_size: "+test.batch+"\n")
		tensors := tensorsOf(config)
		for tensor := range strings.SplitSeq(test.tensors, ";") {
			require.Contains(t, tensors, strings.TrimSpace(tensor), "%s %s", test.kind, test.model)
		}
	}
}

func TestOnlyTheEnsembleLeavesDecouplingToItsSteps(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, writeRepository(dir, "light", params))
	for _, model := range lightModels {
		config := readFile(t, dir, model, "config.pbtxt")
		require.Equal(t, model != "ensemble", strings.Contains(config, "decoupled: true"), model)
	}
}

var tensorPattern = regexp.MustCompile(`name: "(\w+)", data_type: TYPE_(\w+), dims: \[ ([-\d, ]+) \](, optional: true)?`)

// tensorsOf lists the tensors of a config.pbtxt as "name TYPE dims", with " ?"
// behind an optional one.
func tensorsOf(config string) []string {
	var tensors []string
	for _, m := range tensorPattern.FindAllStringSubmatch(config, -1) {
		tensor := m[1] + " " + m[2] + " " + m[3]
		if m[4] != "" {
			tensor += " ?"
		}
		tensors = append(tensors, tensor)
	}
	return tensors
}

func readFile(t *testing.T, elements ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(elements...))
	require.NoError(t, err)
	return string(data)
}
