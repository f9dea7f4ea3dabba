package grpcstream

import "golang.org/x/net/http2"

// frameHeaderLen is the length of an HTTP/2 frame's header (RFC 9113, 4.1).
const frameHeaderLen = 9

// piece is a run of one frame's payload as it lay in one read or write. The
// first piece of a frame begins it, the last ends it; an empty frame is one
// empty piece that does both.
type piece struct {
	kind         http2.FrameType
	flags        http2.Flags
	stream       uint32
	length       int // of the frame's whole payload
	payload      []byte
	begins, ends bool
}

// frameScanner cuts one direction of an HTTP/2 connection into frames, however
// the bytes were split over reads or writes. Its zero value is at the start of
// a frame.
type frameScanner struct {
	header [frameHeaderLen]byte
	have   int // bytes of header so far; frameHeaderLen: inside a payload
	left   int // bytes of payload still to come
	begun  bool
}

// next takes the next piece off p. ok is false when p ended before a frame
// header did; all of p has been used then.
func (s *frameScanner) next(p []byte) (out piece, rest []byte, ok bool) {
	if s.have < frameHeaderLen {
		n := copy(s.header[s.have:], p)
		s.have, p = s.have+n, p[n:]
		if s.have < frameHeaderLen {
			return piece{}, nil, false
		}
		s.left = s.length()
		s.begun = false
	}
	if len(p) == 0 && s.left > 0 {
		return piece{}, nil, false
	}
	n := min(len(p), s.left)
	s.left -= n
	h := &s.header
	out = piece{
		kind:    http2.FrameType(h[3]),
		flags:   http2.Flags(h[4]),
		stream:  (uint32(h[5])<<24 | uint32(h[6])<<16 | uint32(h[7])<<8 | uint32(h[8])) & 0x7fffffff,
		length:  s.length(),
		payload: p[:n],
		begins:  !s.begun,
		ends:    s.left == 0,
	}
	s.begun = true
	if out.ends {
		s.have = 0
	}
	return out, p[n:], true
}

func (s *frameScanner) length() int {
	return int(s.header[0])<<16 | int(s.header[1])<<8 | int(s.header[2])
}

// messagePrefixLen is a gRPC message's prefix: a compressed flag and a length
// (PROTOCOL-HTTP2.md, "Length-Prefixed-Message").
const messagePrefixLen = 5

// messageScanner finds the ends of gRPC messages in the DATA frames of one
// stream, however messages and frames are cut against each other.
type messageScanner struct {
	prefix [messagePrefixLen]byte
	have   int   // bytes of prefix so far
	left   int64 // bytes of the message still to come
	pad    int   // padding at the end of the frame at hand; -1: its length byte is still to come
	data   int   // bytes of message data still to come in the frame at hand
}

// scan takes a piece of a DATA frame and returns how many messages it
// completed, and whether one of them is larger than limit.
func (m *messageScanner) scan(p piece, limit int64) (messages int, oversize bool) {
	b := p.payload
	if p.begins {
		m.data, m.pad = p.length, 0
		if p.flags.Has(http2.FlagDataPadded) {
			m.pad = -1
		}
	}
	if m.pad < 0 && len(b) > 0 {
		m.pad = int(b[0])
		m.data = max(0, m.data-1-m.pad)
		b = b[1:]
	}
	b = b[:min(len(b), m.data)]
	m.data -= len(b)
	for len(b) > 0 {
		if m.have < messagePrefixLen {
			n := copy(m.prefix[m.have:], b)
			m.have, b = m.have+n, b[n:]
			if m.have < messagePrefixLen {
				break
			}
			x := &m.prefix
			m.left = int64(x[1])<<24 | int64(x[2])<<16 | int64(x[3])<<8 | int64(x[4])
			oversize = oversize || m.left > limit
		}
		n := min(int64(len(b)), m.left)
		m.left, b = m.left-n, b[n:]
		if m.left == 0 {
			m.have = 0
			messages++
		}
	}
	return messages, oversize
}
