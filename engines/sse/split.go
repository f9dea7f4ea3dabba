// Package sse splits the body of a captured HTTP reply into its events and
// says when each arrived: server-sent events ([Events]) or lines of JSON
// ([Lines]).
//
// It works on a capture that is complete, so an event is a part of the
// capture's bytes, however the network cut them into chunks.
package sse

import (
	"bytes"
	"iter"
	"time"

	"enginebench/engines"
	"enginebench/engines/capture"
)

// MaxEvent is the size of the largest event that is taken, in bytes with its
// field names and line ends. Events of real engines stay below 1 MiB, with a
// long prompt's ids in them; the bound is for replies that never end a line.
const MaxEvent = 16 << 20

// Event is one event of a reply.
type Event struct {
	Name    string        // of the event field; "" where there is none
	Data    []byte        // the data lines, joined by \n, without white space around them; part of the capture where there is one line
	Arrival time.Duration // arrival of the chunk that brought its last byte
	Chunk   int           // index of that chunk
}

// Events yields the server-sent events of a reply that carry data, in order,
// by the rules of the HTML standard (section 9.2.6) with what servers do on
// top of it:
// lines end in LF, CRLF or CR; "data:" may have a space after it; several data
// lines are one event; comments, id, retry and unknown fields are passed over;
// white space around the data is dropped (trtllm-serve ends its lines in a
// space). An event that the end of the reply leaves without its blank line is
// yielded only if the reply ended cleanly.
//
// An event larger than [MaxEvent] is yielded as an error of class oversize,
// which ends the sequence.
func Events(c *capture.Capture) iter.Seq2[Event, *engines.Error] {
	return func(yield func(Event, *engines.Error) bool) {
		s := scanner{lines: lines{data: bytes.TrimPrefix(c.Data, bom)}, at: locator{c: c}}
		s.skipped = len(c.Data) - len(s.data)
		for {
			event, ok, err := s.next()
			if err != nil {
				yield(Event{}, err)
				return
			}
			if !ok || !yield(event, nil) {
				return
			}
		}
	}
}

var bom = []byte("\xef\xbb\xbf")

// Lines yields the lines of a reply of newline-delimited JSON that are not
// blank. A last line without its end is yielded only if the reply ended
// cleanly. Errors are as in [Events].
func Lines(c *capture.Capture) iter.Seq2[Event, *engines.Error] {
	return func(yield func(Event, *engines.Error) bool) {
		l, at := lines{data: c.Data}, locator{c: c}
		for {
			start := l.pos
			line, whole := l.next()
			if l.pos-start > MaxEvent {
				yield(Event{}, oversize(start))
				return
			}
			if line == nil || !whole && !c.Trailer.Clean {
				return
			}
			if line = bytes.TrimSpace(line); len(line) == 0 {
				continue
			}
			event := Event{Data: line}
			event.Chunk, event.Arrival = at.of(l.pos)
			if !yield(event, nil) {
				return
			}
		}
	}
}

func oversize(offset int) *engines.Error {
	return engines.Errorf(engines.Oversize, "read an event of the reply: larger than %d MiB, at byte %d", MaxEvent>>20, offset)
}

type scanner struct {
	lines
	at      locator
	skipped int // bytes before lines.data
}

// next is the next event with data; ok is false at the end.
func (s *scanner) next() (event Event, ok bool, err *engines.Error) {
	start, fields := s.pos, 0 // fields: data lines so far
	for {
		line, whole := s.lines.next()
		if s.pos-start > MaxEvent {
			return Event{}, false, oversize(s.skipped + start)
		}
		end := line == nil || !whole
		if end && !s.at.c.Trailer.Clean {
			return Event{}, false, nil // cut off: no event
		}
		if len(line) > 0 {
			switch name, value := field(line); string(name) {
			case "data":
				if fields++; fields == 1 {
					event.Data = value[:len(value):len(value)] // a second line copies
				} else {
					event.Data = append(append(event.Data, '\n'), value...)
				}
			case "event":
				event.Name = string(value)
			}
		}
		if len(line) > 0 && !end {
			continue
		}
		if event.Data = bytes.TrimSpace(event.Data); len(event.Data) > 0 {
			event.Chunk, event.Arrival = s.at.of(s.skipped + s.pos)
			return event, true, nil
		}
		if end {
			return Event{}, false, nil
		}
		event, start, fields = Event{}, s.pos, 0
	}
}

// field splits a line into its field name and value; a comment's name is
// empty.
func field(line []byte) (name, value []byte) {
	name, value, _ = bytes.Cut(line, []byte(":"))
	return name, bytes.TrimPrefix(value, []byte(" "))
}

// lines walks over the lines of data in one pass.
type lines struct {
	data []byte
	pos  int // after the line last returned
	lf   int // of the first LF at or after pos, once found; len(data) if there is none
}

// next is the next line without its end, nil after the last. whole says that
// the line had an end.
func (l *lines) next() (line []byte, whole bool) {
	if l.pos >= len(l.data) {
		return nil, false
	}
	if l.lf < l.pos || l.pos == 0 {
		l.lf = len(l.data)
		if i := bytes.IndexByte(l.data[l.pos:], '\n'); i >= 0 {
			l.lf = l.pos + i
		}
	}
	start, end := l.pos, l.lf
	l.pos = min(end+1, len(l.data))
	whole = end < len(l.data)
	if i := bytes.IndexByte(l.data[start:end], '\r'); i >= 0 {
		if whole && start+i == end-1 {
			end-- // CRLF
		} else {
			end = start + i
			l.pos, whole = end+1, true
		}
	}
	return l.data[start:end:end], whole
}

// locator finds the chunk of an offset, for offsets that only grow.
type locator struct {
	c *capture.Capture
	i int
}

// of is the chunk that brought the byte before end.
func (l *locator) of(end int) (chunk int, arrival time.Duration) {
	chunks := l.c.Chunks
	if len(chunks) == 0 {
		return 0, 0
	}
	for l.i < len(chunks)-1 && chunks[l.i].End < end {
		l.i++
	}
	return l.i, chunks[l.i].Arrival
}
