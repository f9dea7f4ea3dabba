package truth_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/engines/capture"
	"enginebench/fixtures/replay"
	"enginebench/fixtures/script"
	"enginebench/workload"
)

func TestAPlayEndsWithItsContext(t *testing.T) {
	for _, dialect := range []string{"openai.completions", "triton.tensorrt_llm"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			st := open(t, script.Script{Dialect: dialect, Stall: time.Hour}, replay.Options{})
			tooLate := errors.New("too late")
			ctx, cancel := context.WithTimeoutCause(t.Context(), 50*ms, tooLate)
			defer cancel()
			_, _, err := st.Play(ctx, st.runner)
			require.ErrorIs(t, err, tooLate)
		})
	}
}

func TestAPlayOfADeadServerIsAnError(t *testing.T) {
	st := open(t, script.Script{Dialect: "openai.completions"}, replay.Options{})
	require.NoError(t, st.Close())
	_, _, err := st.Play(t.Context(), st.runner)
	require.ErrorContains(t, err, "the server is closed")
}

// losing decodes all but the last token of a reply.
type losing struct{ engines.Engine }

func (l losing) Decode(c *capture.Capture) engines.Reply {
	r := l.Engine.Decode(c)
	r.Tokens--
	return r
}

func TestADecoderThatLosesTokensIsHeldAgainstTheScript(t *testing.T) {
	st := open(t, script.Script{Dialect: "openai.completions", Concurrency: 2, Requests: 4, Tokens: 8, TTFT: 5 * ms, Gap: ms}, replay.Options{})
	st.Engine = losing{st.Engine}
	runner := &workload.Runner{Engine: st.Engine}
	t.Cleanup(func() { runner.Close() })
	_, c, err := st.Play(t.Context(), runner)
	require.NoError(t, err)
	require.Equal(t, -4, c.Tokens.Error()) // one of each reply
}
