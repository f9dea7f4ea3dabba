package enginebench_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestACalibrationThatCantBeReadIsNotedBeforeTheResults(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("ENGINEBENCH_CACHE", cache)
	replay := "-replay=" + recorded(t, cell(t, 1, ""))
	stdout, stderr, code := invoke(t, replay)
	require.Zero(t, code, "%s%s", stdout, stderr)
	require.NotContains(t, stdout, "calibration", "none is nothing to note")

	require.NoError(t, os.WriteFile(filepath.Join(cache, "calibration.json"), []byte("{"), 0o644))
	stdout, stderr, code = invoke(t, replay)
	require.Zero(t, code, "%s%s", stdout, stderr)
	require.Regexp(t, `(?m)^# read the calibration .*calibration\.json: unexpected EOF; make calibrate makes another$`, stdout)
	require.Contains(t, stdout, " replay truth: 11 streams with known times")
}
