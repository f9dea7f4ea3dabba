package workload

import (
	"runtime"
	"runtime/debug"
	"sync"
)

// quiet keeps the garbage collector out of windows: memory is collected before
// one and not again until it closes, unless it grows far beyond the captures.
// Windows may overlap, as a canary's does with the run that it is beside.
var quiet silence

type silence struct {
	mu      sync.Mutex
	windows int
	percent int
	limit   int64
}

// headroom is how much a window may take beyond what the process has before
// the collector works all the same: better a late chunk than a killed process.
const headroom = 4 << 30

func (s *silence) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.windows++; s.windows > 1 {
		return
	}
	runtime.GC()
	s.percent = debug.SetGCPercent(-1)
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	s.limit = debug.SetMemoryLimit(-1)
	debug.SetMemoryLimit(min(s.limit, int64(now.Sys)+headroom))
}

func (s *silence) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.windows--; s.windows == 0 {
		debug.SetGCPercent(s.percent)
		debug.SetMemoryLimit(s.limit)
	}
}
