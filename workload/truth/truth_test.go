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

// compare puts one captured reply beside one played reply of three chunks.
func compare(got *capture.Capture, p replay.Played) (truth.Comparison, error) {
	rec := &fixtures.Recording{Header: fixtures.Header{Engine: "e", Cell: "c"}, Requests: []fixtures.Request{
		{Cell: "c", Index: 0, Capture: captured(0, "abc", chunk(100*ms, 1), chunk(110*ms, 2), chunk(120*ms, 3))}}}
	run := &workload.Run{Plan: &workload.Plan{Cell: "c"}, Epoch: 5000 * ms, Captures: []*capture.Capture{got}, Sent: []bool{true}}
	return truth.Compare(run, tokens{}, rec, replay.Report{Requests: []replay.Played{p}})
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
	require.Equal(t, truth.Pair[time.Duration]{Reported: 103 * ms, True: 100 * ms}, c.TTFT)
	require.Equal(t, truth.Pair[time.Duration]{Reported: 123 * ms, True: 120 * ms}, c.Latency)
	require.Equal(t, truth.Pair[time.Duration]{Reported: 10 * ms, True: 10 * ms}, c.TPOT)
	require.Equal(t, truth.Pair[int]{Reported: 3, True: 3}, c.Tokens)
	require.Equal(t, []time.Duration{1 * ms, 2 * ms, 2 * ms}, c.Chunks) // 112-110, 122-121, 132-130, sorted
	require.Equal(t, []time.Duration{-1 * ms, 1 * ms}, c.ITLs)          // 10-11, 10-9
	require.InDelta(t, 0.03, c.TTFT.Share(), 1e-12)
	require.Zero(t, c.Coalesced)
}

func TestWhatWasReadTogetherIsHeldAgainstItsLastWrite(t *testing.T) {
	c, err := compare(captured(10*ms, "abc", chunk(110*ms, 1), chunk(131*ms, 3)), played())
	require.NoError(t, err)
	require.Equal(t, 1, c.Coalesced)
	require.Equal(t, []time.Duration{0, 1 * ms}, c.Chunks) // 110-110 and 131-130
	require.Equal(t, 1*ms, c.Latency.Error())
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
				require.Equal(t, c.Tokens.True, c.Tokens.Reported)
				require.NotZero(t, c.Tokens.True)
				require.Equal(t, len(c.TTFTs), c.Requests)
			})
		}
	}
}

func TestACalibrationIsKeptForItsNumberOfCores(t *testing.T) {
	t.Setenv("ENGINEBENCH_CACHE", t.TempDir())
	_, ok := truth.LoadCalibration()
	require.False(t, ok)
	c := truth.Calibration{Knee: 50_000, Cores: 1 << 20}
	_, err := c.Save()
	require.NoError(t, err)
	_, ok = truth.LoadCalibration()
	require.False(t, ok, "of another number of cores")
}

func TestAPointHoldsWithinItsBounds(t *testing.T) {
	at := func(late time.Duration, coalesced int) bool {
		return truth.NewPoint(1, 10*ms, 100, truth.Comparison{Chunks: []time.Duration{late}, Events: 100, Coalesced: coalesced}).Holds
	}
	require.True(t, at(500*time.Microsecond, 5)) // 5 % of 10 ms, and 5 of 100
	require.False(t, at(501*time.Microsecond, 0))
	require.False(t, at(-501*time.Microsecond, 0))
	require.False(t, at(0, 6))
}
