package catalog

import (
	"testing"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
)

func schemes() (all []string) {
	for _, r := range table {
		all = append(all, r.schemes...)
	}
	return all
}

func TestEverySchemeOpensAnEngine(t *testing.T) {
	seen := map[string]bool{}
	for _, scheme := range schemes() {
		require.False(t, seen[scheme], "%s is in two rows", scheme)
		seen[scheme] = true
		spec, err := engines.ParseSpec("e=" + scheme + "://localhost:8000")
		require.NoError(t, err)
		e, err := Open(spec)
		require.NoError(t, err, scheme)
		require.NotNil(t, e)
	}
}

func TestAnUnknownSchemeIsNamedWithTheKnownOnes(t *testing.T) {
	spec, err := engines.ParseSpec("e=ws://localhost:8000")
	require.NoError(t, err)
	_, err = Open(spec)
	require.ErrorContains(t, err, `"ws"`)
	require.ErrorContains(t, err, "http, https (OpenAI-compatible")
	for _, scheme := range schemes() {
		require.ErrorContains(t, err, scheme)
	}
}

func TestEveryDialectHasItsDecoder(t *testing.T) {
	for _, dialect := range []string{"openai.completions", "openai.chat", "tgi.generate_stream", "ollama.generate", "triton.tensorrt_llm"} {
		d, err := Decoder(dialect)
		require.NoError(t, err, dialect)
		require.NotNil(t, d)
	}
	_, err := Decoder("openai.responses")
	require.ErrorContains(t, err, `"openai.responses"`)
}
