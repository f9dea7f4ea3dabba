// Package capture holds what came over one connection for one request, and
// when: the bytes as they were, and the arrival of each chunk.
//
// While a cell runs, the client does nothing but append to captures. What the
// bytes mean is found out afterwards, by an engine's dialect. A saved capture
// is a recording, a synthetic one is a script, and a replay server plays both,
// so this type is the one currency between live runs, recordings, ground truth
// and fault injection.
//
// All times in a capture are durations on one clock: since the process began
// while a run is on (see [Now]), since the run's epoch once it was rebased
// ([Capture.Rebase]). Only differences carry meaning.
package capture

import (
	"sync/atomic"
	"time"
)

// Chunk is the bytes of one read of an HTTP body, or one gRPC message.
type Chunk struct {
	Arrival time.Duration // when the kernel had its last byte; where the stamp is Stamp User, equal to Seen
	Seen    time.Duration // when the program saw it; Seen - Arrival is the client's own delay
	End     int           // the chunk is Data[previous End:End]
}

// Stamp says where arrival times come from. A capture has one source.
type Stamp uint8

const (
	User   Stamp = iota // the program's clock after the read returned
	Kernel              // the kernel's receive timestamp of the last byte read
)

// String is "user" or "kernel", as it stands in recordings and results.
func (s Stamp) String() string {
	if s == Kernel {
		return "kernel"
	}
	return "user"
}

// Head is the beginning of a reply: an HTTP status line and headers, or a gRPC
// response header.
type Head struct {
	Arrival time.Duration       // of the read that completed it; 0: none came
	Seen    time.Duration       // when the program saw that read; 0: not known
	Status  int                 // HTTP status; 0: no head came, or gRPC
	Header  map[string][]string // keys as the server sent them, in the form of net/http or grpc metadata
}

// Trailer is the end of a reply.
type Trailer struct {
	Arrival time.Duration // of the read that brought the end of the stream, or when the connection's end was seen, where that is it; 0: it never came
	Seen    time.Duration // when the program saw that read; 0: not known
	Clean   bool          // the protocol's own end came: the last HTTP chunk, the announced length, or a gRPC status
	Status  int           // gRPC status code; 0 for HTTP
	Message string        // gRPC status message
}

// Capture is what one request brought back. It may be used again for another
// request after [Capture.Reset]. A Capture must not be copied: it is written
// by one goroutine while another may ask for its [Capture.Progress].
type Capture struct {
	Intended time.Duration // when the plan wanted the request sent; in a closed loop, when its slot became free
	Send     time.Duration // when its first byte was written to the connection; 0: never
	Done     time.Duration // when its slot was free again, however the request ended; 0: not known
	Connect  time.Duration // what dialling took, if the connection was new for this request; 0: it was warm
	Head     Head
	Chunks   []Chunk
	Data     []byte
	Trailer  Trailer
	Stamp    Stamp
	Late     int   // chunks that hold an event which came more than [Apart] before their arrival
	Err      error // what ended the transport early, an *engines.Error; nil for a stream that ended by itself

	progress atomic.Int64
	limits   *limits // on growing; nil: none
	grown    int     // bytes of memory beyond what New gave
}

// Chunk returns the bytes of chunk i, valid until the next Reset.
func (c *Capture) Chunk(i int) []byte {
	start := 0
	if i > 0 {
		start = c.Chunks[i-1].End
	}
	return c.Data[start:c.Chunks[i].End]
}

// Progressed notes that an event was completed at t. It and
// [Capture.Progress] may be called from different goroutines: a run watches
// idle streams without touching what the slots write.
func (c *Capture) Progressed(t time.Duration) { c.progress.Store(int64(t)) }

// Progress is the time of the last [Capture.Progressed], 0 before the first.
func (c *Capture) Progress() time.Duration { return time.Duration(c.progress.Load()) }

// Reset empties the capture and keeps its memory.
func (c *Capture) Reset() {
	c.Intended, c.Send, c.Done, c.Connect = 0, 0, 0, 0
	c.Head, c.Trailer, c.Stamp, c.Err = Head{}, Trailer{}, User, nil
	c.Chunks, c.Data, c.Late = c.Chunks[:0], c.Data[:0], 0
	c.progress.Store(0)
}

// UserStamps makes the program's own clock the source of all arrivals, as is
// due when one of them lacks a kernel stamp: a capture has one source.
func (c *Capture) UserStamps() {
	c.Stamp = User
	if c.Head.Seen != 0 {
		c.Head.Arrival = c.Head.Seen
	}
	if c.Trailer.Seen != 0 {
		c.Trailer.Arrival = c.Trailer.Seen
	}
	for i := range c.Chunks {
		c.Chunks[i].Arrival = c.Chunks[i].Seen
	}
}

// Rebase moves all times that are set to the clock that reads 0 at epoch.
func (c *Capture) Rebase(epoch time.Duration) {
	for _, t := range []*time.Duration{&c.Intended, &c.Send, &c.Done, &c.Head.Arrival, &c.Head.Seen, &c.Trailer.Arrival, &c.Trailer.Seen} {
		if *t != 0 {
			*t -= epoch
		}
	}
	for i := range c.Chunks {
		c.Chunks[i].Arrival -= epoch
		c.Chunks[i].Seen -= epoch
	}
}

// Size is how many bytes [New] takes for as much.
func Size(n, size, chunks int) int {
	return n * (size + minRoom + chunks*markSize)
}

// New makes n captures that hold size bytes in chunks chunks each before they
// grow. They share one block of memory, which is touched once here so that no
// page fault falls into a run.
func New(n, size, chunks int) []*Capture {
	size += minRoom
	data := make([]byte, n*size)
	for i := 0; i < len(data); i += 4096 {
		data[i] = 1
	}
	marks := make([]Chunk, n*chunks)
	for i := range marks {
		marks[i].End = -1
	}
	all := make([]Capture, n)
	captures := make([]*Capture, n)
	for i := range all {
		c := &all[i]
		c.Data = data[i*size : i*size : (i+1)*size]
		c.Chunks = marks[i*chunks : i*chunks : (i+1)*chunks]
		captures[i] = c
	}
	return captures
}

var began = time.Now()

// Now is the time since the process began, on the monotonic clock. It costs
// one clock reading and allocates nothing.
func Now() time.Duration { return time.Since(began) }
