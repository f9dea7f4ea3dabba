package workload

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestABudgetIsANumberOrAShare(t *testing.T) {
	for _, test := range []struct {
		text string
		n    int
		want int
	}{
		{"0", 100, 0}, {"3", 100, 3}, {"3", 1, 3},
		{"1%", 100, 1}, {"1%", 99, 0}, {"2.5%", 400, 10}, {"0%", 1000, 0}, {"100%", 7, 7},
		{"29%", 100, 29}, {"57%", 100, 57}, {"0.07%", 10000, 7}, {"29%", 99, 28},
	} {
		b, err := ParseBudget(test.text)
		require.NoError(t, err, test.text)
		require.Equal(t, test.want, b.Of(test.n), "%s of %d", test.text, test.n)
	}
	for _, text := range []string{"", "-1", "x", "1.5", "101%", "-1%", "NaN%", "%"} {
		_, err := ParseBudget(text)
		require.ErrorContains(t, err, "want a number, or a share", text)
	}
	require.Zero(t, Budget{}.Of(1000))
}
