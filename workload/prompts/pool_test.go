package prompts

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOpenForms(t *testing.T) {
	file := filepath.Join(t.TempDir(), "prompts.jsonl")
	require.NoError(t, os.WriteFile(file, []byte(written(t, list(12))), 0o644))
	for _, c := range []struct {
		value string
		len   int
		opts  Options
		spec  string
	}{
		{file, 12, Options{}, ""},
		{file + "?reuse=ok", 12, Options{Reuse: true}, ""},
		{file + "?pass=2/6", 12, Options{Pass: Pass{2, 6}}, ""},
		{file + "?pass=2/6&reuse=ok", 12, Options{Reuse: true, Pass: Pass{2, 6}}, ""},
		{file + "?reuse=ok?pass=2/6", 12, Options{Reuse: true, Pass: Pass{2, 6}}, ""},
		{"synthetic:in=128?reuse=ok?pass=2/6", Unbounded, Options{Reuse: true, Pass: Pass{2, 6}}, ""},
		{"synthetic:in=128", Unbounded, Options{}, "synthetic:in=128&ids=1000-29999, seed 7"},
		{"synthetic:in=64-256?reuse=ok", Unbounded, Options{Reuse: true}, "synthetic:in=64-256&ids=1000-29999, seed 7"},
		{"synthetic:in=64&pass=1/3&ids=5-999", Unbounded, Options{Pass: Pass{1, 3}}, "synthetic:in=64&ids=5-999, seed 7"},
	} {
		pool, err := Open(c.value, 7)
		require.NoError(t, err, c.value)
		require.Equal(t, c.len, pool.Len(), c.value)
		require.Equal(t, c.opts, pool.Options, c.value)
		if c.spec != "" {
			require.Equal(t, c.spec, pool.rule.String())
		}
		require.NotContains(t, pool.Describe(), "/tmp", "no path")
	}
	pool, err := Open(file+"?reuse=ok&pass=2/6", 7)
	require.NoError(t, err)
	require.Contains(t, pool.Describe(), ", pass 2 of 6, reuse=ok")
}

func TestOpenErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "prompts.jsonl")
	require.NoError(t, os.WriteFile(file, []byte(written(t, list(2))), 0o644))
	for value, want := range map[string]string{
		"":                             "want FILE.jsonl, or synthetic:in=128",
		"?reuse=ok":                    "want FILE.jsonl",
		"synthetic":                    "want FILE.jsonl, or synthetic:in=128",
		"synthetic:":                   "want in=128",
		"synthetic:in=128&reuse=yes":   "reuse=yes: want reuse=ok",
		"synthetic:in=128?pass=0/3":    "pass=0/3: want K/N",
		file + "?reuse":                "reuse=: want reuse=ok",
		file + "?pass=4/3":             "pass=4/3: want K/N with 1 ≤ K ≤ N",
		file + "?pass=2":               "pass=2: want K/N",
		file + "?in=4":                 `unknown option "in=4"`,
		filepath.Join(file, "nowhere"): "load prompts",
		"none.jsonl":                   "go tool prompts",
	} {
		_, err := Open(value, 1)
		require.ErrorContains(t, err, want, value)
	}
}

func TestLengthsString(t *testing.T) {
	require.Equal(t, "128 tokens each", Lengths{128, 128, 128, 128}.String())
	// 4, 5, 6 and 7 tokens: the median by nearest rank is the second, the mean 22/4
	require.Equal(t, "4 to 7 tokens (median 5, mean 5.5)", lengthsOf(list(4)).String())
}
