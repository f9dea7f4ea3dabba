package truth_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/engines/capture"
	"enginebench/fixtures"
	"enginebench/fixtures/replay"
	"enginebench/fixtures/script"
	"enginebench/workload"
	"enginebench/workload/truth"
)

const ms = time.Millisecond

// tokens decodes every byte as a token, an event of its own.
type tokens struct{}

func (tokens) Decode(c *capture.Capture) engines.Reply {
	reply := engines.Reply{Counted: "bytes", CachedTokens: -1}
	start := 0
	for i, chunk := range c.Chunks {
		for ; start < chunk.End; start++ {
			reply.Events = append(reply.Events, engines.Event{Arrival: chunk.Arrival, Tokens: 1, Chunk: i})
		}
	}
	reply.Tokens = len(reply.Events)
	return reply
}

func captured(send time.Duration, data string, chunks ...capture.Chunk) *capture.Capture {
	return &capture.Capture{Send: send, Data: []byte(data), Chunks: chunks, Trailer: capture.Trailer{Clean: true}}
}

func chunk(arrival time.Duration, end int) capture.Chunk {
	return capture.Chunk{Arrival: arrival, Seen: arrival, End: end}
}

// pair is a captured reply beside the one that was played.
type pair struct {
	got, recorded *capture.Capture
	played        replay.Played
}

func compareAll(pairs ...pair) (truth.Comparison, error) {
	rec := &fixtures.Recording{Header: fixtures.Header{Engine: "e", Cell: "c"}}
	run := &workload.Run{Plan: &workload.Plan{Cell: "c"}, Epoch: 5000 * ms}
	var report replay.Report
	for i, p := range pairs {
		rec.Requests = append(rec.Requests, fixtures.Request{Cell: "c", Index: i, Capture: p.recorded})
		run.Captures, run.Sent = append(run.Captures, p.got), append(run.Sent, true)
		report.Requests = append(report.Requests, p.played)
	}
	return truth.Compare(run, tokens{}, rec, report)
}

// compare puts one captured reply beside one played reply of three chunks.
func compare(got *capture.Capture, p replay.Played) (truth.Comparison, error) {
	return compareAll(pair{got, captured(0, "abc", chunk(100*ms, 1), chunk(110*ms, 2), chunk(120*ms, 3)), p})
}

// played has its request at 5010 ms on the common clock and writes at 5110,
// 5121 and 5130: a true TTFT of 100, a latency of 120 and a TPOT of 10 ms.
func played() replay.Played {
	return replay.Played{ID: engines.RequestID{Cell: "c"}, Arrival: 5010 * ms, Chunks: []time.Duration{5110 * ms, 5121 * ms, 5130 * ms}}
}

func TestErrorsAreReportedMinusTrue(t *testing.T) {
	// Sent at 9 (1 ms before the server had it), read at 112, 122 and 132:
	// TTFT 103, latency 123, TPOT (132-112)/2 = 10.
	c, err := compare(captured(9*ms, "abc", chunk(112*ms, 1), chunk(122*ms, 2), chunk(132*ms, 3)), played())
	require.NoError(t, err)
	require.Equal(t, truth.Pair[time.Duration]{Reported: 103 * ms, True: 100 * ms}, c.TTFT.Mean())
	require.Equal(t, truth.Pair[time.Duration]{Reported: 123 * ms, True: 120 * ms}, c.Latency.Mean())
	require.Equal(t, truth.Pair[time.Duration]{Reported: 10 * ms, True: 10 * ms}, c.TPOT.Mean())
	require.Equal(t, truth.Pair[int]{Reported: 3, True: 3}, c.Tokens)
	require.Equal(t, []time.Duration{1 * ms, 2 * ms, 2 * ms}, c.Chunks) // 112-110, 122-121, 132-130, sorted
	require.Equal(t, []time.Duration{-1 * ms, 1 * ms}, c.ITLs)          // 10-11, 10-9
	require.InDelta(t, 0.03, c.TTFT.Mean().Share(), 1e-12)
	require.Equal(t, 20*ms, c.Span) // from 5110 to 5130
	require.Zero(t, c.Coalesced)
}

func TestAReplyOfOneTokenHasNoTPOTAndIsNoPartOfTheMean(t *testing.T) {
	// TPOT 10 ms of the first; the second has one token and none.
	c, err := compareAll(
		pair{captured(9*ms, "abc", chunk(112*ms, 1), chunk(122*ms, 2), chunk(132*ms, 3)), captured(0, "abc", chunk(1, 1), chunk(2, 2), chunk(3, 3)), played()},
		pair{captured(10*ms, "a", chunk(110*ms, 1)), captured(0, "a", chunk(1, 1)),
			replay.Played{ID: engines.RequestID{Cell: "c", Index: 1}, Arrival: 5010 * ms, Chunks: []time.Duration{5110 * ms}}})
	require.NoError(t, err)
	require.Equal(t, 2, c.Requests)
	require.Equal(t, truth.Pair[time.Duration]{Reported: 10 * ms, True: 10 * ms}, c.TPOT.Mean())
	require.Equal(t, truth.Pair[time.Duration]{Reported: 101500 * time.Microsecond, True: 100 * ms}, c.TTFT.Mean()) // (103+100)/2
}

func TestQuantilesOfErrorsAreOfMagnitudesAndTheMaximumIsCalledThat(t *testing.T) {
	// 1 to n ms, every other one negative.
	errs := func(n int) (all []time.Duration) {
		for i := range n {
			all = append(all, time.Duration(i+1)*ms*time.Duration(1-2*(i%2)))
		}
		return all
	}
	for _, test := range []struct {
		n    int
		q    float64
		want time.Duration
		at   string
	}{
		{4, 0.5, 2 * ms, "p50"},    // the 2nd of 4: 0.5 x 4 is whole
		{5, 0.5, 3 * ms, "p50"},    // ceil(2.5)
		{99, 0.99, 99 * ms, "max"}, // ceil(98.01) is the last
		{60, 0.99, 60 * ms, "max"},
		{100, 0.99, 99 * ms, "p99"}, // the 99th of 100
		{200, 0.99, 198 * ms, "p99"},
		{1, 0.5, 1 * ms, "max"},
		{0, 0.5, 0, "max"},
	} {
		d, at := truth.At(errs(test.n), test.q)
		require.Equal(t, test.want, d, "%+v", test)
		require.Equal(t, test.at, at, "%+v", test)
	}
}

func TestReportedAndTrueQuantilesAreTakenEachByItself(t *testing.T) {
	times := truth.Times{Reported: []time.Duration{1 * ms, 2 * ms, 9 * ms}, True: []time.Duration{1 * ms, 1 * ms, 8 * ms}}
	p, ok := times.At(0.5)
	require.True(t, ok)
	require.Equal(t, truth.Pair[time.Duration]{Reported: 2 * ms, True: 1 * ms}, p)
	_, ok = times.At(0.9)
	require.False(t, ok, "the maximum of three is no p90")
	require.Equal(t, truth.Pair[time.Duration]{Reported: 4 * ms, True: 10 * ms / 3}, times.Mean())
	require.Zero(t, truth.Times{}.Mean())
}

// A chunk that was read with the next is late by the time between them: TTFT is
// 131-10 where 5110-5010 is true, and the gap of 11 ms is lost.
func TestWhatWasReadTogetherIsHeldAgainstItsOwnWrite(t *testing.T) {
	c, err := compare(captured(10*ms, "abc", chunk(121*ms, 2), chunk(130*ms, 3)), played())
	require.NoError(t, err)
	require.Equal(t, 1, c.Coalesced)
	require.Equal(t, []time.Duration{0, 0, 11 * ms}, c.Chunks) // 121-110, 121-121 and 130-130, sorted
	require.Equal(t, 11*ms, c.TTFT.Mean().Error())
	require.Zero(t, c.Latency.Mean().Error())
	require.Equal(t, -5500*time.Microsecond, c.TPOT.Mean().Error()) // (130-121)/2 where (130-110)/2 are true
	require.Equal(t, []time.Duration{-11 * ms, 0}, c.ITLs)
}

func TestRecordsOfOneReadAreCoalesced(t *testing.T) {
	c, err := compare(captured(10*ms, "abc", chunk(110*ms, 1), chunk(131*ms, 2), chunk(131*ms, 3)), played())
	require.NoError(t, err)
	require.Equal(t, 1, c.Coalesced)
}

func TestWhatDoesNotMatchIsAnErrorThatNamesTheRequest(t *testing.T) {
	_, err := compare(captured(0, "ab", chunk(1, 2)), played())
	require.ErrorContains(t, err, "request 0: 2 bytes came of 3")
	other := played()
	other.ID.Index = 7
	_, err = compare(captured(0, "abc", chunk(1, 3)), other)
	require.ErrorContains(t, err, "did not play request 0")
}

func TestTheCountsOfEveryPatternAreExactOnTheWire(t *testing.T) {
	for _, dialect := range script.Dialects {
		for _, pattern := range script.Patterns {
			if !pattern.Fits(dialect) || pattern.Name == "no-counts" {
				continue
			}
			t.Run(dialect+"/"+pattern.Name, func(t *testing.T) {
				t.Parallel()
				s := script.Script{Dialect: dialect, Concurrency: 2, Requests: 4, Tokens: 8, TTFT: 20 * ms, Gap: 5 * ms}
				pattern.Apply(&s)
				if s.Stall > 0 {
					s.Stall = 50 * ms
				}
				if s.LateEnd > 0 {
					s.LateEnd = 50 * ms
				}
				st := open(t, s, replay.Options{})
				_, c := st.play(t)
				require.Equal(t, truth.Pair[int]{Reported: 4 * 8, True: 4 * 8}, c.Tokens)
				require.Len(t, c.TTFT.True, c.Requests)
			})
		}
	}
}
