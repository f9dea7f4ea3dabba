//go:build !tokenizers

package tokenizer

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOpenWithoutTheLibrarySaysWhatToDo(t *testing.T) {
	_, err := New("tokenizer.json", "")
	require.ErrorIs(t, err, ErrNotBuilt)
	require.ErrorContains(t, err, "make tokenizers")
	require.ErrorContains(t, err, "-tokenize=http://")
}
