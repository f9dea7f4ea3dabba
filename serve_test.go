package enginebench_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// asked is what a server was asked for in one cell.
type asked struct {
	mu      sync.Mutex
	prompts map[string][]string // by cell, as JSON, sorted
	ids     []string
	keys    []string
}

// counting is an OpenAI-compatible server that writes down what it is asked.
func counting(t *testing.T) (*httptest.Server, *asked) {
	t.Helper()
	log := &asked{prompts: map[string][]string{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/models" {
			io.WriteString(w, `{"data":[{"id":"fake"}]}`)
			return
		}
		if r.URL.Path != "/v1/completions" {
			http.NotFound(w, r)
			return
		}
		var body struct {
			Prompt    json.RawMessage `json:"prompt"`
			MaxTokens int             `json:"max_tokens"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		id := r.Header.Get("X-Request-Id")
		cell := strings.Split(id, "/")[1]
		log.mu.Lock()
		log.prompts[cell] = append(log.prompts[cell], string(body.Prompt))
		log.ids = append(log.ids, id)
		log.keys = append(log.keys, r.Header.Get("Authorization"))
		log.mu.Unlock()
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range body.MaxTokens {
			fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"text\":\"t\",\"token_ids\":[%d],\"finish_reason\":%s}]}\n\n", i+1,
				map[bool]string{true: `"length"`, false: "null"}[i == body.MaxTokens-1])
			w.(http.Flusher).Flush()
		}
		io.WriteString(w, "data: [DONE]\n\n")
	}))
	t.Cleanup(server.Close)
	return server, log
}

func TestEnginesGetTheSamePromptsAndNoTwoRequestsShareAnID(t *testing.T) {
	one, first := counting(t)
	two, second := counting(t)
	t.Setenv("ONE_API_KEY", "very-secret-1")
	stdout, stderr, code := invoke(t, "-engine=one="+one.URL, "-engine=two="+two.URL, "-concurrency=1,3", "-requests=4", "-output-tokens=5",
		"-test.benchtime=1x", "-test.count=2", "-samples=samples", "-describe=gpu=none")
	require.Zero(t, code, "%s%s", stdout, stderr)
	require.Equal(t, 8, strings.Count(stdout, "\nBenchmarkServe/"), stdout) // 2 engines × 2 levels × 2

	for _, cell := range []string{"concurrency=1", "concurrency=3", "warmup"} {
		a, b := slices.Sorted(slices.Values(first.prompts[cell])), slices.Sorted(slices.Values(second.prompts[cell]))
		require.Equal(t, a, b, cell)
		require.NotEmpty(t, a)
		if cell != "warmup" {
			require.Len(t, slices.Compact(a), len(a), "%s: a prompt was sent twice", cell)
		}
	}
	for _, log := range []*asked{first, second} {
		ids := slices.Sorted(slices.Values(log.ids))
		require.Len(t, slices.Compact(ids), len(log.ids), "a request id was used twice")
	}
	require.Contains(t, first.keys, "Bearer very-secret-1")
	require.NotContains(t, strings.Join(second.keys, ""), "very-secret")
	require.NotContains(t, stdout+stderr, "very-secret")
	for _, line := range []string{"load: closed", "output-tokens: 5", "gpu: none", "one-model: fake", "Unit tokens/s better=higher"} {
		require.Contains(t, stdout, line+"\n")
	}
}

func TestALineHasNoNanosecondsAndOnlyKnownNumbers(t *testing.T) {
	server, _ := counting(t)
	stdout, stderr, code := invoke(t, "-engine=fake="+server.URL, "-concurrency=2", "-requests=120", "-output-tokens=3", "-metrics=all")
	require.Zero(t, code, "%s%s", stdout, stderr)
	for line := range strings.Lines(stdout) {
		if strings.HasPrefix(line, "Benchmark") {
			require.NotContains(t, line, "ns/op")
			require.NotContains(t, line, "NaN")
			require.NotContains(t, line, "Inf")
			require.NotContains(t, line, " 0 tokens/s")
			require.Contains(t, line, "tokens/s")
			require.Contains(t, line, "dispatch-lag-p99-us")
		}
	}
}

func TestWavesAndTheOpenLoopNameTheirCells(t *testing.T) {
	server, _ := counting(t)
	for load, cell := range map[string]string{"waves": "wave=2", "rate=200": "rate=200"} {
		args := []string{"-engine=fake=" + server.URL, "-load=" + load, "-output-tokens=3", "-requests=20"}
		if load == "waves" {
			args = append(args, "-concurrency=2")
		}
		stdout, stderr, code := invoke(t, args...)
		require.Zero(t, code, "%s%s", stdout, stderr)
		require.Contains(t, stdout, "BenchmarkServe/engine=fake/"+cell+"-")
		require.Contains(t, stdout, "load: "+load+"\n")
	}
}

// The server is gone after the five requests of the first of three runs.
func TestTheSamplesOfRunsBeforeOneThatCouldNotBeMadeAreKept(t *testing.T) {
	behind, log := counting(t)
	server := httptest.NewUnstartedServer(nil)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log.mu.Lock()
		last := len(log.prompts["concurrency=1"]) == 4 && strings.Contains(r.Header.Get("X-Request-Id"), "/concurrency=1/")
		log.mu.Unlock()
		if last {
			w.Header().Set("Connection", "close")
			server.Listener.Close()
		}
		behind.Config.Handler.ServeHTTP(w, r)
	})
	server.Start()
	t.Cleanup(server.Close)
	samples := filepath.Join(t.TempDir(), "samples")
	stdout, stderr, code := invoke(t, "-engine=fake="+server.URL, "-concurrency=1", "-requests=4", "-output-tokens=3", "-test.benchtime=3x", "-samples="+samples)
	require.Equal(t, 1, code, "%s%s", stdout, stderr)
	files, err := filepath.Glob(filepath.Join(samples, "*.jsonl"))
	require.NoError(t, err)
	require.Len(t, files, 1, stdout)
	text, err := os.ReadFile(files[0])
	require.NoError(t, err)
	require.Equal(t, 1+5, strings.Count(string(text), "\n"), "the run's record and its samples")
	require.Contains(t, string(text), `"verdict":"INVALID","reasons":["run 2 of the cell: `)
}
