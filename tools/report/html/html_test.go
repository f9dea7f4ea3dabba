package html_test

import (
	"bytes"
	"strings"
	"testing"

	"enginebench/tools/internal/results"
	"enginebench/tools/report/analysis"
	"enginebench/tools/report/html"

	"github.com/stretchr/testify/require"
	parse "golang.org/x/net/html"
)

const lines = `# a remark with <i>tags</i> and ` + "`code`" + `
BenchmarkServe/engine=vllm/concurrency=1-2 1 66.61 tokens/s 247 ttft-ms 7686 latency-ms 240 ttft-p50-ms
--- BENCH: BenchmarkServe/engine=vllm/concurrency=1-2
    serve.go:1: SUSPECT: </script><b>bold</b>
BenchmarkServe/engine=triton/concurrency=1-2 1 61.55 tokens/s 16.27 ttft-ms 8317 latency-ms 15 ttft-p50-ms
BenchmarkServe/engine=vllm/concurrency=2-2 1 127.45 tokens/s 416.59 ttft-ms 8034 latency-ms 240 ttft-p50-ms
`

func page(t *testing.T) string {
	in, err := results.Read("run.txt", strings.NewReader(lines))
	require.NoError(t, err)
	r, err := analysis.New([]*results.Input{in}, nil, analysis.Options{Labels: []analysis.Label{{Engine: "vllm", Title: "vLLM <Server>"}}})
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, html.Write(&out, html.Page{Report: r, Command: "go tool report 'a<b'"}))
	return out.String()
}

// elements counts a page's elements and collects their attributes that fetch.
func elements(t *testing.T, page string) (count map[string]int, fetched []string) {
	root, err := parse.Parse(strings.NewReader(page))
	require.NoError(t, err)
	count = map[string]int{}
	for n := range root.Descendants() {
		if n.Type != parse.ElementNode {
			continue
		}
		count[n.Data]++
		for _, a := range n.Attr {
			if a.Key == "src" || a.Key == "href" || a.Key == "srcset" {
				fetched = append(fetched, a.Val)
			}
		}
	}
	return count, fetched
}

func TestThePageIsSelfContained(t *testing.T) {
	text := page(t)
	count, fetched := elements(t, text)
	require.Empty(t, fetched)
	require.NotContains(t, text, "@import")
	require.NotContains(t, text, "url(")
	require.Zero(t, count["link"]+count["img"]+count["iframe"])
	require.Equal(t, 1, count["script"])
	require.Equal(t, 1, count["style"])
}

func TestThePageHasTablesPicturesAndPercentiles(t *testing.T) {
	text := page(t)
	count, _ := elements(t, text)
	require.Equal(t, 4, count["table"], "throughput, latency, TTFT, percentiles")
	require.Equal(t, 5, count["svg"], "throughput, TTFT, latency, scaling, TTFT against throughput")
	require.Contains(t, text, "TTFT p50")
	require.False(t, strings.Contains(text, "<button type=\"button\">TTFT p99"), "a column that says nothing")
	require.Regexp(t, `<p>No cell has TTFT p90, .*</p>`, text)
	require.Contains(t, text, "No cell has TTFT p99, Latency p99: a p99 needs 299 requests a cell (-requests=300).")
	require.Contains(t, text, "prefers-color-scheme: dark")
	require.Contains(t, text, `name="viewport"`)
}

func TestThePageEscapesWhatRunsSay(t *testing.T) {
	text := page(t)
	count, _ := elements(t, text)
	require.Zero(t, count["b"]+count["i"]+count["server"])
	require.Contains(t, text, "SUSPECT: &lt;/script&gt;&lt;b&gt;bold&lt;/b&gt;")
	require.Contains(t, text, "<code>code</code>")
	require.Contains(t, text, "go tool report &#39;a&lt;b&#39;")
	require.Contains(t, text, "vLLM &lt;Server&gt;")
}
