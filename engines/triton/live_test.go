package triton

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/engines/capture"
)

// TestLive measures the models of a real Triton, where ENGINEBENCH_TRITON
// names one: localhost:8001.
func TestLive(t *testing.T) {
	address := os.Getenv("ENGINEBENCH_TRITON")
	if address == "" {
		t.Skip("ENGINEBENCH_TRITON is not set; set it to the host:port of a Triton to check against it")
	}
	models := os.Getenv("ENGINEBENCH_TRITON_MODELS")
	if models == "" {
		models = "tensorrt_llm"
	}
	for name := range strings.SplitSeq(models, ",") {
		t.Run(name, func(t *testing.T) { checkLive(t, "triton=grpc://"+address+"?model="+name) })
	}
	t.Run("unknown model", func(t *testing.T) {
		_, err := openLive(t, "triton=grpc://"+address+"?model=no_such_model").Describe(t.Context())
		require.Equal(t, engines.Rejected, engines.ClassOf(err))
		require.ErrorContains(t, err, "choose one with ?model=NAME of: ")
		t.Log(err)
	})
}

func openLive(t *testing.T, url string) engines.Engine {
	spec, err := engines.ParseSpec(url)
	require.NoError(t, err)
	engine, err := New(spec)
	require.NoError(t, err)
	return engine
}

func checkLive(t *testing.T, url string) {
	engine := openLive(t, url)
	info, err := engine.Describe(t.Context())
	require.NoError(t, err)
	t.Logf("%s %s, %s, model %s, forces=%v counts=%q at most %d at once, %d exchanges", info.Server, info.Version, info.Dialect, info.Model,
		info.ForcesOutput, info.Counts, info.MaxConcurrency, len(info.Exchanges))
	for _, w := range info.Warnings {
		t.Log("warning: ", w)
	}
	before, err := engine.(engines.CounterReader).Counters(t.Context())
	require.NoError(t, err)
	slot, err := engine.Dial(t.Context())
	require.NoError(t, err)
	defer slot.Close()
	const n = 32
	for i := range 3 {
		m, err := engine.Encode(engines.Request{
			ID:     engines.RequestID{Invocation: "live", Cell: info.Model, Index: i},
			Tokens: []int32{9906, 1917, 11, 1268, 527, 499, int32(100 + i)}, Text: "Hello world, how are you", OutputTokens: n,
		})
		require.NoError(t, err)
		c := capture.New(1, 1<<16, 256)[0]
		require.NoError(t, slot.Send(t.Context(), m, c))
		r := engine.Decode(c)
		require.Nil(t, r.Err)
		if info.ForcesOutput && info.Counts != "" {
			require.Equal(t, n, r.Tokens)
		}
		require.NotEmpty(t, r.Events)
		first, last := r.Events[0], r.Events[len(r.Events)-1]
		require.Less(t, c.Send, first.Arrival)
		t.Logf("%v stamps: %d tokens in %d events of %d messages, ttft %v (server's own %v), latency %v, trailer %v after the last token, prompt %d, cached %d, finish %q, text %.40q",
			c.Stamp, r.Tokens, len(r.Events), len(c.Chunks), first.Arrival-c.Send, r.ServerTTFT, last.Arrival-c.Send,
			c.Trailer.Arrival-last.Arrival, r.PromptTokens, r.CachedTokens, r.Finish, r.Text)
	}
	after, err := engine.(engines.CounterReader).Counters(t.Context())
	require.NoError(t, err)
	t.Log("counters before", before, "after", after)
	if len(info.Preflight) > 0 {
		require.Equal(t, engines.Rejected, tooLong(t, engine, slot).Class)
	}
}

// tooLong sends a prompt that no model here takes.
func tooLong(t *testing.T, engine engines.Engine, slot engines.Slot) *engines.Error {
	m, err := engine.Encode(engines.Request{Tokens: make([]int32, 100_000), Text: strings.Repeat("word ", 100_000), OutputTokens: 8})
	require.NoError(t, err)
	c := capture.New(1, 1<<12, 16)[0]
	require.NoError(t, slot.Send(t.Context(), m, c))
	r := engine.Decode(c)
	require.NotNil(t, r.Err)
	t.Log(r.Err)
	return r.Err
}
