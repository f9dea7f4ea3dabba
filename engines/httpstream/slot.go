// Package httpstream carries requests of any dialect that streams its reply
// over HTTP/1.1: one connection a slot, dialled before the clock starts, no
// compression, no redirects, no proxy unless asked for.
//
// A [Slot] writes an encoded message and captures the body as it comes. A
// [Client] asks the small questions of a preflight and keeps the answers.
package httpstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"enginebench/engines"
	"enginebench/engines/capture"
)

// Slot is an [engines.Slot] over one connection.
type Slot struct {
	cfg    *Config
	link   *link
	url    *url.URL
	header http.Header
}

var _ engines.Slot = (*Slot)(nil)

// NewSlot dials a connection and makes a slot of it.
func (c *Config) NewSlot(ctx context.Context) (*Slot, error) {
	s := &Slot{cfg: c, link: c.newLink(), url: c.URL(c.Path), header: c.header()}
	s.header.Set("Content-Type", "application/json")
	s.header.Set("Accept", "text/event-stream, application/x-ndjson, application/json")
	if err := s.Ready(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Ready implements [engines.Slot]. It is stricter than Send by half, so that
// what is ready now is not too old in a moment.
func (s *Slot) Ready(ctx context.Context) error {
	_, err := s.link.ready(ctx, idleLimit/2)
	return err
}

// Send implements [engines.Slot].
func (s *Slot) Send(ctx context.Context, m engines.Message, into *capture.Capture) error {
	defer func() { into.Done = capture.Now() }()
	if err := s.send(ctx, m, into); err != nil {
		into.Err = err
		return err
	}
	return nil
}

func (s *Slot) send(ctx context.Context, m engines.Message, into *capture.Capture) *engines.Error {
	resp, failure := s.post(ctx, m, into)
	if failure != nil && unwritten(failure, into.Send, into.Connect) {
		resp, failure = s.post(ctx, m, into)
	}
	if failure != nil {
		return failure
	}
	arrival, seen := s.link.stamps.Last()
	into.Head = capture.Head{Arrival: arrival, Seen: seen, Status: resp.StatusCode, Header: resp.Header}
	failure = s.read(ctx, resp, into)
	resp.Body.Close()
	if into.Stamp = s.link.stamps.Stamp(); into.Stamp == capture.User {
		into.UserStamps()
	}
	s.link.rest(resp, failure == nil)
	if failure == nil && resp.StatusCode != http.StatusOK {
		failure = s.cfg.statusError(resp.StatusCode, resp.Header, into.Data)
	}
	return failure
}

// post sends the message and returns when the reply's head has come.
func (s *Slot) post(ctx context.Context, m engines.Message, into *capture.Capture) (*http.Response, *engines.Error) {
	took, err := s.link.ready(ctx, idleLimit)
	if err != nil {
		return nil, engines.Transport(ctx, err, false)
	}
	into.Connect = took
	req := s.request(ctx, m)
	resp, sent, err := s.link.roundTrip(req)
	into.Send = sent
	if err != nil {
		s.link.rest(nil, false)
		return nil, s.link.unanswered(req, err)
	}
	return resp, nil
}

// request has no GetBody: the transport must not send a request again by
// itself. Send does, where nothing of it had been written.
func (s *Slot) request(ctx context.Context, m engines.Message) *http.Request {
	header := s.header.Clone()
	header.Set("X-Request-Id", m.ID)
	req := &http.Request{Method: http.MethodPost, URL: s.url, Host: s.url.Host, Header: header,
		Body: io.NopCloser(bytes.NewReader(m.Body)), ContentLength: int64(len(m.Body))}
	return req.WithContext(ctx)
}

// read captures the body until it ends. It is the hot path: a chunk that
// arrives is one read into the capture's own memory and one mark.
func (s *Slot) read(ctx context.Context, resp *http.Response, into *capture.Capture) *engines.Error {
	conn := s.link.stamps
	var body lines
	for {
		room := into.Room()
		if len(room) == 0 {
			return s.unread(engines.Oversized(into))
		}
		n, err := resp.Body.Read(room)
		if n > 0 {
			arrival, seen := conn.Last()
			into.Commit(n, arrival, seen)
			// A line with data brings an event on. A byte alone does not, or a
			// server that trickles would never be idle.
			if end := body.next(room[:n]); end >= 0 {
				into.Progressed(seen)
				if late(n, end, conn.Recent()) {
					into.Late++
				}
			}
		}
		switch {
		case err == nil:
			continue
		case errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
			at, seen := conn.Last()
			if resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 {
				// The connection's end is the body's, and no bytes brought it.
				seen = capture.Now()
				at = seen
			}
			into.Trailer = capture.Trailer{Arrival: at, Seen: seen, Clean: true}
			return nil
		}
		return s.unread(engines.Transport(ctx, err, true))
	}
}

// late reports whether a chunk of n bytes, in which the first line with data
// ends at end, holds an event that came well before the chunk's arrival.
//
// A read of the body is not one of the connection: once a chunk of HTTP has
// begun, net/http waits for its end, and hands out what came before together
// with it. Where servers end their chunks with their events, that is nothing. A
// path that cuts the stream anew, or a server that announces chunks larger than
// its events, delays what is complete, and no stamp tells.
//
// It goes by bytes: those that came recently end the chunk, and an event that
// ended before them is older. recent counts the framing too, HTTP's and that of
// TLS, so that an event is not found behind which fewer bytes came in time than
// recent has of framing. Over TLS a record that took long is found, though
// nobody can read its events before it is whole.
func late(n, end, recent int) bool {
	return end+1 < n-recent // one more, for the blank line behind it
}

// unread is the error of a reply that was not read to its end.
func (s *Slot) unread(why *engines.Error) *engines.Error {
	return &engines.Error{Class: why.Class, Err: fmt.Errorf("read the reply of %s: %w", s.url, why.Err)}
}

// Close implements [engines.Slot].
func (s *Slot) Close() error {
	s.link.close()
	return nil
}
