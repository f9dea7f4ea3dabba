package counters_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/engines/counters"
)

func TestParseReadsAVLLMPage(t *testing.T) {
	page, err := os.ReadFile("testdata/vllm-0.32.txt")
	require.NoError(t, err)
	got, err := counters.Parse(page)
	require.NoError(t, err)
	require.Equal(t, engines.Counters{
		engines.TTFTSecondsSum:  0.47315096855163574,
		engines.TTFTCount:       8.0,
		engines.QueueSecondsSum: 0.0008191459999125072,
		engines.QueueCount:      8.0,
		engines.PrefixQueries:   4030.0,
		engines.PrefixHits:      0,
		engines.Preemptions:     0,
	}, got)
}

func TestParseKnowsOtherSpellings(t *testing.T) {
	for _, test := range []struct {
		name, page string
		want       engines.Counters
	}{
		{"without _total, as V1 engines of early 2025 wrote them",
			"# TYPE vllm:prefix_cache_queries counter\nvllm:prefix_cache_queries 10\n# TYPE vllm:prefix_cache_hits counter\nvllm:prefix_cache_hits 4\n# TYPE vllm:num_preemptions counter\nvllm:num_preemptions 2\n",
			engines.Counters{engines.PrefixQueries: 10, engines.PrefixHits: 4, engines.Preemptions: 2}},
		{"with gpu_",
			"# TYPE vllm:gpu_prefix_cache_queries_total counter\nvllm:gpu_prefix_cache_queries_total 10\n# TYPE vllm:gpu_prefix_cache_hits_total counter\nvllm:gpu_prefix_cache_hits_total 4\n",
			engines.Counters{engines.PrefixQueries: 10, engines.PrefixHits: 4}},
		{"no TYPE line", "vllm:num_preemptions_total 3\n", engines.Counters{engines.Preemptions: 3}},
		{"the sum over ranks", "# TYPE vllm:num_preemptions_total counter\nvllm:num_preemptions_total{engine=\"0\"} 3\nvllm:num_preemptions_total{engine=\"1\"} 4\n",
			engines.Counters{engines.Preemptions: 7}}, // 3 + 4
		{"SGLang", "# TYPE sglang:time_to_first_token_seconds histogram\nsglang:time_to_first_token_seconds_bucket{le=\"+Inf\"} 2\nsglang:time_to_first_token_seconds_sum 0.5\nsglang:time_to_first_token_seconds_count 2\n",
			engines.Counters{engines.TTFTSecondsSum: 0.5, engines.TTFTCount: 2}},
		{"a page of something else", "# TYPE go_goroutines gauge\ngo_goroutines 8\n", engines.Counters{}},
		{"nothing", "", engines.Counters{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := counters.Parse([]byte(test.page))
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestParseRefusesWhatIsNoMetricsPage(t *testing.T) {
	for _, page := range []string{`[{"iter": 1}]`, "<html>\n</html>\n"} {
		_, err := counters.Parse([]byte(page))
		require.ErrorContains(t, err, "read the server's metrics")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("# TYPE vllm:num_preemptions counter\nvllm:num_preemptions{a=\"b\"} 2\n"))
	f.Fuzz(func(t *testing.T, page []byte) {
		if got, err := counters.Parse(page); err == nil {
			require.LessOrEqual(t, len(got), 7)
		}
	})
}
