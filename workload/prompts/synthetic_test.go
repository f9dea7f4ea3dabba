package prompts

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func synth(t testing.TB, spec string, seed uint64) *Pool {
	t.Helper()
	pool, err := Synthetic(spec, seed)
	require.NoError(t, err)
	return pool
}

// What a seed gives must never change: results of different versions are compared.
func TestSyntheticGolden(t *testing.T) {
	var got strings.Builder
	for _, c := range []struct {
		spec string
		seed uint64
	}{{"in=16", 42}, {"in=8-24", 42}, {"in=16", 43}, {"in=70&ids=0-1", 42}} {
		pool := synth(t, c.spec, c.seed)
		fmt.Fprintf(&got, "%s\n", pool.Describe())
		for _, i := range []uint64{0, 1, 1 << passShift, warmBit} {
			p := pool.rule.prompt(i)
			fmt.Fprintf(&got, "%s %v %s\n", p.ID, p.Tokens, p.Text)
		}
	}
	path := filepath.Join("testdata", "synthetic.txt")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got.String()), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got.String())
}

func TestSyntheticLengthsAndIDs(t *testing.T) {
	pool := synth(t, "in=64-256", 1)
	seen := map[int]bool{}
	for i := range uint64(5000) {
		p := pool.rule.prompt(i)
		seen[len(p.Tokens)] = true
		require.Len(t, strings.Fields(p.Text), len(p.Tokens), "a word a token")
		for _, id := range p.Tokens {
			require.True(t, id >= defaultLow && id <= defaultHigh, id)
		}
	}
	// 193 lengths, 26 prompts each on average: all come up, none outside
	require.Len(t, seen, 193)
	require.True(t, seen[64] && seen[256])
	require.Equal(t, Lengths{64, 256, 160, 160}, pool.Lengths())
	require.Equal(t, Unbounded, pool.Len())
	require.Equal(t, int32(29999), pool.MaxToken())
}

// A prefix cache works on whole blocks, the smallest in use being 16 tokens: no two prompts may agree even in eight.
func TestSyntheticPromptsDoNotBeginAlike(t *testing.T) {
	for _, spec := range []string{"in=8", "in=8-64", "in=64&ids=7-8"} {
		pool := synth(t, spec, 3)
		lead := digits(pool.rule.ids.size())
		tokens, texts := map[string]uint64{}, map[string]uint64{}
		for pass := range uint64(3) {
			for _, part := range []uint64{0, warmBit} {
				for i := range uint64(2000) {
					p := pool.rule.prompt(part | pass<<passShift | i)
					tokens[fmt.Sprint(p.Tokens[:lead])]++
					texts[strings.Join(strings.Fields(p.Text)[:8], " ")]++
				}
			}
		}
		require.Len(t, tokens, 3*2*2000, spec)
		require.Len(t, texts, 3*2*2000, spec)
	}
}

func TestSyntheticHashIsOfSpecAndSeed(t *testing.T) {
	same := synth(t, "in=128", 42).Hash()
	require.Regexp(t, "^[0-9a-f]{12}$", same)
	require.Equal(t, same, synth(t, "ids=1000-29999&in=128-128", 42).Hash())
	for _, other := range []*Pool{synth(t, "in=129", 42), synth(t, "in=128", 43), synth(t, "in=128&ids=1000-30000", 42)} {
		require.NotEqual(t, same, other.Hash())
	}
}

func TestSyntheticSpecErrors(t *testing.T) {
	for spec, want := range map[string]string{
		"":                       "want in=128",
		"in":                     `"in": "" is not a number`,
		"in=x":                   `"x" is not a number`,
		"in=9-":                  `"9-" is not a number`,
		"in=20-10":               `"20-10" is not a number, nor a range`,
		"in=-5":                  "is not a number",
		"out=5":                  `"out=5": want in=128`,
		"ids=1-9":                "in=0: want 21 to 1048576 tokens", // 9^21 > 2^64 > 9^20
		"in=7":                   "in=7: want 8 to 1048576 tokens",
		"in=2000000":             "in=2000000: want 8",
		"in=64&ids=5":            "ids=5: want at least two ids",
		"in=64&ids=0-1<<40":      "is not a number",
		"in=64&ids=0-2147483648": "ids=0-2147483648: want at least two ids, from 0 to 2147483647",
	} {
		_, err := Synthetic(spec, 1)
		require.ErrorContains(t, err, want, spec)
	}
}

func TestDigits(t *testing.T) {
	require.Equal(t, 64, digits(2))    // 2^64
	require.Equal(t, 8, digits(512))   // 512^8 = 2^72
	require.Equal(t, 5, digits(29000)) // 29000^4 = 7e17 < 1.8e19
	require.Equal(t, 4, digits(65537)) // 65537^4 > 2^64
	require.Equal(t, 5, digits(65535)) // 65535^4 < 2^64
}

func TestWordsAreDistinct(t *testing.T) {
	set := map[string]bool{}
	for _, w := range words {
		set[w] = true
	}
	require.Len(t, words, 512)
	require.Len(t, set, 512)
}

func BenchmarkSynthetic(b *testing.B) {
	pool := synth(b, "in=128", 1)
	for i := uint64(0); b.Loop(); i++ {
		pool.rule.prompt(i)
	}
}
