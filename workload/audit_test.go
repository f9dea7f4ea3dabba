package workload

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
)

func TestAuditsNameWhatExplainsAHeadline(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(*Outcome)
		finding string
	}{
		{"a stream that stays open", func(o *Outcome) {
			// Latencies are 59 ms; the ends come 1000 ms after the last tokens.
			for i := range o.Samples {
				o.Samples[i].End = o.Samples[i].LastToken + time.Second
			}
		}, "stayed open for 1000 ms after their last token (median), so a latency taken to the end of the stream would read 1694.9 % more"},
		{"4 KiB blocks", func(o *Outcome) {
			o.Samples[0].FirstRead, o.Samples[1].FirstRead = 17, 16
			o.Reads = Reads{Chunks: 40, Blocks: 36}
		}, "the first read of a reply held 16 events (median) and 90 % of reads were multiples of 512 bytes"},
		{"prefix hits by counters", func(o *Outcome) {
			o.Server = engines.Counters{engines.PrefixHits: 30, engines.PrefixQueries: 40}
		}, "75.0 % of prompt tokens were answered from the engine's cache, by its own counters"},
		{"prefix hits by replies", func(o *Outcome) {
			o.Samples[0].CachedLen, o.Samples[0].EnginePromptLen = ptr(10), 20
			o.Samples[1].CachedLen, o.Samples[1].EnginePromptLen = ptr(0), 20
		}, "25.0 % of prompt tokens were answered from the engine's cache, by its replies"},
		{"a path that adds to TTFT", func(o *Outcome) {
			// 49 ms each at the client; (0.020 + 0.020) / 2 at the engine.
			o.Server = engines.Counters{engines.TTFTSecondsSum: 0.040, engines.TTFTCount: 2}
		}, "counts 20.0 ms by its own metrics where the client saw 49.0 ms: 29.0 ms lie on the path"},
		{"a path that adds to TTFT, by replies", func(o *Outcome) {
			o.Samples[0].ServerTTFT, o.Samples[1].ServerTTFT = at(20), at(20)
		}, "counts 20.0 ms by its replies"},
		{"a path that adds to TTFT where requests waited for a slot", func(o *Outcome) {
			// Intended half a second before they were sent.
			o.Plan.Load = Load{Rate: 1}
			for i := range o.Samples {
				o.Samples[i].Origin -= at(500)
				o.Samples[i].ServerTTFT = at(20)
			}
		}, "counts 20.0 ms by its replies where the client saw 49.0 ms: 29.0 ms lie on the path"},
		{"several tokens an event", func(o *Outcome) {
			o.Samples[0].Tokens, o.Samples[1].Tokens = ptr(4), ptr(4)
		}, "8 tokens came in 4 events, 2.00 each"},
		{"an engine that counts more than the client saw", func(o *Outcome) {
			o.Samples[0].ServerTTFT, o.Samples[1].ServerTTFT = at(80), at(80)
		}, "counts 80.0 ms by its replies where the client saw only 49.0 ms"},
		{"cold connections in an open loop", func(o *Outcome) { o.Plan.Load, o.Samples[1].Connect = Load{Rate: 1}, at(3) }, "is in their TTFT"},
		{"cold connections", func(o *Outcome) { o.Samples[1].Connect = at(3) }, "1 of 2 requests had to dial first, which took 3.0 ms"},
		{"a queue in the engine", func(o *Outcome) {
			o.Server = engines.Counters{engines.QueueSecondsSum: 0.080, engines.QueueCount: 2}
		}, "requests waited 40.0 ms (mean) in the engine's queue"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := sound()
			require.Empty(t, Audit(Summarize(o), o))
			test.change(&o)
			findings := Audit(Summarize(o), o)
			require.Len(t, findings, 1)
			require.Contains(t, findings[0], test.finding)
		})
	}
}

func TestAuditsAreSilentOnWhatIsNormal(t *testing.T) {
	for _, change := range []func(*Outcome){
		func(o *Outcome) { o.Samples[0].End += time.Millisecond },
		func(o *Outcome) { o.Samples[0].FirstRead, o.Samples[1].FirstRead = 17, 17 }, // many events at once, in no blocks
		func(o *Outcome) { o.Reads = Reads{Chunks: 10, Blocks: 10} },                 // blocks of one event each
		func(o *Outcome) { o.Server = engines.Counters{engines.PrefixQueries: 40} },  // asked and not found
		func(o *Outcome) {
			o.Server = engines.Counters{engines.TTFTSecondsSum: 0.0965, engines.TTFTCount: 2}
		},
	} {
		o := sound()
		change(&o)
		require.Empty(t, Audit(Summarize(o), o))
	}
	require.Empty(t, Audit(Summarize(), Outcome{Plan: &Plan{}}))
}
