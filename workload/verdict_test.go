package workload

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
)

// sound is an outcome that nothing is to be said against.
func sound() Outcome {
	return outcome(Shape{Concurrency: 1, Requests: 2, OutputTokens: 2}, reply(1, 50, 60), reply(61, 110, 120))
}

func TestVerdicts(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(*Outcome)
		verdict Verdict
		reason  string
	}{
		{"nothing is wrong", func(*Outcome) {}, Valid, ""},
		{"a forced count differs", func(o *Outcome) {
			o.Samples[0].Status, o.Samples[0].Class = Failed, engines.WrongCount
		}, Invalid, "1 of 2 replies had another number of output tokens"},
		{"too many errors", func(o *Outcome) {
			o.Samples[1].Status, o.Samples[1].Class, o.Samples[1].Error, o.Samples[1].Index = Failed, engines.Reset, "gone", 1
		}, Invalid, "request 1: reset: gone"},
		{"a status outside the accounts", func(o *Outcome) { o.Samples[0].Status = "lost" }, Invalid, "the accounts are wrong: 2 sent, 1 ok"},
		{"given up", func(o *Outcome) { o.Stopped = errors.New("interrupted") }, Invalid, "interrupted"},
		{"clocks drift", func(o *Outcome) { o.Witness.Drift = -0.02 }, Invalid, "drifted apart by -2.0 %"},
		{"a slow open loop", func(o *Outcome) {
			// Planned at 0 and 100 ms, sent at 1 and 201: half the rate.
			o.Plan.Load, o.Plan.Concurrency = Load{Rate: 10}, 5
			o.Samples[1].Intended, o.Samples[0].Intended, o.Samples[1].Send = at(100), at(0), at(201)
			o.Samples[1].FirstToken, o.Samples[1].LastToken, o.Samples[1].End = at(210), at(220), at(220)
		}, Invalid, "50.0 % of the rate"},
		{"coalesced events", func(o *Outcome) { o.Samples[0].Coalesced = 1 }, Suspect, "25.0 % of token events shared a read"},
		{"slots not full", func(o *Outcome) {
			o.Samples = []Sample{reply(1, 50), reply(100, 120), reply(160, 170)}
		}, Suspect, "the 1 slots were in flight for 43 % of their time only"},
		{"cached prompts", func(o *Outcome) {
			o.Samples[0].CachedLen, o.Samples[0].PromptLen = ptr(16), 20
			o.Samples[1].CachedLen, o.Samples[1].PromptLen = ptr(0), 20
		}, Suspect, "16 of 40 prompt tokens came from the engine's prefix cache"},
		{"cached prompts that only the engine's counters tell of", func(o *Outcome) {
			o.Server = engines.Counters{engines.PrefixHits: 39, engines.PrefixQueries: 40}
		}, Suspect, "39 of 40 prompt tokens came from the engine's prefix cache, by its own counters"},
		{"counters that tell of none", func(o *Outcome) {
			o.Server = engines.Counters{engines.PrefixHits: 0, engines.PrefixQueries: 40}
		}, Valid, ""},
		{"a stolen machine", func(o *Outcome) { o.Witness.Steal = 0.02 }, Suspect, "2.0 % of the machine's time was stolen"},
		{"a throttled client", func(o *Outcome) { o.Witness.Throttled = 50 * time.Millisecond }, Suspect, "throttled for 50ms"},
		{"a client that adds to known times", func(o *Outcome) {
			o.Canary = &Canary{TTFT: at(100), TTFTError: -at(2)}
		}, Suspect, "read a TTFT of 98.000 ms and a TPOT of 0.000 ms where 100.000 and 0.000 ms are true"},
		{"a client that stretches known gaps", func(o *Outcome) {
			o.Canary = &Canary{TTFT: at(100), TPOT: at(10), TPOTError: at(1) / 8}
		}, Suspect, "read a TTFT of 100.000 ms and a TPOT of 10.125 ms where 100.000 and 10.000 ms are true"},
		{"a client that loses tokens", func(o *Outcome) { o.Canary = &Canary{Tokens: 64, TokensError: -1} }, Suspect, "63 tokens where 64 are true"},
		{"a client that reads known times right", func(o *Outcome) {
			o.Canary = &Canary{TTFT: at(100), TTFTError: at(1) / 2, TPOT: at(10), TPOTError: at(1) / 16, Tokens: 64}
		}, Valid, ""},
		// 4 chunks in the 119 ms from the first send to the last token: 33.6 a second.
		{"beyond the knee", func(o *Outcome) { o.Chunks, o.Knee = 4, 33 }, Suspect, "34 chunks a second came, and this machine's client was calibrated for 33"},
		{"below the knee", func(o *Outcome) { o.Chunks, o.Knee = 4, 34 }, Valid, ""},
		{"events that waited for the end of their chunk", func(o *Outcome) { o.Chunks, o.Late = 100, 6 }, Suspect, "6 of 100 chunks (6.0 %) hold events that came more than 1ms before the arrival"},
		{"few of them", func(o *Outcome) { o.Chunks, o.Late = 100, 5 }, Valid, ""},
		{"user stamps where streams queue", func(o *Outcome) {
			// 512 streams of 10 µs: 5.12 ms beside gaps of 10 ms.
			for i := range o.Samples {
				o.Samples[i].Stamp = "user"
				o.Samples[i].Gaps = []time.Duration{at(10), at(10)}
				o.Samples[i].GapTokens = []int{1, 1}
			}
			o.Plan.Concurrency = 512
		}, Suspect, "stamp=user"},
		{"user stamps where streams queue, of one token each", func(o *Outcome) {
			// 5.12 ms beside a TTFT of 49 ms.
			for i := range o.Samples {
				o.Samples[i].Stamp, o.Samples[i].Gaps, o.Samples[i].GapTokens = "user", nil, nil
			}
			o.Plan.Concurrency = 512
		}, Suspect, "stamp=user"},
		{"user stamps where they do not matter", func(o *Outcome) {
			o.Samples[0].Stamp, o.Samples[1].Stamp = "user", "user"
		}, Valid, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := sound()
			test.change(&o)
			j := Judge(Summarize(o), 0, o)
			require.Equal(t, test.verdict, j.Verdict, "%v", j.Reasons)
			if test.reason != "" {
				require.Contains(t, lines(j.Reasons), test.reason)
			} else {
				require.Empty(t, j.Reasons)
			}
		})
	}
}

func lines(reasons []string) (all string) {
	for _, r := range reasons {
		all += r + "\n"
	}
	return all
}

func TestErrorsWithinTheBudgetAreNoVerdict(t *testing.T) {
	o := sound()
	o.Samples[1].Status, o.Samples[1].Class = Failed, engines.Reset
	require.Equal(t, Valid, Judge(Summarize(o), 1, o).Verdict)
	require.Equal(t, Invalid, Judge(Summarize(o), 0, o).Verdict)
}

func TestRepliesWithUserStampsAreCounted(t *testing.T) {
	o := sound()
	require.Zero(t, o.UserStamped())
	require.Zero(t, o.Evidence()["user-stamped"])
	o.Samples[0].Stamp = "user"
	o.Samples = append(o.Samples, Sample{Status: Failed, Stamp: "user"}) // brought nothing
	require.Equal(t, 1, o.UserStamped())
	require.EqualValues(t, 1, o.Evidence()["user-stamped"])
}
