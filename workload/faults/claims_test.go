package faults

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/fixtures/script"
	"enginebench/workload"
)

// slowScript is a reply of 16 tokens whose TTFT is so long that the tenth of
// it, by which client and engine may differ, is more than a path takes.
func slowScript(p protocol) script.Script {
	s := plainScript(p)
	s.Tokens, s.TTFT = 16, slowTTFT
	return s
}

const slowTTFT = 500 * time.Millisecond

// With and without what an audit looks for: the one is named, the other gives
// no finding.
func TestWhatRepliesTellIsNamed(t *testing.T) {
	for _, test := range []struct {
		name          string
		script        func(protocol) script.Script
		http          bool // only over HTTP
		with, without func(*script.Script)
		finding       string
	}{
		// 4 measured replies of 64 tokens, in 21 events of three and one of one.
		{"several tokens an event", plainScript, false,
			func(s *script.Script) { s.PerEvent = 3 }, func(*script.Script) {},
			"several tokens an event: 256 tokens came in 88 events, 2.91 each"},
		// 96 of 128 tokens, said by each of the replies.
		{"prefix cache hits", plainScript, true,
			func(s *script.Script) { s.Cached = 96 }, func(*script.Script) {},
			"prefix cache: 75.0 % of prompt tokens were answered from the engine's cache, by its replies"},
		{"an engine that counts less than the client", slowScript, false,
			func(s *script.Script) { s.ServerTTFT = slowTTFT / 10 }, func(s *script.Script) { s.ServerTTFT = slowTTFT },
			"engine's own TTFT: it counts 50.0 ms by its replies where the client saw 5"},
		{"an engine that counts more than the client", slowScript, false,
			func(s *script.Script) { s.ServerTTFT = 2 * slowTTFT }, func(s *script.Script) { s.ServerTTFT = slowTTFT },
			"engine's own TTFT: it counts 1000.0 ms by its replies where the client saw only 5"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var with, without []script.Script
			for _, p := range protocols {
				if test.http && p.dialect != completions {
					continue
				}
				a, b := test.script(p), test.script(p)
				test.with(&a)
				test.without(&b)
				with, without = append(with, a), append(without, b)
			}
			for _, r := range measured(t, with...) {
				require.Len(t, r.findings, 1)
				require.Contains(t, r.findings[0], test.finding)
			}
			for _, r := range measured(t, without...) {
				require.Empty(t, r.findings)
			}
		})
	}
}

// What an engine counts for itself is read from its metrics page before and
// after a run, of which the requests of the preflight are no part.
func TestWhatTheEnginesCountersTellIsNamed(t *testing.T) {
	for _, test := range []struct {
		name          string
		page          string // of one request; N requests have N times as much
		with, without float64
		finding       string
	}{
		{"queueing", "vllm:request_queue_time_seconds", 0.400, 0.001,
			`^queueing: requests waited 400\.0 ms \(mean\) in the engine's queue, most of a TTFT of (5\d\d\.\d) ms`},
		{"the engine's own TTFT", "vllm:time_to_first_token_seconds", 0.050, slowTTFT.Seconds(),
			`^engine's own TTFT: it counts 50\.0 ms by its own metrics where the client saw (5\d\d\.\d) ms`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			findings := counted(t, test.page, test.with)
			require.Len(t, findings, 1)
			require.InEpsilon(t, 500, number(t, test.finding, findings[0]), 0.1)
			require.Empty(t, counted(t, test.page, test.without))
		})
	}
}

// counted runs slow replies through a front that has a metrics page beside
// them, as a real server has. Its histogram grows by seconds with each reply.
func counted(t *testing.T, histogram string, seconds float64) []string {
	t.Helper()
	rec, err := slowScript(protocols[0]).Recording()
	require.NoError(t, err)
	behind, err := url.Parse(serve(t, rec).URL(rec.Header.Engine))
	require.NoError(t, err)
	var replies atomic.Int64
	mux := http.NewServeMux()
	proxy := httputil.NewSingleHostReverseProxy(behind)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		proxy.ServeHTTP(w, r)
		if r.Method == http.MethodPost {
			replies.Add(1)
		}
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		n := replies.Load()
		fmt.Fprintf(w, "# TYPE %[1]s histogram\n%[1]s_sum %[2]g\n%[1]s_count %[3]d\n", histogram, float64(n)*seconds, n)
	})
	front := httptest.NewServer(mux)
	t.Cleanup(front.Close)

	c := newClient(t, rec, front.URL, workload.Limits{Run: patience, MaxErrors: -1})
	before := counters(t, c.engine)
	res := together(t, c)[0]
	// A reply is counted once its handler is done, which may be after its end
	// has come to the client.
	await(t, "the count of the last reply", func() bool {
		res.Server = counters(t, c.engine).Since(before)
		return res.Server[engines.QueueCount]+res.Server[engines.TTFTCount] >= float64(len(res.Samples))
	})
	m := workload.Summarize(res.Outcome)
	require.Equal(t, len(res.Samples), m.OK)
	return audit(t, rec.Header.Engine, m, res.Outcome)
}

func counters(t *testing.T, engine engines.Engine) engines.Counters {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	found, err := engine.(engines.CounterReader).Counters(ctx)
	require.NoError(t, err)
	return found
}
