//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A real Triton with the toy generator, where `servers install light` was run.
func TestLightTriton(t *testing.T) {
	c, err := defaultCache()
	require.NoError(t, err)
	if _, err := readInstalled(c.triton()); errors.Is(err, fs.ErrNotExist) {
		t.Skip("Triton is not installed: go tool servers install light")
	} else {
		require.NoError(t, err)
	}
	own := cache(t.TempDir()) // Triton from the real cache, state and repository in a folder of the test
	require.NoError(t, linkInstalled(c, own))
	dir := stateDir(own.run())
	unlock, err := dir.lock()
	require.NoError(t, err)
	defer unlock()
	ports := freePorts(t, 3)
	s := lightServer(own, options{grpcPort: ports[0], httpPort: ports[1], metricsPort: ports[2], delay: time.Millisecond, burst: 1, blsInstances: 1})
	t.Cleanup(func() { require.NoError(t, stop(dir, s.Name, io.Discard)) })
	require.NoError(t, start(t.Context(), dir, s, t.Output()))
	base := s.Endpoints[1] + "/v2/models/"

	text := func(prompt string, n int) string {
		return encode(t, map[string]any{"text_input": prompt, "max_tokens": n, "stream": true, "end_id": -1, "return_num_output_tokens": true})
	}
	for _, test := range []struct {
		name, model, body string
		tokens            []float64 // num_output_tokens of each response
		fails             string    // error of the last response
	}{
		{"forced length", "ensemble", text("one two three", 3), []float64{1, 1, 1}, ""},
		{"forced length", "tensorrt_llm_bls", text("one two three", 3), []float64{1, 1, 1}, ""},
		{"error after two tokens", "tensorrt_llm", `{"input_ids":[128255,1,2],"input_lengths":3,"request_output_len":5,"streaming":true,"return_num_output_tokens":true}`, []float64{1, 1}, "error after 2 tokens"},
		// Later than that, an ensemble's error may overtake the last response, which is then lost.
		{"error at once", "ensemble", text("!error 0", 5), nil, "error after 0 tokens"},
		{"error after two tokens", "tensorrt_llm_bls", text("!error 2", 5), []float64{1, 1}, "error after 2 tokens"},
		{"error at once", "tensorrt_llm_bls", text("!error 0", 5), nil, "error after 0 tokens"},
		{"several tokens a response", "ensemble", text("!burst 2", 5), []float64{2, 2, 1}, ""},
		{"no token at all", "ensemble", text("!short 0", 5), []float64{0}, ""},
		{"fewer tokens than forced", "tensorrt_llm_bls", text("!short 2", 5), []float64{1, 1}, ""},
		{"a pause", "ensemble", text("!stall 1 50", 2), []float64{1, 1}, ""},
		{"too long", "ensemble", text(strings.Repeat("a ", 4000), 200), nil, "exceeds the maximum of 4096 tokens"},
		{"bare", "tensorrt_llm", `{"input_ids":[1,2,3],"input_lengths":3,"request_output_len":2,"streaming":true,"return_num_output_tokens":true}`, []float64{1, 1}, ""},
		{"bare, not streaming", "tensorrt_llm", `{"input_ids":[1,2,3],"input_lengths":3,"request_output_len":4,"return_num_output_tokens":true}`, []float64{4}, ""},
		{"bare, id out of range", "tensorrt_llm", `{"input_ids":[200000],"input_lengths":1,"request_output_len":2}`, nil, "outside of 0..128255"},
		{"bare, input missing", "tensorrt_llm", `{"input_ids":[1,2],"input_lengths":2,"streaming":true}`, nil, "input request_output_len is missing"},
		{"vllm_backend", "vllm_model", encode(t, map[string]any{"text_input": "one two", "stream": true, "sampling_parameters": `{"max_tokens":2,"ignore_eos":true}`, "return_num_output_tokens": true}), []float64{1, 1}, ""},
		{"sampling parameters that are no JSON", "vllm_model", encode(t, map[string]any{"text_input": "one", "sampling_parameters": `{"max`}), nil, "sampling_parameters is not JSON"},
	} {
		t.Run(test.model+"/"+test.name, func(t *testing.T) {
			var tokens []float64
			var failed string
			for _, event := range generate(t, base+test.model, test.body) {
				if message, ok := event["error"].(string); ok {
					failed = message
					continue
				}
				tokens = append(tokens, event["num_output_tokens"].(float64))
			}
			require.Equal(t, test.tokens, tokens)
			if test.fails == "" {
				require.Empty(t, failed)
			} else {
				require.Contains(t, failed, test.fails)
			}
		})
	}
	t.Run("llmapi/text so far in each response", func(t *testing.T) {
		events := generate(t, base+"llmapi", `{"text_input":"one two","streaming":true,"sampling_param_max_tokens":3}`)
		require.Len(t, events, 3)
		for i := 1; i < len(events); i++ {
			earlier, later := events[i-1]["text_output"].(string), events[i]["text_output"].(string)
			require.Greater(t, len(later), len(earlier))
			require.True(t, strings.HasPrefix(later, earlier), "%q, then %q", earlier, later)
		}
	})
}

// generate streams one request over HTTP and returns the JSON of its events.
func generate(t *testing.T, model, body string) []map[string]any {
	t.Helper()
	resp, err := http.Post(model+"/generate_stream", "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer resp.Body.Close()
	var events []map[string]any
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		line := strings.TrimPrefix(lines.Text(), "data: ")
		if line == "" {
			continue
		}
		var event map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &event), line)
		events = append(events, event)
	}
	require.NoError(t, lines.Err())
	return events
}

func encode(t *testing.T, fields map[string]any) string {
	t.Helper()
	data, err := json.Marshal(fields)
	require.NoError(t, err)
	return string(data)
}

// linkInstalled gives the second cache the Triton of the first.
func linkInstalled(from, to cache) error {
	return os.Symlink(from.triton(), to.triton())
}

func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close() // all at once, so that they differ
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}
