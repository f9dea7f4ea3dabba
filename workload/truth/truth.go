// Package truth compares what a client reports with what really happened: a
// replay server notes when each request's last byte came and when it wrote each
// chunk, and a run against it says what the client made of that.
//
// Truth for a chunk is the server's write of it, counted from the kernel's
// arrival of the request's last byte at the server; the client reports the
// chunk's arrival, counted from the write of the request's first byte. What
// lies between the two is everything that the path and the client add.
package truth

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"enginebench/engines"
	"enginebench/engines/capture"
	"enginebench/fixtures"
	"enginebench/fixtures/replay"
	"enginebench/workload"
)

// Comparison is a run beside the truth. Errors are reported minus true, sorted
// where they are lists.
type Comparison struct {
	Requests  int
	Events    int             // token-bearing
	Coalesced int             // of them, those that shared a read with an earlier one
	Span      time.Duration   // from the first write of a token event to the last, of all requests
	Tokens    Pair[int]       // output tokens of all requests: reported, and in the chunks written
	Chunks    []time.Duration // errors: arrival of each chunk against its write, on one clock
	TTFT      Times           // request by request
	Latency   Times           // request by request
	TPOT      Times           // of the requests with a token after the first event
	ITLs      []time.Duration // errors of the gaps between consecutive token events
	Late      replay.Lateness // the server's own

	first, last time.Duration // ends of Span
}

// Times are a reported and a true time of each request, each list sorted by
// itself, so that the quantiles that a run reports can be held against the true
// ones.
type Times struct{ Reported, True []time.Duration }

func (t *Times) add(p Pair[time.Duration]) {
	t.Reported, t.True = append(t.Reported, p.Reported), append(t.True, p.True)
}

// Mean is the mean over requests; zero where there are none.
func (t Times) Mean() Pair[time.Duration] { return Pair[time.Duration]{mean(t.Reported), mean(t.True)} }

// At is the quantile q over requests, and ok as [workload.Quantile] has it.
func (t Times) At(q float64) (p Pair[time.Duration], ok bool) {
	p.Reported, ok = workload.Quantile(t.Reported, q)
	p.True, _ = workload.Quantile(t.True, q)
	return p, ok
}

func mean(all []time.Duration) (sum time.Duration) {
	for _, d := range all {
		sum += d
	}
	return sum / time.Duration(max(len(all), 1))
}

// Pair is a reported and a true value.
type Pair[T int | time.Duration] struct{ Reported, True T }

// Error is reported minus true.
func (p Pair[T]) Error() T { return p.Reported - p.True }

// Share is the error as a share of the truth, 0 where that is 0.
func (p Pair[T]) Share() float64 {
	if p.True == 0 {
		return 0
	}
	return float64(p.Error()) / float64(p.True)
}

// Compare puts a run against a server beside the server's report of it; rec is
// what was played. Replies must be whole. The error says which request was not
// played, failed, or brought other bytes than were written.
//
// Each chunk, and each event in it, is held against its own write, also where
// the client read several chunks at once and so has one arrival for all.
func Compare(run *workload.Run, d engines.Decoder, rec *fixtures.Recording, report replay.Report) (Comparison, error) {
	c := Comparison{Late: report.Late}
	played := map[int]replay.Played{}
	for _, p := range report.Requests {
		if p.ID.Cell == run.Plan.Cell {
			played[p.ID.Index] = p
		}
	}
	for _, r := range rec.Requests {
		if r.Cell != run.Plan.Cell || r.Index >= len(run.Sent) || !run.Sent[r.Index] {
			continue
		}
		p, ok := played[r.Index]
		if !ok {
			return c, fmt.Errorf("compare with the truth: the server did not play request %d", r.Index)
		}
		if err := c.add(run.Captures[r.Index], run.Epoch, d, r.Capture, p); err != nil {
			return c, fmt.Errorf("compare with the truth: request %d: %w", r.Index, err)
		}
	}
	if c.Requests == 0 {
		return c, errors.New("compare with the truth: no request was sent")
	}
	for _, list := range [][]time.Duration{c.Chunks, c.ITLs, c.TTFT.Reported, c.TTFT.True, c.Latency.Reported, c.Latency.True, c.TPOT.Reported, c.TPOT.True} {
		slices.Sort(list)
	}
	return c, nil
}

// add takes in one reply: what was captured of it, what was played, and when.
func (c *Comparison) add(got *capture.Capture, epoch time.Duration, d engines.Decoder, played *capture.Capture, p replay.Played) error {
	if len(got.Data) != len(played.Data) || len(p.Chunks) != len(played.Chunks) {
		return fmt.Errorf("%d bytes came of %d written in %d of %d chunks", len(got.Data), len(played.Data), len(p.Chunks), len(played.Chunks))
	}
	reply, script := d.Decode(got), d.Decode(played)
	if reply.Err != nil {
		return reply.Err
	}
	if len(reply.Events) == 0 {
		return errors.New("no token came")
	}
	if len(reply.Events) != len(script.Events) {
		return fmt.Errorf("%d token events were read of %d written", len(reply.Events), len(script.Events))
	}
	read := 0 // the chunk that completed the one written
	for k, chunk := range played.Chunks {
		for got.Chunks[read].End < chunk.End {
			read++
		}
		c.Chunks = append(c.Chunks, got.Chunks[read].Arrival+epoch-p.Chunks[k])
	}
	written := make([]time.Duration, len(script.Events)) // by event
	for i, e := range script.Events {
		written[i] = p.Chunks[e.Chunk]
	}
	c.Requests++
	c.Tokens.Reported, c.Tokens.True = c.Tokens.Reported+reply.Tokens, c.Tokens.True+script.Tokens
	c.addTimes(reply, got.Send, written, p.Arrival)
	return nil
}

// addTimes takes in a reply whose events were written at the times given, to a
// request that arrived at the server at arrival.
func (c *Comparison) addTimes(reply engines.Reply, send time.Duration, written []time.Duration, arrival time.Duration) {
	first, last := reply.Events[0], reply.Events[len(reply.Events)-1]
	begin, end := written[0], written[len(written)-1]
	ttft := Pair[time.Duration]{first.Arrival - send, begin - arrival}
	latency := Pair[time.Duration]{last.Arrival - send, end - arrival}
	c.TTFT.add(ttft)
	c.Latency.add(latency)
	if n := time.Duration(reply.Tokens - first.Tokens); n > 0 {
		c.TPOT.add(Pair[time.Duration]{(latency.Reported - ttft.Reported) / n, (latency.True - ttft.True) / n})
	}
	if c.Events == 0 {
		c.first, c.last = begin, end
	} else {
		c.first, c.last = min(c.first, begin), max(c.last, end)
	}
	c.Span = c.last - c.first
	c.Events += len(reply.Events)
	for i := 1; i < len(reply.Events); i++ {
		before, after := reply.Events[i-1], reply.Events[i]
		if after.Coalesced(before) {
			c.Coalesced++
		}
		c.ITLs = append(c.ITLs, (after.Arrival-before.Arrival)-(written[i]-written[i-1]))
	}
}

// At is the quantile q of errors by magnitude, so that late and early do not
// cancel, by the rule of [workload.Quantile]. Where there are too few for it,
// it is the largest. at says which: "p99", or "max".
func At(errs []time.Duration, q float64) (d time.Duration, at string) {
	abs := make([]time.Duration, len(errs))
	for i, d := range errs {
		abs[i] = max(d, -d)
	}
	slices.Sort(abs)
	if d, ok := workload.Quantile(abs, q); ok {
		return d, fmt.Sprintf("p%g", 100*q)
	}
	if len(abs) == 0 {
		return 0, "max"
	}
	return abs[len(abs)-1], "max"
}
