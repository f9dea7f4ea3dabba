package openai

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/engines/capture"
)

func BenchmarkDecode(b *testing.B) {
	const n = 512
	for _, bench := range []struct{ name, event, last string }{
		{"completions", `{"id":"cmpl-bb7e2edf1b6c0f0c","object":"text_completion","created":1795650355,"model":"tiny-llama","choices":[{"index":0,"text":" Xin","logprobs":null,"finish_reason":null,"stop_reason":null,"prompt_token_ids":null,"token_ids":[70761]}]}`,
			`{"choices":[{"index":0,"text":" Xin","finish_reason":"length","token_ids":[70761]}]}`},
		{"chat", `{"id":"chatcmpl-a8d199ca45197222","object":"chat.completion.chunk","created":1795650355,"model":"tiny-llama","choices":[{"index":0,"delta":{"content":" usize"},"logprobs":null,"finish_reason":null,"token_ids":[23098]}],"usage":{"prompt_tokens":12,"total_tokens":13,"completion_tokens":1,"completion_tokens_details":null}}`,
			`{"choices":[{"index":0,"delta":{"content":" usize"},"finish_reason":"length","token_ids":[70761]}]}`},
	} {
		b.Run(bench.name, func(b *testing.B) {
			c := &capture.Capture{}
			event := "data: " + bench.event + "\n\n"
			for i := range n {
				c.Append([]byte(event), time.Duration(i), time.Duration(i))
			}
			c.Append([]byte("data: "+strings.TrimSpace(bench.last)+"\n\ndata: [DONE]\n\n"), n, n)
			c.Trailer.Clean = true
			b.ReportAllocs()
			for b.Loop() {
				r := decoder{}.Decode(c)
				require.Nil(b, r.Err)
				require.Len(b, r.Events, n+1)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(n+1), "ns/event")
		})
	}
}
