//go:build linux

package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseStat(t *testing.T) {
	const rest = " S 1 42 42 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 8 0 987654 1000 200 18446744073709551615"
	for name, test := range map[string]struct {
		in   string
		want stat
		err  string
	}{
		"plain":               {in: "43 (python)" + rest, want: stat{'S', 42, 987654}},
		"parentheses in name": {in: "43 (a) R 7 (b)" + rest, want: stat{'S', 42, 987654}},
		"no command":          {in: "43 S 1", err: "no command"},
		"cut off":             {in: "43 (python) S 1 42", err: "too few fields"},
		"not a number":        {in: "43 (python) S 1 42 x 0 -1 1 1 0 0 0 5 6 0 0 20 0 8 0 9 1 2", err: "session"},
	} {
		got, err := parseStat([]byte(test.in))
		if test.err != "" {
			require.ErrorContains(t, err, test.err, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, test.want, got, name)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("43 (python) S 1 42 42 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 8 0 987654 1000"))
	f.Add([]byte(") "))
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := parseStat(data); err == nil && got.state == 0 {
			t.Errorf("no error and no state for %q", data)
		}
	})
}
