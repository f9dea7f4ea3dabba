package workload

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"enginebench/engines"
	"enginebench/engines/capture"
)

// Outcome is what one run came to, decoded.
type Outcome struct {
	Plan    *Plan
	Start   time.Time
	Samples []Sample        // of the requests that were sent, in order of the plan
	Delays  []time.Duration // of the client, chunk by chunk, sorted; nil without kernel stamps
	Chunks  int
	Late    int              // of them, those with an event that came well before their arrival
	Reads   Reads            // how the bytes came, for the audits
	Server  engines.Counters // what the engine's own counters grew by; nil: it has none
	Canary  *Canary          // the same client's numbers against known ones; nil: there was none
	Knee    float64          // chunks a second that this machine's client was calibrated for; 0: it was not
	Witness Witness
	Doubts  []string // of the dialect about its replies, each once with how many
	Stopped error    // why the run was given up; nil: it ran to its end
}

// Canary holds what the client reported of scripted streams against what the
// server of them really did: errors are reported minus true.
type Canary struct {
	Streams     int
	TTFT        time.Duration // mean, true
	TTFTError   time.Duration // of the mean
	TPOT        time.Duration // mean time between tokens, true; 0: no stream had two
	TPOTError   time.Duration // of the mean
	ITLError    time.Duration // of gaps between token events, by magnitude
	ITLErrorAt  string        // which of them that is: "p99"; "max" of fewer than 100
	Tokens      int           // true
	TokensError int
}

// Off is the larger error of TTFT and TPOT, as a share of the truth.
func (c *Canary) Off() float64 {
	return max(share(c.TTFTError, c.TTFT), share(c.TPOTError, c.TPOT))
}

// share is an error by its magnitude, 0 where there is no truth.
func share(err, truth time.Duration) float64 {
	if truth <= 0 {
		return 0
	}
	return math.Abs(float64(err)) / float64(truth)
}

// Decode turns a run's captures into samples. It uses all cores, since the
// window has closed.
func Decode(run *Run, engine string, d engines.Decoder, info engines.Info) Outcome {
	out := Outcome{Plan: run.Plan, Start: run.Start, Witness: run.Witness, Stopped: run.Stopped}
	samples := make([]Sample, len(run.Captures))
	replies := make([][]string, len(run.Captures)) // their warnings
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := int(next.Add(1) - 1); i < len(samples); i = int(next.Add(1) - 1) {
				if run.Sent[i] {
					reply := d.Decode(run.Captures[i])
					samples[i], replies[i] = NewSample(run.Plan, i, run.Captures[i], reply, info), reply.Warnings
				}
			}
		})
	}
	wg.Wait()
	for i := range samples {
		if run.Sent[i] {
			samples[i].Engine = engine
			out.Samples = append(out.Samples, samples[i])
			out.observe(run.Captures[i])
		}
	}
	slices.Sort(out.Delays)
	out.Doubts = counted(replies)
	return out
}

// counted is each warning once, with how many replies it is of.
func counted(replies [][]string) []string {
	var order []string
	times := map[string]int{}
	for _, warnings := range replies {
		for _, w := range warnings {
			if times[w]++; times[w] == 1 {
				order = append(order, w)
			}
		}
	}
	const most = 3 // kinds; counts in the texts make nearly each its own
	if len(order) > most {
		order = append(order[:most], fmt.Sprintf("and %d more kinds of doubts about replies", len(order)-most))
	}
	for i, w := range order {
		if n := times[w]; n > 1 {
			order[i] = fmt.Sprintf("%s (%d replies)", w, n)
		}
	}
	return order
}

// observe takes from a capture what no sample holds.
func (o *Outcome) observe(c *capture.Capture) {
	o.Chunks += len(c.Chunks)
	o.Late += c.Late
	o.Reads.add(c)
	if c.Stamp != capture.Kernel {
		return
	}
	for _, chunk := range c.Chunks {
		o.Delays = append(o.Delays, chunk.Seen-chunk.Arrival)
	}
}

// NewSample makes the sample of request i of a plan from its capture and its
// decoded reply.
func NewSample(p *Plan, i int, c *capture.Capture, reply engines.Reply, info engines.Info) Sample {
	planned := p.Requests[i]
	s := Sample{
		Cell: p.Cell, Index: i, Measured: planned.Measured, Prompt: planned.Prompt,
		Intended: c.Intended, Origin: c.Send, Send: c.Send, Connect: c.Connect,
		Head: c.Head.Arrival, End: c.Trailer.Arrival, Released: c.Done, Stamp: c.Stamp.String(),
		Wanted: planned.Request.OutputTokens, Forced: info.ForcesOutput,
		EnginePromptLen: reply.PromptTokens, ServerTTFT: reply.ServerTTFT, Finish: reply.Finish,
	}
	if p.Load.Open() {
		s.Origin = c.Intended
	}
	if info.TakesTokens {
		s.PromptLen = len(planned.Request.Tokens)
	}
	if reply.CachedTokens >= 0 {
		s.CachedLen = &reply.CachedTokens
	}
	if len(c.Chunks) > 0 {
		s.FirstChunk = c.Chunks[0].Arrival
	}
	for _, chunk := range c.Chunks {
		s.ClientDelayMax = max(s.ClientDelayMax, chunk.Seen-chunk.Arrival)
	}
	s.takeEvents(reply.Events)
	s.settle(reply)
	return s
}

func (s *Sample) takeEvents(events []engines.Event) {
	if s.Events = len(events); s.Events == 0 {
		return
	}
	s.FirstToken, s.LastToken = events[0].Arrival, events[len(events)-1].Arrival
	s.FirstEvent = events[0].Tokens
	for _, e := range events {
		if e.Coalesced(events[0]) {
			s.FirstRead++
		}
	}
	s.Gaps = make([]time.Duration, 0, len(events)-1)
	s.GapTokens = make([]int, 0, len(events)-1)
	for i := 1; i < len(events); i++ {
		s.Gaps = append(s.Gaps, events[i].Arrival-events[i-1].Arrival)
		s.GapTokens = append(s.GapTokens, events[i].Tokens)
	}
	for i := range events {
		if i > 0 && events[i].Coalesced(events[i-1]) || i+1 < len(events) && events[i].Coalesced(events[i+1]) {
			s.Coalesced++
		}
	}
}

// settle decides how the request ended.
func (s *Sample) settle(reply engines.Reply) {
	if reply.Counted != "" {
		tokens := reply.Tokens
		s.Tokens, s.Counted = &tokens, reply.Counted
	}
	failure := reply.Err
	if failure == nil && s.Forced && s.Tokens != nil && *s.Tokens != s.Wanted && s.Counted != CountedByTokenizer {
		failure = engines.Errorf(engines.WrongCount, "%d output tokens were forced and the engine counted %d", s.Wanted, *s.Tokens)
	}
	switch {
	case failure == nil:
		s.Status, s.OutputHash = OK, outputHash(reply)
	case failure.Class == engines.Cancelled:
		s.Status, s.Class, s.Error = Cancelled, failure.Class, failure.Err.Error()
	default:
		s.Status, s.Class, s.Error = Failed, failure.Class, failure.Err.Error()
	}
}

// CountedByTokenizer is [engines.Reply.Counted] of a reply whose text was
// tokenized again, since its engine gave no count. Such a count is an
// approximation, so it fails no request.
const CountedByTokenizer = "tokenizer"

// outputHash tells whether two engines, or two versions of one, said the same:
// by their output ids, and where those are not sent by the text.
func outputHash(reply engines.Reply) string {
	if len(reply.IDs) > 0 {
		buf := make([]byte, 0, 4*len(reply.IDs))
		for _, id := range reply.IDs {
			buf = binary.LittleEndian.AppendUint32(buf, uint32(id))
		}
		return "ids:" + shortHash(buf)
	}
	if reply.Text != "" {
		return "text:" + shortHash([]byte(reply.Text))
	}
	return ""
}

func shortHash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
