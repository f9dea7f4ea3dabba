package workload

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"enginebench/engines"
	"enginebench/engines/capture"
)

// watch ends requests that take too long. One goroutine looks at all of them,
// so that a chunk that arrives sets no timer; and it looks only when the first
// of them may be due, as whatever wakes an idle process costs as much as a
// dozen chunks that arrive.
type watch struct {
	limits  Limits
	flights []atomic.Pointer[flight] // by slot; nil: the slot is free
	done    chan struct{}
}

type flight struct {
	start  time.Duration
	into   *capture.Capture
	cancel context.CancelCauseFunc
	over   bool // cancelled; the watch's own
}

func newWatch(limits Limits, slots int) *watch {
	return &watch{limits: limits, flights: make([]atomic.Pointer[flight], slots), done: make(chan struct{})}
}

func (w *watch) begin(slot int, into *capture.Capture, cancel context.CancelCauseFunc) {
	w.flights[slot].Store(&flight{start: capture.Now(), into: into, cancel: cancel})
}

func (w *watch) end(slot int) { w.flights[slot].Store(nil) }

// forever is how long a request without limits may take.
const forever = time.Duration(math.MaxInt64)

func (w *watch) run(ctx context.Context) {
	defer close(w.done)
	// What begins or brings an event after a look is due a limit later at the
	// earliest, so nothing is due between two looks.
	shortest := forever
	for _, limit := range []time.Duration{w.limits.TTFT, w.limits.Idle, w.limits.Request} {
		if limit > 0 {
			shortest = min(shortest, limit)
		}
	}
	timer := time.NewTimer(shortest)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			wait, now := shortest, capture.Now()
			for i := range w.flights {
				if f := w.flights[i].Load(); f != nil && !f.over {
					wait = min(wait, w.check(f, now))
				}
			}
			timer.Reset(wait)
		}
	}
}

// check ends a request that took too long, and says how long another may still
// take.
func (w *watch) check(f *flight, now time.Duration) (left time.Duration) {
	left = forever
	over := func(limit, since time.Duration) bool {
		if limit > 0 {
			left = min(left, limit-max(0, now-since))
		}
		return left <= 0
	}
	var failure error
	switch progress := f.into.Progress(); {
	case over(w.limits.Request, f.start):
		failure = engines.Errorf(engines.RequestTimeout, "the reply was not whole after %v (-request-timeout)", w.limits.Request)
	case progress == 0 && over(w.limits.TTFT, f.start):
		failure = engines.Errorf(engines.TTFTTimeout, "no event came within %v (-ttft-timeout)", w.limits.TTFT)
	case progress != 0 && over(w.limits.Idle, progress):
		failure = engines.Errorf(engines.IdleTimeout, "no event came for %v in the middle of the reply (-idle-timeout)", w.limits.Idle)
	default:
		return left
	}
	f.over = true
	f.cancel(failure)
	return forever
}
