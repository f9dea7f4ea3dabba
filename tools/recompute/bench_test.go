package main

import (
	"testing"

	"enginebench/fixtures/script"
	"enginebench/workload"
)

// BenchmarkCompute is a recording from its file to its summary. MB/s are of
// the engine's bytes, not of the file's.
func BenchmarkCompute(b *testing.B) {
	for _, dialect := range []string{"openai.completions", "triton.tensorrt_llm"} {
		rec := recordingOf(b, script.Script{Engine: "e", Dialect: dialect, Concurrency: 32, Requests: 352, Tokens: 256})
		path := write(b, b.TempDir(), rec)
		f, err := open(path)
		if err != nil {
			b.Fatal(err)
		}
		bytes, events := 0, 0
		for _, r := range rec.Requests {
			bytes, events = bytes+len(r.Capture.Data), events+len(r.Capture.Chunks)
		}
		rate := func(b *testing.B) {
			b.SetBytes(int64(bytes))
			b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(0, "ns/op")
		}
		b.Run("whole/dialect="+dialect, func(b *testing.B) {
			for b.Loop() {
				if r := new(config).compute(f); r.err != nil {
					b.Fatal(r.err)
				}
			}
			rate(b)
		})
		b.Run("load/dialect="+dialect, func(b *testing.B) {
			for b.Loop() {
				if _, err := f.load(); err != nil {
					b.Fatal(err)
				}
			}
			rate(b)
		})
		b.Run("decode/dialect="+dialect, func(b *testing.B) {
			run, err := workload.FromRecording(rec)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				workload.Decode(run, "e", f.decoder, rec.Header.Info)
			}
			rate(b)
		})
	}
}
