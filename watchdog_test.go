package enginebench

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheWatchdogBitesWhatOutlivesItsLimitAndItsGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		bitten := make(chan string, 1)
		watchdog(time.Minute, "vllm/concurrency=8", func(complaint string) { bitten <- complaint })
		require.Equal(t, "enginebench: vllm/concurrency=8 has not ended 30s after its -run-timeout of 1m0s; the goroutines show where it hangs", <-bitten)
		require.Equal(t, time.Minute+watchdogGrace, time.Since(start))
	})
}

func TestTheWatchdogLeavesAloneWhatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bite := func(complaint string) { t.Error(complaint) }
		stop := watchdog(time.Minute, "vllm/concurrency=8", bite)
		time.Sleep(time.Minute + watchdogGrace - 1)
		stop()
		watchdog(0, "vllm/concurrency=8", bite)()
		watchdog(0, "vllm/concurrency=8", bite)
		time.Sleep(time.Hour)
	})
}
