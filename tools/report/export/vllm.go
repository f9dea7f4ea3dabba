package export

import (
	"io"
	"strings"
	"time"

	"enginebench/tools/report/distribution"
)

// vllmDefinitions say what the numbers of the vLLM schema mean here: the names
// are vLLM's, and some of its definitions differ.
var vllmDefinitions = map[string]string{
	"ttft":                    "first token-bearing arrival - send; a role-only or empty chunk is not a token (vllm bench serve: first chunk that has choices)",
	"tpot":                    "(last - first token arrival) / (tokens - tokens in the first event), one value a request (vllm bench serve: (latency - TTFT) / (tokens - 1))",
	"itl":                     "gap between token events / tokens in the later one, within 0.05 % (vllm bench serve: gap between chunks)",
	"e2el":                    "last token-bearing arrival - send",
	"duration":                "first send to last token, over all requests, ramp and drain included",
	"output_throughput":       "output tokens of successful requests / duration; tokens by the engine's own count",
	"pNN":                     "nearest rank; null where the run has too few requests to have it (p50 5, p90 29, p99 299)",
	"mean, median, std":       "over measured successful requests; std is of the population",
	"failed":                  "failed and cancelled requests, which are in no latency",
	"max_output_tokens_per_s": "not derived: null",
}

type vllmResult struct {
	Date                 string             `json:"date"`
	EndpointType         string             `json:"endpoint_type"`
	Backend              string             `json:"backend"`
	Label                string             `json:"label"`
	ModelID              string             `json:"model_id"`
	TokenizerID          *string            `json:"tokenizer_id"`
	NumPrompts           int                `json:"num_prompts"`
	RequestRate          any                `json:"request_rate"` // a number, or "inf"
	Burstiness           *float64           `json:"burstiness"`
	MaxConcurrency       *int               `json:"max_concurrency"`
	Duration             float64            `json:"duration"`
	Completed            int                `json:"completed"`
	Failed               int                `json:"failed"`
	TotalInput           int64              `json:"total_input_tokens"`
	TotalOutput          int64              `json:"total_output_tokens"`
	RequestThroughput    float64            `json:"request_throughput"`
	RequestGoodput       *float64           `json:"request_goodput"`
	OutputThroughput     float64            `json:"output_throughput"`
	TotalTokenThroughput float64            `json:"total_token_throughput"`
	MeanTTFT             *float64           `json:"mean_ttft_ms"`
	MedianTTFT           *float64           `json:"median_ttft_ms"`
	StdTTFT              *float64           `json:"std_ttft_ms"`
	P90TTFT              *float64           `json:"p90_ttft_ms"`
	P99TTFT              *float64           `json:"p99_ttft_ms"`
	MeanTPOT             *float64           `json:"mean_tpot_ms"`
	MedianTPOT           *float64           `json:"median_tpot_ms"`
	StdTPOT              *float64           `json:"std_tpot_ms"`
	P90TPOT              *float64           `json:"p90_tpot_ms"`
	P99TPOT              *float64           `json:"p99_tpot_ms"`
	MeanITL              *float64           `json:"mean_itl_ms"`
	MedianITL            *float64           `json:"median_itl_ms"`
	StdITL               *float64           `json:"std_itl_ms"`
	P90ITL               *float64           `json:"p90_itl_ms"`
	P99ITL               *float64           `json:"p99_itl_ms"`
	MeanE2EL             *float64           `json:"mean_e2el_ms"`
	MedianE2EL           *float64           `json:"median_e2el_ms"`
	StdE2EL              *float64           `json:"std_e2el_ms"`
	P90E2EL              *float64           `json:"p90_e2el_ms"`
	P99E2EL              *float64           `json:"p99_e2el_ms"`
	MaxTokensPerSecond   *float64           `json:"max_output_tokens_per_s"`
	MaxConcurrent        *int               `json:"max_concurrent_requests"`
	Definitions          map[string]string  `json:"enginebench_definitions"`
	Verdict              string             `json:"enginebench_verdict,omitempty"`
	Doubts               []string           `json:"enginebench_doubts,omitempty"`
	Metrics              map[string]float64 `json:"enginebench_metrics,omitempty"` // the run's own, by unit
}

// VLLM writes a run as `vllm bench serve --save-result` does (schema of its
// serve.py, without what only --save-detailed adds), on one line.
func VLLM(w io.Writer, run *distribution.Run) error {
	span := (run.Last - run.First).Seconds()
	out := vllmResult{
		Label: run.Cell.Engine, NumPrompts: run.Sent, RequestRate: "inf",
		Duration: span, Completed: run.OK, Failed: run.Failed + run.Cancelled,
		TotalInput: run.Input.Sum, TotalOutput: run.Output.Sum,
		RequestThroughput: per(float64(run.OK), span), OutputThroughput: per(float64(run.Output.Sum), span),
		TotalTokenThroughput: per(float64(run.Input.Sum+run.Output.Sum), span),
		Definitions:          vllmDefinitions,
	}
	if level := run.Cell.Level; level.Kind == "rate" {
		out.RequestRate = level.Number()
	} else if n := int(level.Number()); n > 0 {
		out.MaxConcurrency, out.MaxConcurrent = &n, &n
	}
	if r := run.Record; r != nil {
		out.Date, out.ModelID = r.When.UTC().Format("20060102-150405"), r.Info.Model
		out.EndpointType, out.Backend = r.Info.Dialect, strings.ToLower(r.Info.Server)
		out.Verdict, out.Metrics = string(r.Verdict), r.Metrics
		out.Doubts = append(append(out.Doubts, r.Reasons...), r.Warnings...)
	}
	summary(&run.TTFT, &out.MeanTTFT, &out.MedianTTFT, &out.StdTTFT, &out.P90TTFT, &out.P99TTFT)
	summary(&run.TPOT, &out.MeanTPOT, &out.MedianTPOT, &out.StdTPOT, &out.P90TPOT, &out.P99TPOT)
	summary(&run.ITL, &out.MeanITL, &out.MedianITL, &out.StdITL, &out.P90ITL, &out.P99ITL)
	summary(&run.Latency, &out.MeanE2EL, &out.MedianE2EL, &out.StdE2EL, &out.P90E2EL, &out.P99E2EL)
	return encodeLine(w, out)
}

// durations is what [distribution.Times] and [distribution.Bins] have in common.
type durations interface {
	Quantile(q float64) (time.Duration, bool)
	Moments() (mean, std float64, least, most time.Duration, ok bool)
}

func summary(d durations, mean, median, std, p90, p99 **float64) {
	if m, s, _, _, ok := d.Moments(); ok {
		m, s = m/float64(time.Millisecond), s/float64(time.Millisecond)
		*mean, *std = &m, &s
	}
	*median, *p90, *p99 = quantile(d, 0.5), quantile(d, 0.9), quantile(d, 0.99)
}

func quantile(d durations, q float64) *float64 {
	v, ok := d.Quantile(q)
	if !ok {
		return nil
	}
	milliseconds := float64(v) / float64(time.Millisecond)
	return &milliseconds
}

func per(n, seconds float64) float64 {
	if !(seconds > 0) {
		return 0
	}
	return n / seconds
}
