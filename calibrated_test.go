package enginebench_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"enginebench/workload/truth"
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

func TestALiveRunSaysThatItsClientIsNotCalibrated(t *testing.T) {
	t.Setenv("ENGINEBENCH_CACHE", t.TempDir())
	server, _ := counting(t)
	args := []string{"-engine=fake=" + server.URL, "-concurrency=1", "-requests=1", "-output-tokens=1"}
	const note = "# the client is not calibrated on this machine, so that no load is known to be beyond it: make calibrate\n"
	stdout, stderr, code := invoke(t, args...)
	require.Zero(t, code, "%s%s", stdout, stderr)
	require.Contains(t, stdout, note)

	_, err := truth.Calibration{Sweeps: map[truth.Protocol]truth.Sweep{truth.HTTP: {Knee: 1e6, Cores: runtime.GOMAXPROCS(0)}}}.Save()
	require.NoError(t, err)
	stdout, stderr, code = invoke(t, args...)
	require.Zero(t, code, "%s%s", stdout, stderr)
	require.NotContains(t, stdout, note)
}
