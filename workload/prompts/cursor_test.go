package prompts

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func cursor(t testing.TB, n int, opts Options) *Cursor {
	t.Helper()
	pool, err := New(list(n))
	require.NoError(t, err)
	pool.Options = opts
	return NewCursor(pool)
}

func ids(ps []Prompt) string {
	s := make([]string, len(ps))
	for i, p := range ps {
		s[i] = p.ID
	}
	return strings.Join(s, " ")
}

func take(t testing.TB, c *Cursor, engine string, n int) string {
	t.Helper()
	ps, err := c.Take(engine, n)
	require.NoError(t, err)
	return ids(ps)
}

func warm(t testing.TB, c *Cursor, engine string, n int) string {
	t.Helper()
	ps, err := c.TakeWarmup(engine, n)
	require.NoError(t, err)
	return ids(ps)
}

func TestEnginesGetTheSameSlicesAndNothingTwice(t *testing.T) {
	c := cursor(t, 12, Options{}) // 1 of 12 for warm-up
	require.Equal(t, 11, c.Available())
	require.Equal(t, "p0 p1 p2", take(t, c, "vllm", 3))
	require.Equal(t, "p3", take(t, c, "vllm", 1))
	require.Equal(t, "p0 p1 p2", take(t, c, "triton", 3))
	require.Equal(t, "", take(t, c, "triton", 0))
	require.Equal(t, "p3", take(t, c, "triton", 1))
	require.Equal(t, "p4 p5 p6 p7 p8 p9 p10", take(t, c, "vllm", 7))
	require.Empty(t, c.Warnings())
}

func TestExhaustedPoolSaysWhatIsNeededAndTakesNothing(t *testing.T) {
	c := cursor(t, 20, Options{}) // 18 to measure
	take(t, c, "vllm", 10)
	_, err := c.Take("vllm", 9)
	require.ErrorIs(t, err, ErrExhausted)
	// 19 to measure need 21: 21/10 = 2 for warm-up
	require.EqualError(t, err, "too few prompts: vllm needs 19 (10 were used) and the pool of 20 has 18 to measure: "+
		"make a larger one (go tool prompts -n=21), send fewer requests (-requests, -concurrency), or allow repeats that measure the prefix cache (-prompts=…?reuse=ok)")
	require.Equal(t, "p10 p11 p12 p13 p14 p15 p16 p17", take(t, c, "vllm", 8), "the failed Take took nothing")
	_, err = c.Take("vllm", 1)
	require.ErrorIs(t, err, ErrExhausted)
	require.Equal(t, "p0", take(t, c, "triton", 1), "each engine has a position of its own")
}

func TestAdvisedPoolSizeIsTheSmallestThatIsEnough(t *testing.T) {
	for _, of := range []int{1, 2, 6} {
		for n := 1; n < 300; n++ {
			size := cursor(t, 2, Options{Pass: Pass{1, of}}).poolFor(n)
			enough := func(size int) bool {
				for i := 1; i <= of; i++ {
					if _, there := measuredPart(size, Pass{i, of}); there < n {
						return false
					}
				}
				return true
			}
			require.True(t, enough(size), "%d prompts for %d in each of %d passes", size, n, of)
			require.False(t, enough(size-1), "%d prompts for %d in each of %d passes", size-1, n, of)
		}
	}
}

func TestCheckAsksBeforehand(t *testing.T) {
	c := cursor(t, 20, Options{})
	require.NoError(t, c.Check(18))
	require.ErrorContains(t, c.Check(19), "an engine needs 19 (0 were used) and the pool of 20 has 18")
	require.Equal(t, "p0", take(t, c, "vllm", 1), "Check takes nothing")
	require.NoError(t, NewCursor(synth(t, "in=8", 1)).Check(1<<30))
}

func TestReuseStartsAgainAndSaysSo(t *testing.T) {
	c := cursor(t, 4, Options{Reuse: true}) // 3 to measure
	require.NoError(t, c.Check(100))
	require.Equal(t, "p0 p1 p2", take(t, c, "vllm", 3))
	require.Empty(t, c.Warnings())
	require.Equal(t, "p0 p1 p2 p0 p1", take(t, c, "vllm", 5))
	take(t, c, "triton", 4)
	require.Equal(t, []string{
		"triton: 1 of 4 requests had a prompt that was sent before (reuse=ok, 3 prompts): its prefix cache may have answered them",
		"vllm: 5 of 8 requests had a prompt that was sent before (reuse=ok, 3 prompts): its prefix cache may have answered them",
	}, c.Warnings())
}

func TestWarmupIsNeverMeasured(t *testing.T) {
	for _, c := range []struct{ size, warmups int }{{2, 1}, {9, 1}, {19, 1}, {20, 2}, {100, 10}} {
		cur := cursor(t, c.size, Options{})
		require.Equal(t, c.size-c.warmups, cur.Available())
		set := map[string]bool{}
		for _, id := range strings.Fields(take(t, cur, "e", cur.Available()) + " " + warm(t, cur, "e", c.warmups)) {
			require.False(t, set[id], id)
			set[id] = true
		}
		require.Len(t, set, c.size)
	}
}

func TestWarmupRepeatsAmongItself(t *testing.T) {
	c := cursor(t, 20, Options{})
	require.Equal(t, "p18 p19 p18", warm(t, c, "vllm", 3))
	require.Equal(t, "p19", warm(t, c, "vllm", 1))
	require.Equal(t, "p18", warm(t, c, "triton", 1))
	require.Empty(t, c.Warnings())
}

func TestPoolOfOnePromptHasNothingToMeasure(t *testing.T) {
	c := cursor(t, 1, Options{Reuse: true})
	_, err := c.Take("vllm", 1)
	require.ErrorIs(t, err, ErrExhausted)
	require.ErrorContains(t, err, "one is kept for warm-up: make a larger one (go tool prompts -n=2)")
	require.Equal(t, "p0", warm(t, c, "vllm", 1))
}

func TestPassesShareAPoolWithoutOverlap(t *testing.T) {
	// 40 prompts: 4 for warm-up, 36 in 5 parts of 7, 7, 7, 7 and 8
	sizes, set := []int{7, 7, 7, 7, 8}, map[string]bool{}
	for k := 1; k <= 5; k++ {
		c := cursor(t, 40, Options{Pass: Pass{k, 5}})
		require.Equal(t, sizes[k-1], c.Available())
		for _, id := range strings.Fields(take(t, c, "e", c.Available())) {
			require.False(t, set[id], id)
			set[id] = true
		}
		_, err := c.Take("e", 1)
		require.ErrorContains(t, err, fmt.Sprintf("in pass %d of 5", k))
	}
	require.Len(t, set, 36)
	// the four warm-up prompts, from another one on: 4·0/5 = 0, 4·1/5 = 0, 4·2/5 = 1
	require.Equal(t, "p36 p37", warm(t, cursor(t, 40, Options{Pass: Pass{2, 5}}), "e", 2))
	require.Equal(t, "p37 p38", warm(t, cursor(t, 40, Options{Pass: Pass{3, 5}}), "e", 2))
}

func TestPassesOfAPoolThatIsTooSmall(t *testing.T) {
	c := cursor(t, 4, Options{Reuse: true, Pass: Pass{1, 6}}) // 3 to measure, none in the first sixth
	_, err := c.Take("e", 1)
	require.ErrorContains(t, err, "has 0 to measure in pass 1 of 6: make a larger one (go tool prompts -n=7)")
	require.NotContains(t, err.Error(), "reuse=ok", "repeating nothing does not help")
}

func TestSyntheticPassesAndWarmupDoNotOverlap(t *testing.T) {
	set := map[string]bool{}
	for k := 1; k <= 3; k++ {
		pool, err := Open(fmt.Sprintf("synthetic:in=32&pass=%d/3", k), 42)
		require.NoError(t, err)
		c := NewCursor(pool)
		require.Equal(t, Unbounded, c.Available())
		first, err := c.Take("e", 100)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("s%d-99", k), first[99].ID)
		more, err := c.Take("e", 100)
		require.NoError(t, err)
		warmup, err := c.TakeWarmup("e", 100)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("w%d-99", k), warmup[99].ID)
		for _, p := range append(append(first, more...), warmup...) {
			set[fmt.Sprint(p.Tokens)] = true
		}
		again, err := NewCursor(pool).Take("another", 100)
		require.NoError(t, err)
		require.Equal(t, first, again)
	}
	require.Len(t, set, 3*300)
}

func TestNegativeCounts(t *testing.T) {
	c := cursor(t, 4, Options{})
	_, err := c.Take("e", -1)
	require.ErrorContains(t, err, "take -1 prompts")
	_, err = c.TakeWarmup("e", -1)
	require.ErrorContains(t, err, "take -1 warm-up prompts")
}

func TestCursorIsSafeForConcurrentUse(t *testing.T) {
	c := cursor(t, 1000, Options{})
	var mu sync.Mutex
	var wg sync.WaitGroup
	set := map[string]bool{}
	for range 9 {
		wg.Go(func() {
			ps, err := c.Take("e", 100)
			mu.Lock()
			defer mu.Unlock()
			for _, p := range ps {
				set[p.ID] = true
			}
			if err != nil {
				set[err.Error()] = true
			}
			_ = c.Warnings()
		})
	}
	wg.Wait()
	require.Len(t, set, 900)
}
