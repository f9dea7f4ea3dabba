package openai

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/engines/capture"
)

// TestARealVLLM runs only where ENGINEBENCH_VLLM holds the URL of one.
func TestARealVLLM(t *testing.T) {
	address := os.Getenv("ENGINEBENCH_VLLM")
	if address == "" {
		t.Skip("ENGINEBENCH_VLLM is not set")
	}
	for _, query := range []string{"", "?prompt=text", "?api=chat"} {
		t.Run("query="+query, func(t *testing.T) {
			spec, err := engines.ParseSpec("vllm=" + address + query)
			require.NoError(t, err)
			e, err := New(spec)
			require.NoError(t, err)
			info, err := e.Describe(context.Background())
			require.NoError(t, err)
			t.Logf("%+v", info.Warnings)
			require.Equal(t, "vLLM", info.Server)
			require.NotEmpty(t, info.Version)
			require.Equal(t, query == "", info.TakesTokens)
			require.True(t, info.ForcesOutput)
			require.True(t, info.TakesSalt)
			require.True(t, info.PerEvent)
			require.Equal(t, countedIDs, info.Counts)
			require.Empty(t, info.Warnings)

			slot, err := e.Dial(context.Background())
			require.NoError(t, err)
			defer slot.Close()
			m, err := e.Encode(engines.Request{ID: engines.RequestID{Invocation: "test", Cell: "c"}, Tokens: preflightTokens, Text: preflightText, OutputTokens: 20, Salt: "s"})
			require.NoError(t, err)
			c := capture.New(1, 64<<10, 64)[0]
			require.NoError(t, slot.Send(context.Background(), m, c))
			r := e.Decode(c)
			require.Nil(t, r.Err)
			require.Equal(t, 20, r.Tokens)
			require.Len(t, r.IDs, 20)
			require.Equal(t, countedIDs, r.Counted)
			require.Equal(t, "length", r.Finish)
			require.Empty(t, r.Warnings)
			if query == "" {
				require.Equal(t, len(preflightTokens), r.PromptTokens)
			}

			counters, err := e.(engines.CounterReader).Counters(context.Background())
			require.NoError(t, err)
			require.Positive(t, counters[engines.TTFTCount])
			for _, x := range info.Exchanges {
				t.Logf("%s %d %s asked %s", x.Method, x.Status, x.Type, x.Asked)
			}
		})
	}
}

func TestARealVLLMRefuses(t *testing.T) {
	address := os.Getenv("ENGINEBENCH_VLLM")
	if address == "" {
		t.Skip("ENGINEBENCH_VLLM is not set")
	}
	e := open(t, address, "")
	info, err := e.Describe(context.Background())
	require.NoError(t, err)
	slot, err := e.Dial(context.Background())
	require.NoError(t, err)
	defer slot.Close()
	for _, test := range []struct {
		name   string
		tokens []int32
		class  engines.Class
		says   string
	}{
		{"a prompt that is too long", make([]int32, info.MaxModelLen+4), engines.Rejected, "maximum context length"},
		{"an id out of the vocabulary", []int32{1 << 30}, engines.EngineError, "out of vocabulary"},
		{"and the slot works afterward", preflightTokens, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, err := e.Encode(engines.Request{ID: engines.RequestID{Invocation: "test", Cell: test.name}, Tokens: test.tokens, OutputTokens: 2})
			require.NoError(t, err)
			c := capture.New(1, 64<<10, 64)[0]
			_ = slot.Send(context.Background(), m, c)
			r := e.Decode(c)
			if test.class == "" {
				require.Nil(t, r.Err)
				return
			}
			require.NotNil(t, r.Err)
			t.Log(r.Err)
			require.Equal(t, test.class, r.Err.Class)
			require.Contains(t, r.Err.Error(), test.says)
		})
	}
}
