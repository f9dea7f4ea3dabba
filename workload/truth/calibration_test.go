package truth_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/workload/truth"
)

func TestACalibrationIsKeptByProtocolAndForItsNumberOfCores(t *testing.T) {
	t.Setenv("ENGINEBENCH_CACHE", t.TempDir())
	none, err := truth.LoadCalibration()
	require.NoError(t, err)
	require.Zero(t, none)
	require.Zero(t, none.Knee(truth.HTTP))

	cores := runtime.GOMAXPROCS(0)
	kept := truth.Calibration{Sweeps: map[truth.Protocol]truth.Sweep{
		truth.HTTP: {Knee: 50_000, Cores: cores, Points: []truth.Point{{Streams: 4, Error: ms, ErrorAt: "p99", Holds: true}}},
		truth.GRPC: {Knee: 20_000, Cores: cores + 1}}}
	_, err = kept.Save()
	require.NoError(t, err)
	c, err := truth.LoadCalibration()
	require.NoError(t, err)
	require.Equal(t, kept, c)
	require.Equal(t, 50_000.0, c.Knee(truth.HTTP))
	require.Zero(t, c.Knee(truth.GRPC), "of another number of cores")
}

func TestACalibrationThatCantBeReadIsAnErrorThatNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("ENGINEBENCH_CACHE", dir)
	path := filepath.Join(dir, "calibration.json")
	for name, text := range map[string]string{
		"cut off":       `{"sweeps": {"http"`,
		"empty":         ``,
		"another shape": `{"chunks-per-second": 50000, "cores": 2}`,
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
			c, err := truth.LoadCalibration()
			require.ErrorContains(t, err, "read the calibration "+path)
			require.Zero(t, c)
		})
	}
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Mkdir(path, 0o755))
	_, err := truth.LoadCalibration()
	require.ErrorContains(t, err, "is a directory")
}

func TestAnEnginesProtocolIsThatOfItsClient(t *testing.T) {
	for said, want := range map[string]truth.Protocol{"http/1.1 sse": truth.HTTP, "http/1.1 ndjson": truth.HTTP, "grpc": truth.GRPC, "": truth.HTTP} {
		require.Equal(t, want, truth.ProtocolOf(engines.Info{Protocol: said}), said)
	}
}

func TestAPointsRateIsWhatWasWritten(t *testing.T) {
	// 2 streams of 5 steps of 10 ms: 10 events, the last ones 40 ms after the first.
	require.Equal(t, 200.0, truth.NewPoint(2, 10*ms, truth.Comparison{Events: 10, Span: 40 * ms}).Rate)
	// A server that takes twice as long for each: 10 in 90 ms.
	require.InEpsilon(t, 111.1, truth.NewPoint(2, 10*ms, truth.Comparison{Events: 10, Span: 80 * ms}).Rate, 1e-3)
}

func TestAPointHoldsWithinItsBounds(t *testing.T) {
	at := func(late time.Duration, coalesced int) bool {
		return truth.NewPoint(1, 10*ms, truth.Comparison{Chunks: []time.Duration{late}, Events: 100, Coalesced: coalesced}).Holds
	}
	require.True(t, at(500*time.Microsecond, 5)) // 5 % of 10 ms, and 5 of 100
	require.False(t, at(501*time.Microsecond, 0))
	require.False(t, at(-501*time.Microsecond, 0))
	require.False(t, at(0, 6))
}
