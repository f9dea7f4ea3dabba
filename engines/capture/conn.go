package capture

import (
	"net"
	"sync/atomic"
	"time"
)

// Conn is a connection that knows when bytes came and went: under net/http,
// under TLS, and under gRPC. Where it can (TCP on Linux), arrivals are the
// kernel's receive timestamps, elsewhere the program's clock.
//
// Reading and writing a Conn allocates nothing. Its stamps may be asked for
// from any goroutine.
type Conn struct {
	net.Conn
	kernel *kernelReader // nil: user stamps

	arrival atomic.Int64 // of the last read that brought bytes
	seen    atomic.Int64
	sent    atomic.Int64 // first write since Arm; 0 none
	recent  atomic.Int64 // see Recent
	missed  atomic.Bool  // a read since Arm had no kernel stamp
	ended   atomic.Bool  // a read failed
	ages    ages         // the reader's
}

// Wrap makes a Conn of c. Once a Conn is made, c must not be read any more.
func Wrap(c net.Conn) *Conn {
	return &Conn{Conn: c, kernel: newKernelReader(c)}
}

// Read reads from the connection and stamps what came.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.read(p)
	if err != nil {
		c.ended.Store(true)
	}
	return n, err
}

func (c *Conn) read(p []byte) (int, error) {
	if c.kernel != nil {
		return c.readKernel(p)
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		now := Now()
		c.stamp(n, now, now)
	}
	return n, err
}

// stamp notes a read of n bytes. Bytes arrive in order, also where a stepped
// wall clock says otherwise.
func (c *Conn) stamp(n int, arrival, seen time.Duration) {
	last := time.Duration(c.arrival.Load())
	if last != 0 {
		arrival = max(arrival, last)
	}
	c.ages.read(n, arrival, last)
	c.recent.Store(int64(c.ages.total - c.ages.old))
	c.arrival.Store(int64(arrival))
	c.seen.Store(int64(seen))
}

// Apart is the time from which on two reads count as apart. What a server
// writes at once comes within some tens of microseconds, in however many
// segments; the steps of a decode are several milliseconds apart.
const Apart = time.Millisecond

// ages finds how many of the bytes that were read had come more than Apart
// before the last of them. It may leave out some that came less than twice that
// before: all it keeps is two moments and how much had come by then.
type ages struct {
	total int           // bytes read
	old   int           // of them, those that came apart from the last
	by    int           // bytes that had come at mark
	mark  time.Duration // of a read at most Apart before the last
}

// read takes in a read of n bytes at a time, after the one before at last.
func (a *ages) read(n int, at, last time.Duration) {
	switch {
	case a.total == 0 || at-last > Apart:
		a.old = a.total
		a.mark, a.by = at, a.total+n
	case at-a.mark > Apart:
		a.old = a.by
		a.mark, a.by = last, a.total
	}
	a.total += n
}

// Write writes to the connection and stamps the first write since [Conn.Arm].
func (c *Conn) Write(p []byte) (int, error) {
	if c.sent.Load() == 0 {
		c.sent.Store(int64(Now()))
	}
	return c.Conn.Write(p)
}

// Arm begins a request: it forgets the send stamp of the one before.
func (c *Conn) Arm() {
	c.sent.Store(0)
	c.missed.Store(false)
}

// Sent is when the first byte since [Conn.Arm] was handed to the kernel; ok is
// false when none was.
func (c *Conn) Sent() (at time.Duration, ok bool) {
	sent := c.sent.Load()
	return time.Duration(sent), sent != 0
}

// Last is when the last read that brought bytes had them: when the kernel had
// its last byte and when the program saw it.
func (c *Conn) Last() (arrival, seen time.Duration) {
	return time.Duration(c.arrival.Load()), time.Duration(c.seen.Load())
}

// Recent is how many bytes came together with the last of those read: less than
// [Apart] before it, or nearly. What was read before them is that much older
// than the arrival of the last read says.
func (c *Conn) Recent() int { return int(c.recent.Load()) }

// Ended reports whether a read failed, as it does at the connection's end.
func (c *Conn) Ended() bool { return c.ended.Load() }

// Stamp is the source of all arrivals since [Conn.Arm]: Kernel only if none
// lacked a kernel stamp.
func (c *Conn) Stamp() Stamp {
	if c.kernel == nil || c.missed.Load() {
		return User
	}
	return Kernel
}
