package workload

import (
	"math"
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
}

// memoryLimit is where the collector works even in a window: better a late
// chunk than a killed process.
const memoryLimit = 8 << 30

func (s *silence) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.windows++; s.windows > 1 {
		return
	}
	runtime.GC()
	s.percent = debug.SetGCPercent(-1)
	debug.SetMemoryLimit(memoryLimit)
}

func (s *silence) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.windows--; s.windows == 0 {
		debug.SetGCPercent(s.percent)
		debug.SetMemoryLimit(math.MaxInt64)
	}
}
