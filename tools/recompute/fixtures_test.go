package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/engines/capture"
	"enginebench/fixtures"
	"enginebench/fixtures/script"
)

var recorded = time.Date(2026, 11, 26, 8, 30, 0, 0, time.UTC)

// recordingOf makes a script's recording as a run would have left it.
func recordingOf(t testing.TB, s script.Script, change ...func(*fixtures.Recording)) *fixtures.Recording {
	t.Helper()
	rec, err := s.Recording()
	require.NoError(t, err)
	h := &rec.Header
	h.When, h.Prompts, h.Seed = recorded, "8f3c2a91d0be", 42
	for _, c := range change {
		c(rec)
	}
	return rec
}

func write(t testing.TB, dir string, rec *fixtures.Recording) string {
	t.Helper()
	path, err := fixtures.Write(dir, rec)
	require.NoError(t, err)
	return path
}

// refuse makes the server answer 500 to the requests from index i on.
func refuse(from int) func(*fixtures.Recording) {
	return func(rec *fixtures.Recording) {
		for i := range rec.Requests {
			if r := &rec.Requests[i]; r.Cell == rec.Header.Cell && r.Index >= from {
				send := r.Capture.Send
				r.Capture = &capture.Capture{Intended: send, Send: send, Stamp: capture.Kernel,
					Head:    capture.Head{Arrival: send + time.Millisecond, Status: 500, Header: map[string][]string{"Content-Type": {"application/json"}}},
					Trailer: capture.Trailer{Arrival: send + time.Millisecond, Clean: true}}
				r.Capture.Append([]byte(`{"error":{"message":"out of memory"}}`), send+time.Millisecond, send+time.Millisecond)
			}
		}
	}
}

func version(v string) func(*fixtures.Recording) {
	return func(rec *fixtures.Recording) { rec.Header.Info.Version = v }
}

func dialect(d string) func(*fixtures.Recording) {
	return func(rec *fixtures.Recording) { rec.Header.Info.Dialect = d }
}

// makeRecordings fills a directory with what the scripts name.
func makeRecordings(t testing.TB, dir string) {
	vllm := script.Script{Engine: "vllm", Dialect: "openai.completions", Concurrency: 1, Requests: 8, Tokens: 12}
	triton := script.Script{Engine: "triton", Dialect: "triton.tensorrt_llm", Concurrency: 2, Requests: 12, Tokens: 12, TTFT: 30 * time.Millisecond}
	llama := script.Script{Engine: "llama", Dialect: "openai.chat", Concurrency: 1, Requests: 8, Tokens: 12, Counts: script.None}
	in := func(name string) string { return filepath.Join(dir, name) }

	two := vllm
	two.Concurrency, two.Requests, two.Gap = 2, 12, 20*time.Millisecond
	for _, rec := range []*fixtures.Recording{recordingOf(t, vllm), recordingOf(t, two), recordingOf(t, triton)} {
		rec.Header.Describe = map[string]string{"gpu": "none"}
		write(t, in("recordings"), rec)
	}
	vllm.Gap = 11 * time.Millisecond
	write(t, in("next"), recordingOf(t, vllm, version("2.0")))
	write(t, in("nocount"), recordingOf(t, llama))
	write(t, in("refused"), recordingOf(t, vllm, refuse(6)))
	write(t, in("refused"), recordingOf(t, triton))
	write(t, in("future"), recordingOf(t, vllm, dialect("future.stream")))

	whole, err := os.ReadFile(filepath.Join(in("recordings"), "vllm.concurrency=1.jsonl.gz"))
	require.NoError(t, err)
	lines := unzip(t, whole)
	for name, data := range map[string][]byte{
		"cut.jsonl.gz":      whole[:len(whole)/2],
		"version.jsonl.gz":  zip(t, bytes.Replace(lines, []byte(`{"recording":1,`), []byte(`{"recording":7,`), 1)),
		"checksum.jsonl.gz": zip(t, bytes.Replace(lines, []byte(`"prompt":"script-3"`), []byte(`"prompt":"script-9"`), 1)),
		"misnamed.jsonl.gz": zip(t, signed(bytes.Replace(lines, []byte(`"concurrency":1,`), []byte(`"concurrency":4,`), 1))),
		"text.jsonl.gz":     []byte("BenchmarkServe/engine=vllm/concurrency=1 1 3 ns/op\n"),
		"prompt.jsonl.gz":   zip(t, signed(bytes.Replace(lines, []byte(`"prompt-tokens":128`), []byte(`"prompt-tokens":1152921504606846976`), -1))),
	} {
		require.NoError(t, os.MkdirAll(in("damaged"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(in("damaged"), name), data, 0o644))
	}
	require.NoError(t, os.MkdirAll(in("empty"), 0o755))
}

func unzip(t testing.TB, data []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	return text
}

func zip(t testing.TB, text []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

var checksum = regexp.MustCompile(`"sha256":"[0-9a-f]+"`)

// signed gives changed lines the checksum that they have now.
func signed(lines []byte) []byte {
	end := bytes.LastIndex(lines, []byte(`{"end":`))
	sum := sha256.Sum256(lines[:end])
	return append(lines[:end:end], checksum.ReplaceAll(lines[end:], fmt.Appendf(nil, `"sha256":"%s"`, hex.EncodeToString(sum[:])))...)
}

// wordServer is an engine whose tokens are words, and a word more a text where
// it is told so; after limit texts it breaks.
func wordServer(t testing.TB, more, limit int) string {
	t.Helper()
	asked := make(chan struct{}, limit)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /tokenize", func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
			http.Error(w, "out of memory", http.StatusInternalServerError)
			return
		}
		var q struct {
			Prompt  string `json:"prompt"`
			Special bool   `json:"add_special_tokens"`
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.Special {
			http.Error(w, "no special tokens are wanted", http.StatusBadRequest)
			return
		}
		ids := make([]int32, len(strings.Fields(q.Prompt))+more)
		_ = json.NewEncoder(w).Encode(map[string]any{"count": len(ids), "tokens": ids})
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}
