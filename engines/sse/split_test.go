package sse_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/engines/capture"
	"enginebench/engines/sse"
)

// reply makes a cleanly ended capture whose chunk i arrived at i+1 ms.
func reply(chunks ...string) *capture.Capture {
	c := &capture.Capture{}
	for i, chunk := range chunks {
		at := time.Duration(i+1) * time.Millisecond
		c.Append([]byte(chunk), at, at)
	}
	c.Trailer = capture.Trailer{Clean: true}
	return c
}

func collect(t *testing.T, c *capture.Capture) (events []sse.Event) {
	t.Helper()
	for e, err := range sse.Events(c) {
		require.Nil(t, err)
		events = append(events, e)
	}
	return events
}

func TestEventsFollowTheRulesOfTheStandardAndOfRealServers(t *testing.T) {
	for _, test := range []struct {
		name, body string
		want       []string
	}{
		{"a space after the colon", "data: a\n\n", []string{"a"}},
		{"no space after the colon", "data:a\n\n", []string{"a"}},
		{"CRLF", "data: a\r\n\r\ndata: b\r\n\r\n", []string{"a", "b"}},
		{"CR alone", "data: a\r\rdata: b\r\r", []string{"a", "b"}},
		{"mixed line ends", "data: a\r\n\ndata: b\n\r\n", []string{"a", "b"}},
		{"two CR before LF end two lines", "data: a\r\r\ndata: b\n\n", []string{"a", "b"}},
		{"comments between and inside events", ": ping\n\n:\n\ndata: a\n: ping\ndata: b\n\n", []string{"a\nb"}},
		{"several data lines", "data: {\ndata: \"a\":1\ndata:}\n\n", []string{"{\n\"a\":1\n}"}},
		{"event, id and retry lines", "event: message\nid: 7\nretry: 10\ndata: a\n\n", []string{"a"}},
		{"unknown fields and a line without a colon", "x: y\nnonsense\ndata: a\n\n", []string{"a"}},
		{"white space around the data", "data:   a \t\n\n", []string{"a"}},
		{"events without data", "event: ping\n\ndata:\n\ndata\n\ndata: a\n\n", []string{"a"}},
		{"blank lines in plenty", "\n\n\ndata: a\n\n\n\n\ndata: b\n\n\n", []string{"a", "b"}},
		{"a byte order mark", "\ufeffdata: a\n\n", []string{"a"}},
		{"no blank line before the end", "data: a\n\ndata: b\n", []string{"a", "b"}},
		{"no line end before the end", "data: a\n\ndata: b", []string{"a", "b"}},
		{"a colon in the data", "data: {\"a\":1}\n\n", []string{`{"a":1}`}},
		{"nothing", "", nil},
		{"no event in it", "<html>\n<body>\n\n</html>", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, e := range collect(t, reply(test.body)) {
				got = append(got, string(e.Data))
			}
			require.Equal(t, test.want, got)
		})
	}
}

func TestAnEventCarriesItsName(t *testing.T) {
	events := collect(t, reply("event: error\ndata: a\n\ndata: b\n\n"))
	require.Equal(t, "error", events[0].Name)
	require.Equal(t, "", events[1].Name)
}

func TestAnEventArrivesWithTheChunkThatCompletesIt(t *testing.T) {
	events := collect(t, reply(
		"data: a\n\ndata: b\n\nda", // 1 ms: a and b whole, c begun
		"ta: c",                    // 2 ms
		"\n",                       // 3 ms
		"\ndata: d\n\n",            // 4 ms: c's blank line, and d
	))
	require.Len(t, events, 4)
	for i, want := range []struct {
		data  string
		at    time.Duration
		chunk int
	}{{"a", 1, 0}, {"b", 1, 0}, {"c", 4, 3}, {"d", 4, 3}} {
		require.Equal(t, want.data, string(events[i].Data))
		require.Equal(t, want.at*time.Millisecond, events[i].Arrival)
		require.Equal(t, want.chunk, events[i].Chunk)
	}
}

func TestAReplyThatWasCutOffYieldsNoHalfEvent(t *testing.T) {
	for _, tail := range []string{"data: b", "data: b\n", "da"} {
		c := reply("data: a\n\n" + tail)
		c.Trailer.Clean = false
		require.Len(t, collect(t, c), 1, "tail %q", tail)
	}
}

func TestAnEventOfExactlyTheLimitIsTakenAndALargerOneIsOversize(t *testing.T) {
	fits := "data:" + strings.Repeat("x", sse.MaxEvent-len("data:\n\n")) + "\n\n"
	require.Len(t, fits, sse.MaxEvent)
	require.Len(t, collect(t, reply("data: a\n\n"+fits)), 2)

	for name, body := range map[string]string{
		"one line":      "data:x" + fits[len("data:"):],
		"many lines":    strings.Repeat("data: x\n", sse.MaxEvent/8+1) + "\n",
		"no line end":   strings.Repeat("x", sse.MaxEvent+1),
		"only comments": strings.Repeat(": ping\n", sse.MaxEvent/7+1),
	} {
		t.Run(name, func(t *testing.T) {
			var last *engines.Error
			n := 0
			for _, err := range sse.Events(reply("data: a\n\n" + body)) {
				last = err
				n++
			}
			require.NotNil(t, last)
			require.Equal(t, engines.Oversize, last.Class)
			require.Equal(t, 2, n, "the event before it, then the error")
		})
	}
}

func TestLinesYieldWholeLinesOfJSON(t *testing.T) {
	c := reply("{\"a\":1}\n{\"b\"", ":2}\r\n\n", "{\"c\":3}")
	var got []string
	for e, err := range sse.Lines(c) {
		require.Nil(t, err)
		got = append(got, fmt.Sprintf("%s %v %d", e.Data, e.Arrival, e.Chunk))
	}
	require.Equal(t, []string{`{"a":1} 1ms 0`, `{"b":2} 2ms 1`, `{"c":3} 3ms 2`}, got)

	c.Trailer.Clean = false
	n := 0
	for range sse.Lines(c) {
		n++
	}
	require.Equal(t, 2, n, "the line that was cut off is left out")
}

func TestALineLargerThanTheLimitIsOversize(t *testing.T) {
	for _, err := range sse.Lines(reply(strings.Repeat("x", sse.MaxEvent+1))) {
		require.NotNil(t, err)
		require.Equal(t, engines.Oversize, err.Class)
	}
}

// cut splits data into chunks at random places.
func cut(r *rand.Rand, data []byte) *capture.Capture {
	var chunks []string
	for len(data) > 0 {
		n := 1 + r.IntN(min(len(data), 40))
		chunks = append(chunks, string(data[:n]))
		data = data[n:]
	}
	return reply(chunks...)
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte("data: a\n\ndata:b\r\n\r\n: ping\nevent: x\ndata: c\ndata: d\r\r"), true)
	f.Add([]byte("\ufeffdata: a\n\ndata: b"), false)
	f.Fuzz(func(t *testing.T, data []byte, clean bool) {
		whole := reply(string(data))
		whole.Trailer.Clean = clean
		parts := cut(rand.New(rand.NewPCG(1, uint64(len(data)))), data)
		parts.Trailer.Clean = clean
		want, got := collect(t, whole), collect(t, parts)
		require.Equal(t, len(want), len(got))
		last := time.Duration(0)
		for i := range got {
			require.Equal(t, want[i].Data, got[i].Data)
			require.GreaterOrEqual(t, got[i].Arrival, last)
			require.NotEmpty(t, got[i].Data)
			last = got[i].Arrival
		}
		for range sse.Lines(parts) {
		}
		require.True(t, bytes.Equal(data, parts.Data), "splitting must not change the capture")
	})
}

func BenchmarkEvents(b *testing.B) {
	event := `data: {"id":"cmpl-bb7e2edf1b6c0f0c","object":"text_completion","created":1795650355,"model":"tiny-llama","choices":[{"index":0,"text":" Xin","logprobs":null,"finish_reason":null,"stop_reason":null,"prompt_token_ids":null,"token_ids":[70761]}]}` + "\n\n"
	const n = 1000
	c := reply(strings.Repeat(event, n))
	b.ReportAllocs()
	for b.Loop() {
		for range sse.Events(c) {
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
}
