package wholefile_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"enginebench/internal/wholefile"
)

func TestAFailureLeavesWhatWasThereAndNothingElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "f")
	require.NoError(t, wholefile.WriteBytes(path, []byte("first")))
	full := errors.New("no space left")
	err := wholefile.Write(path, func(w io.Writer) error {
		io.WriteString(w, "half")
		return full
	})
	require.ErrorIs(t, err, full)
	require.ErrorContains(t, err, path)
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "first", string(got))
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.NoError(t, wholefile.WriteBytes(path, []byte("second")))
	got, err = os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "second", string(got))
}
