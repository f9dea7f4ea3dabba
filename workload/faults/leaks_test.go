package faults

import (
	"bytes"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
)

// census is what a process holds that a run must give back.
type census struct{ goroutines, files int }

func takeCensus() census { return census{runtime.NumGoroutine(), openFiles()} }

// settledCensus is a census that does not change any more.
func settledCensus(tb testing.TB) census {
	var last census
	same := 0
	await(tb, "a census that does not change", func() bool {
		now := takeCensus()
		if now != last {
			last, same = now, 0
		}
		same++
		return same == 20
	})
	return last
}

// openFiles is how many files and connections the process has open; 0 where
// the system does not tell.
func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// requireNoMore awaits that no more is held than before: goroutines end some
// time after the connection that they serve.
func (before census) requireNoMore(tb testing.TB) {
	tb.Helper()
	var now census
	held := func() bool { return now.goroutines > before.goroutines || now.files > before.files }
	defer func() {
		if held() {
			var b bytes.Buffer
			pprof.Lookup("goroutine").WriteTo(&b, 1)
			tb.Logf("%+v before, %+v now; the goroutines:\n%s", before, now, b.String())
		}
	}()
	await(tb, "goroutines and files given back", func() bool { now = takeCensus(); return !held() })
}
