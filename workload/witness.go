package workload

import (
	"runtime"
	"time"
)

// Witness is what the machine and the process did during a window, read before
// and after it: whether the client could do its work. A field that the system
// does not tell is 0.
type Witness struct {
	GCCycles    int           // collections that fell into the window
	GCPause     time.Duration // their stop-the-world time
	Allocs      int           // allocations of the process
	CPU         time.Duration // user and system time of the process
	Steal       float64       // share of the machine's time that the hypervisor took
	Throttled   time.Duration // time that the container's CPU quota held the process
	Involuntary int           // context switches that the process did not ask for
	Drift       float64       // how much faster the wall clock ran than the monotonic one; ±0.01 is 1 %
	Cores       int           // that the process may use
}

// reading is one look at the cumulative counters behind a Witness.
type reading struct {
	mono         time.Duration
	wall         int64
	gc           runtime.MemStats
	cpu          time.Duration
	involuntary  int
	steal, ticks uint64
	throttled    time.Duration
}

func beginWitness() func() Witness {
	before := read()
	return func() Witness { return before.until(read()) }
}

func read() *reading {
	r := &reading{}
	runtime.ReadMemStats(&r.gc)
	readSystem(r)
	now := time.Now() // one reading of both clocks: a pause between two would look like drift
	r.mono, r.wall = now.Sub(began), now.UnixNano()
	return r
}

var began = time.Now()

func (r *reading) until(end *reading) Witness {
	w := Witness{
		GCCycles:    int(end.gc.NumGC - r.gc.NumGC),
		GCPause:     time.Duration(end.gc.PauseTotalNs - r.gc.PauseTotalNs),
		Allocs:      int(end.gc.Mallocs - r.gc.Mallocs),
		CPU:         end.cpu - r.cpu,
		Throttled:   end.throttled - r.throttled,
		Involuntary: end.involuntary - r.involuntary,
		Cores:       runtime.GOMAXPROCS(0),
	}
	if ticks := end.ticks - r.ticks; ticks > 0 {
		w.Steal = float64(end.steal-r.steal) / float64(ticks)
	}
	if mono := end.mono - r.mono; mono > 0 {
		w.Drift = float64(end.wall-r.wall)/float64(mono) - 1
	}
	return w
}
