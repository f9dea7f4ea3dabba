package workload

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"enginebench/engines/capture"
	"enginebench/internal/wholefile"
)

// SaveSamples writes a run into a file of its own in dir, whole or not at all.
// invocation tells runs of several processes apart by the files' names, which
// begin with engine and cell.
func SaveSamples(dir, invocation string, record RunRecord, samples []Sample) error {
	name := fmt.Sprintf("%s.%s.%s-%s-%03d.jsonl", record.Engine, record.Cell, record.When.Format("20060102T150405"), invocation, record.Run)
	return wholefile.Write(filepath.Join(dir, name), func(w io.Writer) error { return WriteSamples(w, record, samples) })
}

// WriteSamples writes a run as the lines of a samples file: {"run":{…}}, and
// then {"sample":{…}} for each request.
func WriteSamples(w io.Writer, record RunRecord, samples []Sample) error {
	lines := json.NewEncoder(w)
	if err := lines.Encode(map[string]RunRecord{"run": record}); err != nil {
		return fmt.Errorf("write the record of %s %s: %w", record.Engine, record.Cell, err)
	}
	for i := range samples {
		if err := lines.Encode(map[string]*Sample{"sample": &samples[i]}); err != nil {
			return fmt.Errorf("write sample %d of %s %s: %w", samples[i].Index, record.Engine, record.Cell, err)
		}
	}
	return nil
}

// meanInFlight is how many requests were in flight on average over the span.
func meanInFlight(samples []Sample, span time.Duration) float64 {
	var sum float64
	for i := range samples {
		if s := &samples[i]; s.LastToken > s.Send {
			sum += float64(s.LastToken - s.Send)
		}
	}
	return sum / float64(span)
}

// tokens are the output tokens of all replies, 0 if one's are not known.
func (o *Outcome) tokens() int {
	sum := 0
	for i := range o.Samples {
		if s := &o.Samples[i]; s.Tokens != nil {
			sum += *s.Tokens
		} else if s.Status == OK {
			return 0
		}
	}
	return sum
}

// Evidence is what the client saw of itself during the run, by name and unit.
// A recording has no witness, and so nothing of the machine.
func (o *Outcome) Evidence() map[string]float64 {
	e := map[string]float64{
		"chunks":       float64(o.Chunks),
		"block-chunks": float64(o.Reads.Blocks),
		"late-chunks":  float64(o.Late),
	}
	if w := o.Witness; w != (Witness{}) {
		e["gc-cycles"] = float64(w.GCCycles)
		e["gc-pause-ms"] = ms(float64(w.GCPause))
		e["client-cpu-s"], e["client-allocs"] = w.CPU.Seconds(), float64(w.Allocs)
		e["steal-%"] = 100 * w.Steal
		e["throttled-ms"] = ms(float64(w.Throttled))
		e["involuntary-switches"] = float64(w.Involuntary)
		e["clock-drift-ppm"] = 1e6 * w.Drift
		e["cores"] = float64(w.Cores)
	}
	for _, q := range []rank{{name: "p50", q: 0.5}, {name: "p99", q: 0.99}} {
		if v, ok := Quantile(o.Delays, q.q); ok {
			e["client-"+q.name+"-us"] = us(v)
		}
	}
	if n := len(o.Delays); n > 0 {
		e["client-max-us"] = us(o.Delays[n-1])
	}
	if c := o.Canary; c != nil {
		e["canary-streams"], e["canary-ttft-ms"] = float64(c.Streams), ms(float64(c.TTFT))
		e["canary-ttft-error-us"], e["canary-itl-error-"+c.ITLErrorAt+"-us"] = us(c.TTFTError), us(c.ITLError)
		if c.TPOT > 0 {
			e["canary-tpot-ms"], e["canary-tpot-error-us"] = ms(float64(c.TPOT)), us(c.TPOTError)
		}
	}
	e["user-stamped"] = float64(o.UserStamped())
	if span := Span(o.Samples); span > 0 {
		e["in-flight-mean"] = meanInFlight(o.Samples, span)
	}
	if tokens := o.tokens(); tokens > 0 && o.Chunks > 0 {
		e["tokens/chunk"] = float64(tokens) / float64(o.Chunks)
	}
	if rate := chunkRate(*o); rate > 0 {
		e["chunks/s"] = rate
	}
	if share, ok := Fullness(o.Samples, o.Plan.Concurrency); ok {
		e["slots-full-%"] = 100 * share
	}
	return e
}

// UserStamped is how many replies' arrivals, of those that had any, are the program's own times and not
// the kernel's.
func (o *Outcome) UserStamped() (n int) {
	for i := range o.Samples {
		if s := &o.Samples[i]; s.FirstToken != 0 && s.Stamp == capture.User.String() {
			n++
		}
	}
	return n
}
