package grpcstream

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"

	"enginebench/engines"
	"enginebench/engines/capture"
)

// rawCodec sends bytes as they are and copies what comes to where it belongs,
// once: *[]byte for the answer of a unary call, *receiver for a stream.
type rawCodec struct{}

var _ encoding.CodecV2 = rawCodec{}

// Name is "proto", since that is what the bytes are.
func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	body, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("marshal %T: want *[]byte", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(*body)}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	switch to := v.(type) {
	case *[]byte:
		*to = data.Materialize()
		return nil
	case *receiver:
		return to.receive(data)
	}
	return fmt.Errorf("unmarshal to %T: want *[]byte or *receiver", v)
}

// receiver appends the messages of one stream to its capture.
type receiver struct {
	conn *sniffer
	into *capture.Capture
	lost int // messages whose arrival the sniffer did not have
	full *engines.Error
}

// receive makes one message one chunk, stamped when its last byte arrived.
func (r *receiver) receive(data mem.BufferSlice) error {
	if !r.into.Fits(data.Len()) {
		r.full = engines.Oversized(r.into)
		r.conn.oversize.Store(true)
		return r.full
	}
	e, ok := r.conn.next()
	for ok && e.what == head {
		r.into.Head.Arrival, r.into.Head.Seen = e.at, e.seen
		e, ok = r.conn.next()
	}
	if !ok || e.what != message {
		e.at = capture.Now()
		e.seen = e.at
		r.lost++
	}
	for _, b := range data {
		r.into.Data = append(r.into.Data, b.ReadOnlyData()...)
	}
	r.into.Commit(0, e.at, e.seen)
	r.into.Progressed(e.seen)
	return nil
}
