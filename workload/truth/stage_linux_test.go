package truth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"enginebench/fixtures/replay"
	"enginebench/fixtures/script"
)

// A process that is stopped holds its connections open and answers nothing.
func TestAPlayEndsWithItsContextThoughTheServerAnswersNothing(t *testing.T) {
	before := children(t)
	st := open(t, script.Script{Dialect: "openai.completions"}, replay.Options{})
	stopped := 0
	for pid := range children(t) {
		if !before[pid] {
			require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
			stopped++
		}
	}
	require.Equal(t, 1, stopped)
	tooLate := errors.New("too late")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*ms, tooLate)
	defer cancel()
	_, _, err := st.Play(ctx, st.runner)
	require.ErrorIs(t, err, tooLate)
}

// children are the processes that this one has started.
func children(t *testing.T) map[int]bool {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	found := map[int]bool{}
	for _, path := range all {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		var parent int
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		require.NoError(t, err)
		after := data[1+bytes.LastIndexByte(data, ')'):] // the name before it may hold anything
		if _, err := fmt.Sscanf(string(after), " %1s %d", new(string), &parent); err == nil && parent == os.Getpid() {
			found[pid] = true
		}
	}
	return found
}
