package capture

import (
	"sync/atomic"
	"time"
	"unsafe"
)

// minRoom is the least space offered to a read: the size of the buffer that
// net/http reads through, so that what one read of the connection brings fits
// into one chunk. A chunk may hold several such reads all the same: those that
// net/http makes until a begun chunk of HTTP ends (see [Capture.Late]).
const minRoom = 8 << 10

// leastSpare is what captures may grow by however little is spared for them: a
// reply with an event as large as the dialects take (16 MiB), whose capture
// doubles until it holds it, must fail for that and not for want of memory.
const leastSpare = 64 << 20

// limits bound what captures that share them grow by.
type limits struct {
	each  int          // bytes one capture may grow by
	spare atomic.Int64 // bytes that all of them may still grow by
}

// Limit lets captures that [New] made grow by spare bytes in all, and each by
// a sixteenth of that, so that one reply without end does not take what the
// others need; 64 MiB are allowed in any case.
func Limit(captures []*Capture, spare int) {
	l := &limits{each: max(spare/16, leastSpare)}
	l.spare.Store(int64(max(spare, leastSpare)))
	for _, c := range captures {
		c.limits = l
	}
}

// take asks for more bytes, which growing adds to the capture's memory.
func (c *Capture) take(more int) bool {
	if c.limits == nil {
		return true
	}
	if c.grown+more > c.limits.each {
		return false
	}
	if c.limits.spare.Add(-int64(more)) < 0 {
		c.limits.spare.Add(int64(more))
		return false
	}
	c.grown += more
	return true
}

// Fits makes room for one more chunk of n bytes, and is false where [Limit]
// does not allow that. It allocates only when the capacity given by [New] or an
// earlier use is used up.
func (c *Capture) Fits(n int) bool {
	return cap(c.Data)-len(c.Data) >= n && len(c.Chunks) < cap(c.Chunks) || c.grow(n)
}

func (c *Capture) grow(n int) bool {
	if cap(c.Data)-len(c.Data) < n {
		size := 2*cap(c.Data) + n
		if !c.take(size - cap(c.Data)) {
			return false
		}
		c.Data = append(make([]byte, 0, size), c.Data...)
	}
	if len(c.Chunks) == cap(c.Chunks) {
		size := 2*cap(c.Chunks) + 8
		if !c.take((size - cap(c.Chunks)) * markSize) {
			return false
		}
		c.Chunks = append(make([]Chunk, 0, size), c.Chunks...)
	}
	return true
}

const markSize = int(unsafe.Sizeof(Chunk{}))

// Room returns free space of Data, to read a chunk into; it is empty where the
// capture may not grow any more.
func (c *Capture) Room() []byte {
	if !c.Fits(minRoom) {
		return nil
	}
	return c.Data[len(c.Data):cap(c.Data)]
}

// Commit makes the first n bytes of [Capture.Room] a chunk.
func (c *Capture) Commit(n int, arrival, seen time.Duration) {
	c.Data = c.Data[:len(c.Data)+n]
	c.Chunks = append(c.Chunks, Chunk{Arrival: arrival, Seen: seen, End: len(c.Data)})
}

// Append copies p into the capture as one chunk. It heeds no limit: it is for
// those who make captures, not for runs.
func (c *Capture) Append(p []byte, arrival, seen time.Duration) {
	c.Data = append(c.Data, p...)
	c.Chunks = append(c.Chunks, Chunk{Arrival: arrival, Seen: seen, End: len(c.Data)})
}
