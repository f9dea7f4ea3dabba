package catalog_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/engines/catalog"
)

func TestEverySchemeOpensAnEngine(t *testing.T) {
	require.Equal(t, []string{"http", "https", "tgi+http", "tgi+https", "ollama+http", "ollama+https", "grpc", "grpcs"}, catalog.Schemes())
	for _, scheme := range catalog.Schemes() {
		spec, err := engines.ParseSpec("e=" + scheme + "://localhost:8000")
		require.NoError(t, err)
		e, err := catalog.Open(spec)
		require.NoError(t, err, scheme)
		require.NotNil(t, e)
	}
}

func TestAnUnknownSchemeIsNamedWithTheKnownOnes(t *testing.T) {
	spec, err := engines.ParseSpec("e=ws://localhost:8000")
	require.NoError(t, err)
	_, err = catalog.Open(spec)
	require.ErrorContains(t, err, `"ws"`)
	require.ErrorContains(t, err, "http, https, tgi+http")
}

func TestEveryDialectHasItsDecoder(t *testing.T) {
	for _, dialect := range []string{"openai.completions", "openai.chat", "tgi.generate_stream", "ollama.generate", "triton.tensorrt_llm"} {
		d, err := catalog.Decoder(dialect)
		require.NoError(t, err, dialect)
		require.NotNil(t, d)
	}
	_, err := catalog.Decoder("openai.responses")
	require.ErrorContains(t, err, `"openai.responses"`)
}
