package workload

import (
	"encoding/json"
	"fmt"
	"io"
)

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

// Evidence is what the client saw of itself during the run, by name and unit.
func (o *Outcome) Evidence() map[string]float64 {
	w := o.Witness
	e := map[string]float64{
		"chunks":               float64(o.Chunks),
		"block-chunks":         float64(o.Reads.Blocks),
		"gc-cycles":            float64(w.GCCycles),
		"gc-pause-ms":          ms(float64(w.GCPause)),
		"client-cpu-s":         w.CPU.Seconds(),
		"steal-%":              100 * w.Steal,
		"throttled-ms":         ms(float64(w.Throttled)),
		"involuntary-switches": float64(w.Involuntary),
		"clock-drift-ppm":      1e6 * w.Drift,
		"cores":                float64(w.Cores),
	}
	for _, q := range []rank{{name: "p50", q: 0.5}, {name: "p99", q: 0.99}} {
		if v, ok := Quantile(o.Delays, q.q); ok {
			e["client-"+q.name+"-us"] = us(v)
		}
	}
	if n := len(o.Delays); n > 0 {
		e["client-max-us"] = us(o.Delays[n-1])
	}
	if share, ok := Fullness(o.Samples, o.Plan.Concurrency); ok {
		e["slots-full-%"] = 100 * share
	}
	return e
}
