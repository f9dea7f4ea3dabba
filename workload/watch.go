package workload

import (
	"context"
	"sync/atomic"
	"time"

	"enginebench/engines"
	"enginebench/engines/capture"
)

// watch ends requests that take too long. It looks at all of them a few times
// a second from one goroutine, so that a chunk that arrives sets no timer.
type watch struct {
	limits  Limits
	flights []atomic.Pointer[flight] // by slot; nil: the slot is free
	done    chan struct{}
}

type flight struct {
	start  time.Duration
	into   *capture.Capture
	cancel context.CancelCauseFunc
}

func newWatch(limits Limits, slots int) *watch {
	return &watch{limits: limits, flights: make([]atomic.Pointer[flight], slots), done: make(chan struct{})}
}

func (w *watch) begin(slot int, into *capture.Capture, cancel context.CancelCauseFunc) {
	w.flights[slot].Store(&flight{start: capture.Now(), into: into, cancel: cancel})
}

func (w *watch) end(slot int) { w.flights[slot].Store(nil) }

// watchEvery is how often requests are looked at, and so how late a deadline
// may be noticed.
const watchEvery = 20 * time.Millisecond

func (w *watch) run(ctx context.Context) {
	defer close(w.done)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			now := capture.Now()
			for i := range w.flights {
				if f := w.flights[i].Load(); f != nil {
					w.check(f, now)
				}
			}
		}
	}
}

func (w *watch) check(f *flight, now time.Duration) {
	progress := f.into.Progress()
	switch over := func(limit time.Duration, since time.Duration) bool { return limit > 0 && now-since > limit }; {
	case over(w.limits.Request, f.start):
		f.cancel(engines.Errorf(engines.RequestTimeout, "the reply was not whole after %v (-request-timeout)", w.limits.Request))
	case progress == 0 && over(w.limits.TTFT, f.start):
		f.cancel(engines.Errorf(engines.TTFTTimeout, "no event came within %v (-ttft-timeout)", w.limits.TTFT))
	case progress != 0 && over(w.limits.Idle, progress):
		f.cancel(engines.Errorf(engines.IdleTimeout, "no event came for %v in the middle of the reply (-idle-timeout)", w.limits.Idle))
	}
}
