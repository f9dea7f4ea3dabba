package httpstream

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestALineWithDataEndsInTheChunkThatBringsItsEnd(t *testing.T) {
	for _, test := range []struct {
		chunks string // with | between them
		ends   []int
	}{
		{"data: 1\n\n", []int{7}},
		{"data:1\r\n\r\n", []int{7}},
		{"\xef\xbb\xbfdata: 1\n\n", []int{10}},
		{`{"response":"a"}` + "\n", []int{16}},
		{"event: message\nid: 7\ndata: 1\n\n", []int{28}},
		{": ping\n\ndata: 1\n\ndata: 2\n\n", []int{15}},
		{"data: ha|lf|\n|\n", []int{-1, -1, 0, -1}},
		{"d|at|a|: 1\n\ndata", []int{-1, -1, -1, 3}},
		{"data: 1\n\nda|ta: 2\n\n", []int{7, 5}},
		{"data: a\ndata: b\n\n", []int{7}},
		{"\n|\r\n| \n", []int{-1, -1, -1}},
		{": ping\n|\n", []int{-1, -1}},
		{": ping|\n\n: pi|ng\n", []int{-1, -1, -1}},
		{": data: 1\n|:data: 1\n", []int{-1, -1}},
		{"event: ping\n\n|retry: 1000\n\n|id: 7\n\n", []int{-1, -1, -1}},
		{"data:\n\n|data: |\n|data\n", []int{-1, -1, -1, -1}},
		{"database: 1\n|xdata: 1\n|dat|{\n", []int{-1, -1, -1, -1}},
	} {
		var l lines
		var ends []int
		for _, chunk := range strings.Split(test.chunks, "|") {
			ends = append(ends, l.next([]byte(chunk)))
		}
		require.Equal(t, test.ends, ends, "%q", test.chunks)
	}
}

func BenchmarkLines(b *testing.B) {
	event := []byte(`data: {"id":"cmpl-1","object":"text_completion","created":1764000000,"model":"m","choices":[{"index":0,"text":" token","logprobs":null,"finish_reason":null,"stop_reason":null,"token_ids":[12345]}],"usage":null}` + "\n\n")
	b.SetBytes(int64(len(event)))
	b.ReportAllocs()
	var l lines
	for b.Loop() {
		if l.next(event) < 0 {
			b.Fatal("no event")
		}
	}
}
