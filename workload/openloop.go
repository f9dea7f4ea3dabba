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
	free := make(chan int, len(w.runner.slots))
	for s := range w.runner.slots {
		free <- s
	}
	runtime.LockOSThread() // its sleeps get a fine timer slack of their own
	defer runtime.UnlockOSThread()
	sleep := w.runner.sleep
	if sleep == nil {
		sleep = preciseSleep()
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range w.plan.Requests {
		intended := w.epoch + w.plan.Requests[i].Intended
		if !sleepUntil(w.ctx, intended, sleep) {
			return
		}
		wg.Go(func() {
			select {
			case s := <-free:
				w.send(s, i, intended)
				free <- s
			case <-w.ctx.Done():
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
