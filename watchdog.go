package enginebench

import (
	"fmt"
	"runtime/debug"
	"time"
)

// watchdogGrace is how much longer than -run-timeout a run may take before it
// is taken for hung: replies are cancelled at the limit and end soon after.
const watchdogGrace = 30 * time.Second

// watchdog calls bite if what it watches is not stopped within limit and the
// grace. It is for what no deadline should leave: package testing has stopped
// its own -timeout before benchmarks begin. No limit is no watchdog.
func watchdog(limit time.Duration, what string, bite func(complaint string)) (stop func()) {
	if limit <= 0 {
		return func() {}
	}
	t := time.AfterFunc(limit+watchdogGrace, func() {
		bite(fmt.Sprintf("enginebench: %s has not ended %v after its -run-timeout of %v; the goroutines show where it hangs", what, watchdogGrace, limit))
	})
	return func() { t.Stop() }
}

// dump ends the process as package testing does after its -timeout, with the
// stacks of all goroutines. Lines printed before stay.
func dump(complaint string) {
	debug.SetTraceback("all")
	panic(complaint)
}
