package openai

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
)

var update = flag.Bool("update", false, "write the golden files")

func TestBodiesAreAsInTheGoldenFiles(t *testing.T) {
	request := engines.Request{ID: engines.RequestID{Invocation: "i", Cell: "c"}, Tokens: []int32{128000, 9906, 1917}, Text: "Hello <world> & \"you\"\n", OutputTokens: 512, Salt: "salt"}
	for _, test := range []struct {
		name, query string
		change      func(*Engine)
	}{
		{name: "completions-tokens"},
		{name: "completions-text", query: "?prompt=text"},
		{name: "chat", query: "?api=chat"},
		{name: "extra", query: `?extra={"temperature":0.7,"lora":"x","bad_words":["<a>"]}`},
		{name: "bare", change: func(e *Engine) {
			for _, f := range e.shape.optional() {
				e.shape = e.shape.without(f.name)
			}
		}},
		{name: "running-usage", change: func(e *Engine) {
			e.shape = e.shape.without("return_token_ids").with("stream_options", `{"include_usage":true,"continuous_usage_stats":true}`)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := open(t, "http://localhost:8000", test.query)
			e.shape.model = "m"
			if test.change != nil {
				test.change(e)
			}
			m, err := e.Encode(request)
			require.NoError(t, err)
			require.Equal(t, "i/c/0", m.ID)
			var got bytes.Buffer
			require.NoError(t, json.Indent(&got, m.Body, "", "  "))
			got.WriteByte('\n')
			golden := filepath.Join("testdata", test.name+".json")
			if *update {
				require.NoError(t, os.WriteFile(golden, got.Bytes(), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err, "run with -update to write it")
			require.Equal(t, string(want), got.String())
		})
	}
}

func TestARequestWithoutASaltSendsNone(t *testing.T) {
	m, err := open(t, "http://localhost:8000", "").Encode(engines.Request{Tokens: []int32{1}, OutputTokens: 1})
	require.NoError(t, err)
	require.NotContains(t, string(m.Body), "cache_salt")
}

func TestEncodeRefusesAPromptThatTheDialectCannotCarry(t *testing.T) {
	_, err := open(t, "http://localhost:8000", "").Encode(engines.Request{Text: "a"})
	require.ErrorContains(t, err, "no token ids")
	for _, query := range []string{"?prompt=text", "?api=chat"} {
		_, err = open(t, "http://localhost:8000", query).Encode(engines.Request{Tokens: []int32{1}})
		require.ErrorContains(t, err, "no text")
	}
}
