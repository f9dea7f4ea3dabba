package triton

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
)

// metricsPage is a page as Triton 2.51 gives it, of 7 requests.
const metricsPage = `# HELP nv_inference_request_success Number of successful inference requests, all batch sizes
# TYPE nv_inference_request_success counter
nv_inference_request_success{model="other",version="1"} 99
nv_inference_request_success{model="tensorrt_llm",version="1"} 5
nv_inference_request_success{model="tensorrt_llm",version="2"} 2
# HELP nv_inference_queue_duration_us Cumulative inference queuing duration in microseconds (includes cached requests)
# TYPE nv_inference_queue_duration_us counter
nv_inference_queue_duration_us{model="tensorrt_llm",version="1"} 1500000
# HELP nv_inference_first_response_histogram_ms Duration from request to first response in milliseconds
# TYPE nv_inference_first_response_histogram_ms histogram
nv_inference_first_response_histogram_ms_count{model="tensorrt_llm",version="1"} 4
nv_inference_first_response_histogram_ms_sum{model="tensorrt_llm",version="1"} 250
nv_inference_first_response_histogram_ms_bucket{model="tensorrt_llm",version="1",le="100"} 4
nv_inference_first_response_histogram_ms_bucket{model="tensorrt_llm",version="1",le="+Inf"} 4
# HELP nv_trt_llm_kv_cache_block_metrics TRT LLM KV cache block metrics
# TYPE nv_trt_llm_kv_cache_block_metrics gauge
nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="tokens_per",model="tensorrt_llm",version="1"} 64
nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="reused",model="tensorrt_llm",version="1"} 3
`

func TestCountersComeFromTheServersOwnPage(t *testing.T) {
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, metricsPage) }))
	t.Cleanup(page.Close)
	f := bareTriton()
	f.add(defaultModel, "", 128, append([]string{"> kv_cache_reused_blocks INT32 -1,1"}, bareLines...)...)
	f.served = 6 // and the preflight makes 7
	e := open(t, f.serve(t), "metrics="+page.URL+"/metrics")
	info, err := e.Describe(t.Context())
	require.NoError(t, err)
	require.Empty(t, info.Warnings)
	require.Equal(t, 64, e.blockTokens)
	got, err := e.Counters(t.Context())
	require.NoError(t, err)
	require.InDeltaMapValues(t, engines.Counters{
		engines.TTFTSecondsSum: 0.25, engines.TTFTCount: 4, // 250 ms
		engines.QueueSecondsSum: 1.5, engines.QueueCount: 7, // 5 + 2, both versions
	}, got, 1e-9)
}

func TestCountersOfAnotherServerAreNotRead(t *testing.T) {
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, metricsPage) }))
	t.Cleanup(page.Close)
	e := open(t, bareTriton().serve(t), "metrics="+page.URL)
	info, err := e.Describe(t.Context())
	require.NoError(t, err)
	require.Len(t, info.Warnings, 1)
	require.Contains(t, info.Warnings[0], "is not this server's metrics page (it counts 7 requests to the model, the server 1)")
	got, err := e.Counters(t.Context())
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestAServerWithoutAMetricsPageHasNoCounters(t *testing.T) {
	missing := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(missing.Close)
	garbage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }))
	t.Cleanup(garbage.Close)
	for url, warnings := range map[string]int{missing.URL: 0, garbage.URL: 1} {
		e := open(t, bareTriton().serve(t), "metrics="+url)
		info, err := e.Describe(t.Context())
		require.NoError(t, err)
		require.Len(t, info.Warnings, warnings)
		got, err := e.Counters(t.Context())
		require.NoError(t, err)
		require.Empty(t, got)
	}
}

func TestTheMetricsPortIsTheOneAboveGRPC(t *testing.T) {
	require.Equal(t, "http://127.0.0.1:9002/metrics", open(t, "127.0.0.1:9001", "").metrics.String())
}

// The backend's rows carry the name of the model that it runs itself, which
// behind an ensemble is not the measured one.
func TestTheBlockSizeIsTheMeasuredModels(t *testing.T) {
	for name, c := range map[string]struct {
		model string
		rows  []string // model, version, tokens a block
		want  int
	}{
		"another model beside it":              {"tensorrt_llm", []string{"draft 1 32", "tensorrt_llm 1 64"}, 64},
		"two versions":                         {"tensorrt_llm", []string{"tensorrt_llm 1 64", "tensorrt_llm 2 64"}, 64},
		"two versions that differ":             {"tensorrt_llm", []string{"tensorrt_llm 1 64", "tensorrt_llm 2 32"}, 0},
		"an ensemble":                          {"ensemble", []string{"tensorrt_llm 1 64"}, 64},
		"an ensemble of two models":            {"ensemble", []string{"draft 1 64", "tensorrt_llm 1 64"}, 64},
		"an ensemble of two that differ":       {"ensemble", []string{"draft 1 32", "tensorrt_llm 1 64"}, 0},
		"a server whose backend tells nothing": {"tensorrt_llm", nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintln(w, "# TYPE nv_trt_llm_kv_cache_block_metrics gauge")
				for _, row := range c.rows {
					f := strings.Fields(row)
					fmt.Fprintf(w, "nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=\"max\",model=%q,version=%q} 1000\n", f[0], f[1])
					fmt.Fprintf(w, "nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=\"tokens_per\",model=%q,version=%q} %s\n", f[0], f[1], f[2])
				}
			}))
			defer page.Close()
			require.Equal(t, c.want, open(t, "127.0.0.1:1", "model="+c.model+"&metrics="+page.URL).blockSize(t.Context()))
		})
	}
}

// silentPage answers as Triton does until it is asked for the nth time; from
// then on it takes the request, or even begins an answer, and says no more.
func silentPage(t *testing.T, nth int, body string) string {
	var asked atomic.Int64
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) < int64(nth) {
			fmt.Fprint(w, metricsPage)
			return
		}
		if body != "" {
			fmt.Fprint(w, body)
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done() // until the client gives up
	}))
	t.Cleanup(page.Close)
	return page.URL
}

// A port behind a firewall drops what comes: no refusal says that there is no
// page.
func TestASilentMetricsPageIsGivenUpAndTheEngineMeasured(t *testing.T) {
	for name, page := range map[string]string{
		"from the start":      silentPage(t, 1, ""),
		"within the page":     silentPage(t, 1, "# HELP"),
		"at the next reading": silentPage(t, 2, ""),
	} {
		t.Run(name, func(t *testing.T) {
			e := open(t, bareTriton().serve(t), "metrics="+page)
			e.scrapeLimit = 50 * time.Millisecond
			preflight, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			info, err := e.Describe(preflight)
			require.NoError(t, err)
			require.Equal(t, []string{"the server's own counters are not read: read counters of " + page + ": no answer within 50ms: give the metrics page with ?metrics=URL, or ?metrics=off"}, info.Warnings)
			got, err := e.Counters(t.Context())
			require.NoError(t, err)
			require.Empty(t, got, "it is not asked again")
		})
	}
}

func TestThePreflightsOwnEndIsNotTakenForASilentPage(t *testing.T) {
	preflight, cancel := context.WithCancelCause(t.Context())
	page := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel(engines.Errorf(engines.RequestTimeout, "no answer within 2m"))
		<-r.Context().Done()
	}))
	t.Cleanup(page.Close)
	info, err := open(t, bareTriton().serve(t), "metrics="+page.URL).Describe(preflight)
	require.Equal(t, engines.RequestTimeout, engines.ClassOf(err), "%v", err)
	require.ErrorContains(t, err, "no answer within 2m")
	require.Empty(t, info.Warnings)
}
