package grpcstream

import (
	"errors"
	"net"
	"strings"
	"sync/atomic"

	"golang.org/x/net/http2"

	"enginebench/engines/capture"
)

// sniffer is the connection that gRPC speaks HTTP/2 over, above TLS where
// there is TLS. It follows the frames that pass, changes nothing, and notes
// when the head, each message and the trailers of the armed stream arrived and
// when that stream's first byte was written. grpc-go hands messages from the
// connection's reader to the stream's goroutine, and a stamp taken there is
// late by milliseconds in a burst.
//
// Read is called by gRPC's reader alone and Write by its writer alone; the
// rest is for the slot's goroutine.
type sniffer struct {
	net.Conn
	stamps *capture.Conn // the lowest layer
	limit  int64         // larger messages are refused by the gRPC library

	armed    atomic.Bool   // the next HEADERS frame written begins the request
	stream   atomic.Uint32 // the id of that frame; 0: not written yet
	oversize atomic.Bool   // a message of the stream was above limit
	reset    atomic.Bool   // the server reset the stream
	refused  atomic.Bool   // it did so before it worked on it, by its own word
	greeting atomic.Uint32 // what the peer speaks
	goaway   atomic.Pointer[string]
	ended    atomic.Bool // reading or writing failed
	cut      atomic.Bool // reading failed, and not because this side had closed the connection

	*arrivals

	// The reader's.
	in          frameScanner
	messages    messageScanner
	following   uint32 // the stream that messages belongs to
	headersEnd  bool   // the header block at hand ends the stream
	resetCode   uint32 // of the RST_STREAM at hand, as much of it as has come
	goawayBytes []byte

	// The writer's.
	out        frameScanner
	prefaceOut int // bytes of the preface written
}

// Greetings of a peer: its first bytes say what it speaks.
const (
	silent uint32 = iota
	speaksHTTP2
	speaksHTTP1
	speaksTLS
	speaksOther
)

func newSniffer(conn net.Conn, stamps *capture.Conn, limit int) *sniffer {
	return &sniffer{Conn: conn, stamps: stamps, limit: int64(limit), arrivals: newArrivals()}
}

// arm begins a request: the next HEADERS frame written is its own.
func (s *sniffer) arm() {
	s.stream.Store(0)
	s.oversize.Store(false)
	s.reset.Store(false)
	s.refused.Store(false)
	s.stamps.Arm()
	s.armed.Store(true)
}

// next is the next arrival of the armed stream; ok is false when none is
// there. What other streams left behind is dropped.
func (s *sniffer) next() (e arrival, ok bool) {
	for {
		e, ok = s.pop()
		if !ok || e.stream == s.stream.Load() {
			return e, ok
		}
	}
}

// Read implements net.Conn.
func (s *sniffer) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if n > 0 {
		s.follow(p[:n])
	}
	if err != nil {
		s.ended.Store(true)
		s.cut.Store(!errors.Is(err, net.ErrClosed))
	}
	return n, err
}

func (s *sniffer) follow(p []byte) {
	if s.greeting.Load() == silent {
		s.greeting.Store(greetingOf(p))
	}
	if s.greeting.Load() != speaksHTTP2 {
		return
	}
	at, seen := s.stamps.Last()
	for len(p) > 0 {
		piece, rest, ok := s.in.next(p)
		if !ok {
			return
		}
		p = rest
		if piece.kind == http2.FrameGoAway {
			s.noteGoAway(piece)
			continue
		}
		if piece.stream == 0 || piece.stream != s.stream.Load() {
			continue
		}
		e := arrival{at: at, seen: seen, stream: piece.stream, what: message}
		switch piece.kind {
		case http2.FrameData:
			s.followData(piece, e)
		case http2.FrameHeaders, http2.FrameContinuation:
			s.followHeaders(piece, e)
		case http2.FrameRSTStream:
			s.followReset(piece)
		}
	}
}

func (s *sniffer) followData(p piece, e arrival) {
	if s.following != p.stream {
		s.following, s.messages = p.stream, messageScanner{}
	}
	n, oversize := s.messages.scan(p, s.limit)
	if oversize {
		s.oversize.Store(true)
	}
	for range n {
		s.push(e)
	}
	if p.ends && p.flags.Has(http2.FlagDataEndStream) {
		e.what = trailer
		s.push(e)
	}
}

func (s *sniffer) followHeaders(p piece, e arrival) {
	if p.begins && p.kind == http2.FrameHeaders {
		s.headersEnd = p.flags.Has(http2.FlagHeadersEndStream)
	}
	if !p.ends || !p.flags.Has(http2.FlagHeadersEndHeaders) {
		return
	}
	e.what = head
	if s.headersEnd {
		e.what = trailer
	}
	s.push(e)
}

func (s *sniffer) followReset(p piece) {
	if p.begins {
		s.resetCode = 0
	}
	for _, b := range p.payload {
		s.resetCode = s.resetCode<<8 | uint32(b)
	}
	if p.ends {
		s.refused.Store(http2.ErrCode(s.resetCode) == http2.ErrCodeRefusedStream)
		s.reset.Store(true)
	}
}

// maxGoAway is as much of a GOAWAY frame as is kept: two numbers, and the
// reason, which servers write in a few words.
const maxGoAway = 8 + 256

func (s *sniffer) noteGoAway(p piece) {
	if p.begins {
		s.goawayBytes = s.goawayBytes[:0]
	}
	room := maxGoAway - len(s.goawayBytes)
	s.goawayBytes = append(s.goawayBytes, p.payload[:min(room, len(p.payload))]...)
	if p.ends && len(s.goawayBytes) >= 8 {
		reason := goAwayText(s.goawayBytes)
		s.goaway.Store(&reason)
	}
}

// Write implements net.Conn.
func (s *sniffer) Write(p []byte) (int, error) {
	if s.beginsRequest(p) {
		s.stamps.Arm() // the send stamp is that of the write below
	}
	n, err := s.Conn.Write(p)
	if err != nil {
		s.ended.Store(true)
	}
	return n, err
}

func (s *sniffer) beginsRequest(p []byte) (begins bool) {
	n := min(len(http2.ClientPreface)-s.prefaceOut, len(p))
	s.prefaceOut, p = s.prefaceOut+n, p[n:]
	for len(p) > 0 {
		piece, rest, ok := s.out.next(p)
		if !ok {
			break
		}
		p = rest
		if piece.kind == http2.FrameHeaders && piece.begins && s.armed.CompareAndSwap(true, false) {
			s.stream.Store(piece.stream)
			begins = true
		}
	}
	return begins
}

func greetingOf(p []byte) uint32 {
	text := string(p[:min(len(p), 5)])
	switch {
	case strings.HasPrefix("HTTP/", text):
		return speaksHTTP1
	case p[0] == 0x15 && (len(p) < 2 || p[1] == 0x03): // a TLS alert record
		return speaksTLS
	case len(p) >= 4 && p[3] != byte(http2.FrameSettings):
		return speaksOther
	}
	return speaksHTTP2
}
