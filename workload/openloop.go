package workload

import (
	"context"
	"runtime"
	"sync"
	"time"

	"enginebench/engines/capture"
)

// openLoop sends each request at its intended time if a slot is free, and as
// soon as one is otherwise. Latencies count from the intended send either way,
// so that waiting for a slot is not omitted.
func (w *window) openLoop() {
	slots := newPool(len(w.runner.slots))
	ctx, over := context.WithCancel(w.ctx)
	var keeper, wg sync.WaitGroup
	keeper.Go(func() {
		slots.keep(ctx, func(s int) { _ = w.runner.slots[s].Ready(ctx) }) // what it can't dial the next request tries, and counts
	})
	defer keeper.Wait()
	defer over()
	runtime.LockOSThread() // its sleeps get a fine timer slack of their own
	defer runtime.UnlockOSThread()
	sleep := w.runner.sleep
	if sleep == nil {
		sleep = preciseSleep()
	}
	defer wg.Wait()
	for i := range w.plan.Requests {
		intended := w.epoch + w.plan.Requests[i].Intended
		if !sleepUntil(w.ctx, intended, sleep) {
			return
		}
		wg.Go(func() {
			if s, ok := slots.take(w.ctx); ok {
				w.send(s, i, intended)
				slots.give(s)
			}
		})
	}
}

// longSleep is the longest sleep between two looks at whether the run goes on.
const longSleep = 100 * time.Millisecond

func sleepUntil(ctx context.Context, t time.Duration, sleep func(time.Duration)) bool {
	for d := t - capture.Now(); d > 0 && ctx.Err() == nil; d = t - capture.Now() {
		sleep(min(d, longSleep))
	}
	return ctx.Err() == nil
}
