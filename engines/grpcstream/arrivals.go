package grpcstream

import (
	"sync/atomic"
	"time"
)

// arrival is when one thing of a stream was whole: its head, a message, its
// trailers.
type arrival struct {
	at, seen time.Duration
	stream   uint32
	what     what
}

type what uint8

const (
	head    what = iota // a header block that does not end the stream
	message             // one length-prefixed message
	trailer             // what ends the stream
)

// arrivals carries what the connection's reader saw to the goroutine that
// receives messages: one producer, one consumer, no lock, unbounded. Blocks
// are used again, so that nothing is allocated while the consumer keeps up
// within a block of the producer.
type arrivals struct {
	put   *block // producer's
	putAt int
	get   *block // consumer's
	getAt int
	ready atomic.Int64 // entries put so far
	taken int64        // consumer's: entries taken so far
	spare atomic.Pointer[block]
}

// blockLen makes a block some 12 KB: more messages than a burst of one stream
// brings.
const blockLen = 512

type block struct {
	entries [blockLen]arrival
	next    *block // written before ready counts the first entry behind it
}

func newArrivals() *arrivals {
	first := new(block)
	a := &arrivals{put: first, get: first}
	a.spare.Store(new(block))
	return a
}

// push is for the producer only.
func (a *arrivals) push(e arrival) {
	if a.putAt == blockLen {
		next := a.spare.Swap(nil)
		if next == nil {
			next = new(block)
		}
		a.put.next = next
		a.put, a.putAt = next, 0
	}
	a.put.entries[a.putAt] = e
	a.putAt++
	a.ready.Add(1)
}

// pop is for the consumer only; ok is false when nothing is there.
func (a *arrivals) pop() (e arrival, ok bool) {
	if a.taken == a.ready.Load() {
		return arrival{}, false
	}
	if a.getAt == blockLen {
		used := a.get
		a.get, a.getAt = used.next, 0
		used.next = nil
		a.spare.Store(used)
	}
	e = a.get.entries[a.getAt]
	a.getAt++
	a.taken++
	return e, true
}
