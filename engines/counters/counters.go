// Package counters reads what a serving engine counts for itself from its
// Prometheus page.
package counters

import (
	"bytes"
	"fmt"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"enginebench/engines"
)

// names is where each counter stands, newest spelling first: vLLM
// (vllm/v1/metrics/loggers.py; its client library adds _total to counters,
// older ones did not, and V0 put gpu_ before the prefix cache's), SGLang
// (metrics collector), TGI (router). A histogram gives its sum and its count.
var names = []struct {
	counter engines.Counter
	part    func(*dto.Metric) float64
	names   []string
}{
	{engines.TTFTSecondsSum, sum, []string{"vllm:time_to_first_token_seconds", "sglang:time_to_first_token_seconds"}},
	{engines.TTFTCount, count, []string{"vllm:time_to_first_token_seconds", "sglang:time_to_first_token_seconds"}},
	{engines.QueueSecondsSum, sum, []string{"vllm:request_queue_time_seconds", "sglang:queue_time_seconds", "tgi_request_queue_duration"}},
	{engines.QueueCount, count, []string{"vllm:request_queue_time_seconds", "sglang:queue_time_seconds", "tgi_request_queue_duration"}},
	{engines.PrefixQueries, value, []string{"vllm:prefix_cache_queries_total", "vllm:prefix_cache_queries", "vllm:gpu_prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries"}},
	{engines.PrefixHits, value, []string{"vllm:prefix_cache_hits_total", "vllm:prefix_cache_hits", "vllm:gpu_prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits"}},
	{engines.Preemptions, value, []string{"vllm:num_preemptions_total", "vllm:num_preemptions"}},
}

// Parse reads a page in Prometheus' text format. A counter is the sum over its
// label sets, which are the ranks and adapters of one server; one that the
// page lacks is absent.
func Parse(page []byte) (engines.Counters, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(page))
	if err != nil {
		return nil, fmt.Errorf("read the server's metrics: %w", err)
	}
	counters := engines.Counters{}
	for _, row := range names {
		for _, name := range row.names {
			family, ok := families[name]
			if !ok {
				continue
			}
			total := 0.0
			for _, m := range family.Metric {
				total += row.part(m)
			}
			counters[row.counter] = total
			break
		}
	}
	return counters, nil
}

func sum(m *dto.Metric) float64 {
	return m.GetHistogram().GetSampleSum() + m.GetSummary().GetSampleSum()
}

func count(m *dto.Metric) float64 {
	return float64(m.GetHistogram().GetSampleCount() + m.GetSummary().GetSampleCount())
}

// value is a counter's; one of these is set, by the page's TYPE line.
func value(m *dto.Metric) float64 {
	return m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
}
