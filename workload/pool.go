package workload

import (
	"context"
	"sync"
	"time"
)

// pool hands out the slots of an open loop: to requests in their order, and of
// the slots the one used last, so that as few connections as the load needs are
// kept in use and the others' rest is never in a request's way.
type pool struct {
	mu      sync.Mutex
	free    []int      // the last was used last
	waiting []chan int // by request
	busy    int
	busiest int
}

func newPool(slots int) *pool {
	p := &pool{}
	for s := slots - 1; s >= 0; s-- {
		p.free = append(p.free, s)
	}
	return p
}

// take waits for a slot; ok is false if ctx ended first.
func (p *pool) take(ctx context.Context) (slot int, ok bool) {
	p.mu.Lock()
	if n := len(p.free); n > 0 {
		slot, p.free = p.free[n-1], p.free[:n-1]
		p.busy++
		p.busiest = max(p.busiest, p.busy)
		p.mu.Unlock()
		return slot, true
	}
	turn := make(chan int, 1)
	p.waiting = append(p.waiting, turn)
	p.mu.Unlock()
	select {
	case slot = <-turn:
		return slot, true
	case <-ctx.Done():
		return 0, false // a slot that is given all the same has no more use: the run is over
	}
}

// give frees a slot that was taken.
func (p *pool) give(slot int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy--
	p.put(slot)
}

func (p *pool) put(slot int) {
	if len(p.waiting) == 0 {
		p.free = append(p.free, slot)
		return
	}
	p.busy++
	p.waiting[0] <- slot
	p.waiting = p.waiting[1:]
}

// keepEvery is how often connections at rest are looked after: well within the
// second or so for which a slot calls a rested one fit.
const keepEvery = 500 * time.Millisecond

// keep calls ready on the free slots that may be needed next, as many as were
// ever busy at once and one, until ctx ends: what they rested for is made good
// outside of any request's clock. The others are let rest, as dialling them
// again and again would be a load of its own.
func (p *pool) keep(ctx context.Context, ready func(slot int)) {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p.mu.Lock()
		most := p.busiest + 1
		p.mu.Unlock()
		for range most {
			if slot, ok := p.borrow(most); ok {
				ready(slot)
				p.mu.Lock()
				p.put(slot)
				p.mu.Unlock()
			}
		}
	}
}

// borrow takes the lowest of the upper n free slots. As it is put back on top,
// n times make the round.
func (p *pool) borrow(n int) (slot int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) == 0 {
		return 0, false
	}
	at := max(len(p.free)-n, 0)
	slot = p.free[at]
	p.free = append(p.free[:at], p.free[at+1:]...)
	return slot, true
}
