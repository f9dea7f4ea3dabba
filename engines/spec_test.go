package engines

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestASpecIsANameAndAURL(t *testing.T) {
	spec, err := ParseSpec("vllm_0.9=https://host:8443/prefix?model=org/m@rev&api=chat")
	require.NoError(t, err)
	require.Equal(t, "vllm_0.9", spec.Name)
	require.Equal(t, "https://host:8443/prefix", spec.URL.String())
	require.Equal(t, "org/m@rev", spec.Options.Get("model"))
	require.Equal(t, "chat", spec.Options.Get("api"))
	require.Equal(t, "VLLM_0_9_API_KEY", KeyVariable(spec.Name))
}

func TestABadSpecIsRefusedAndNoPasswordShown(t *testing.T) {
	for spec, says := range map[string]string{
		"vllm":                               "want name=url",
		"http://user:hunter2@host":           "want name=url",
		"http://user:hunter2@host?model=x":   "the name must match",
		"VLLM=http://user:hunter2@host":      "the name must match",
		"vllm=localhost:8000":                "needs a scheme and a host",
		"vllm=":                              "needs a scheme and a host",
		"vllm=http://host:port":              `url "http://host:port": invalid port ":port" after host`,
		"vllm=http://user:hunter2@":          "set VLLM_API_KEY in the environment",
		"vllm=http://user:hunter2@host":      "set VLLM_API_KEY in the environment",
		"vllm=http://user:hunter2@host:port": "set VLLM_API_KEY in the environment",
		"vllm=http://user:hunter2/@host":     "set VLLM_API_KEY in the environment",
		"vllm=http://user:hunter2?@host":     "set VLLM_API_KEY in the environment",
		"vllm=http://us er:hunter2@host":     "set VLLM_API_KEY in the environment",
		"vllm=http://user:hunter2%zz@host":   "set VLLM_API_KEY in the environment",
		"vllm=user:hunter2@host":             "set VLLM_API_KEY in the environment",
	} {
		_, err := ParseSpec(spec)
		require.ErrorContains(t, err, says, spec)
		require.NotContains(t, err.Error(), "hunter2", spec)
		require.NotContains(t, err.Error(), "\n", spec)
	}
}

func TestARequestIDIsReadBack(t *testing.T) {
	id := RequestID{Invocation: "x7", Cell: "concurrency=32", Index: 12}
	back, err := ParseRequestID(id.String())
	require.NoError(t, err)
	require.Equal(t, id, back)
	for _, bad := range []string{"", "a/b", "a/b/c", "a/b/-1", "a/b/1/2"} {
		_, err := ParseRequestID(bad)
		require.ErrorContains(t, err, "want invocation/cell/index", bad)
	}
}
