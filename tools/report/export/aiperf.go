package export

import (
	"encoding/json"
	"io"
	"maps"
	"math"
	"slices"
	"time"

	"enginebench/tools/report/distribution"
	"enginebench/workload"
)

// aiperfSchema is the version of AIPerf's profile export that this follows.
const aiperfSchema = "1.5"

var aiperfDefinitions = map[string]string{
	"time_to_first_token":              "first token-bearing arrival - send (AIPerf: first response with content - request start)",
	"time_to_second_token":             "second token-bearing arrival - first",
	"inter_token_latency":              "(last - first token arrival) / (tokens - tokens in the first event), one value a request (AIPerf: (latency - TTFT) / (tokens - 1))",
	"request_latency":                  "last token-bearing arrival - send",
	"output_token_throughput":          "output tokens of successful requests / (last token - first send); tokens by the engine's own count (AIPerf's default: by the client's tokenizer)",
	"output_token_throughput_per_user": "1 / inter_token_latency, one value a request",
	"request_throughput":               "successful requests / (last token - first send)",
	"pNN":                              "nearest rank, over measured successful requests; absent where the run has too few to have it",
	"std":                              "of the population",
}

// metric is AIPerf's JsonMetricResult.
type metric struct {
	Unit  string   `json:"unit"`
	Avg   float64  `json:"avg"`
	P1    *float64 `json:"p1,omitempty"`
	P5    *float64 `json:"p5,omitempty"`
	P10   *float64 `json:"p10,omitempty"`
	P25   *float64 `json:"p25,omitempty"`
	P50   *float64 `json:"p50,omitempty"`
	P75   *float64 `json:"p75,omitempty"`
	P90   *float64 `json:"p90,omitempty"`
	P95   *float64 `json:"p95,omitempty"`
	P99   *float64 `json:"p99,omitempty"`
	Min   *float64 `json:"min,omitempty"`
	Max   *float64 `json:"max,omitempty"`
	Std   *float64 `json:"std,omitempty"`
	Count int      `json:"count,omitempty"`
	Sum   *float64 `json:"sum,omitempty"`
}

type aiperfError struct {
	Details struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	} `json:"error_details"`
	Count int `json:"count"`
}

type aiperfProfile struct {
	SchemaVersion    string            `json:"schema_version"`
	Version          string            `json:"aiperf_version"`
	RequestRate      *metric           `json:"request_throughput,omitempty"`
	RequestLatency   *metric           `json:"request_latency,omitempty"`
	RequestCount     *metric           `json:"request_count,omitempty"`
	TTFT             *metric           `json:"time_to_first_token,omitempty"`
	TTST             *metric           `json:"time_to_second_token,omitempty"`
	ITL              *metric           `json:"inter_token_latency,omitempty"`
	TokenRate        *metric           `json:"output_token_throughput,omitempty"`
	TokenRatePerUser *metric           `json:"output_token_throughput_per_user,omitempty"`
	OutputLength     *metric           `json:"output_sequence_length,omitempty"`
	InputLength      *metric           `json:"input_sequence_length,omitempty"`
	TotalOutput      *metric           `json:"total_output_tokens,omitempty"`
	Duration         *metric           `json:"benchmark_duration,omitempty"`
	Errors           *metric           `json:"error_request_count,omitempty"`
	InputConfig      map[string]any    `json:"input_config"`
	WasCancelled     bool              `json:"was_cancelled"`
	ErrorSummary     []aiperfError     `json:"error_summary"`
	StartTime        *time.Time        `json:"start_time,omitempty"`
	EndTime          *time.Time        `json:"end_time,omitempty"`
	Definitions      map[string]string `json:"enginebench_definitions"`
	Verdict          string            `json:"enginebench_verdict,omitempty"`
	Doubts           []string          `json:"enginebench_doubts,omitempty"`
}

// AIPerf writes a run as AIPerf's profile_export_aiperf.json, on one line.
func AIPerf(w io.Writer, run *distribution.Run) error {
	span := (run.Last - run.First).Seconds()
	out := aiperfProfile{
		SchemaVersion: aiperfSchema, Version: "enginebench",
		RequestRate: single("requests/sec", per(float64(run.OK), span)), RequestCount: single("requests", float64(run.OK)),
		TokenRate: single("tokens/sec", per(float64(run.Output.Sum), span)), TotalOutput: single("tokens", float64(run.Output.Sum)),
		Duration: single("sec", span), Errors: single("requests", float64(run.Failed)),
		RequestLatency: times(&run.Latency), TTFT: times(&run.TTFT), TTST: times(&run.SecondToken), ITL: times(&run.TPOT),
		TokenRatePerUser: perUser(&run.TPOT), OutputLength: lengths(run.Output), InputLength: lengths(run.Input),
		WasCancelled: run.Cancelled > 0, ErrorSummary: []aiperfError{}, InputConfig: aiperfConfig(run), Definitions: aiperfDefinitions,
	}
	for _, class := range slices.Sorted(maps.Keys(run.Errors)) {
		if class == "cancelled" {
			continue
		}
		e := aiperfError{Count: run.Errors[class]}
		e.Details.Type, e.Details.Message = class, class
		out.ErrorSummary = append(out.ErrorSummary, e)
	}
	if r := run.Record; r != nil {
		start, end := r.When.UTC(), r.When.UTC().Add(run.Last)
		out.StartTime, out.EndTime = &start, &end
		out.Verdict = string(r.Verdict)
		out.Doubts = append(append(out.Doubts, r.Reasons...), r.Warnings...)
	}
	return encodeLine(w, out)
}

func aiperfConfig(run *distribution.Run) map[string]any {
	load := map[string]any{"request_count": run.Sent}
	if level := run.Cell.Level; level.Kind == "rate" {
		load["request_rate"] = level.Number()
	} else {
		load["concurrency"] = level.Number()
	}
	config := map[string]any{"loadgen": load}
	if r := run.Record; r != nil {
		config["endpoint"] = map[string]any{"model_names": []string{r.Info.Model}, "type": r.Info.Dialect, "streaming": true}
		config["input"] = map[string]any{"prompts": r.Prompts, "random_seed": r.Seed, "output_tokens": r.OutputTokens}
	}
	return config
}

func single(unit string, v float64) *metric { return &metric{Unit: unit, Avg: v} }

func times(t *distribution.Times) *metric {
	var values []float64
	for _, d := range t.Sorted() {
		values = append(values, float64(d)/float64(time.Millisecond))
	}
	return many("ms", values)
}

func perUser(t *distribution.Times) *metric {
	var values []float64
	for _, d := range slices.Backward(t.Sorted()) {
		if d > 0 {
			values = append(values, 1/d.Seconds())
		}
	}
	return many("tokens/sec/user", values)
}

func lengths(c distribution.Counts) *metric {
	var values []float64
	for _, n := range c.Values {
		values = append(values, float64(n))
	}
	slices.Sort(values)
	return many("tokens", values)
}

// many summarises ascending values; nil without any.
func many(unit string, values []float64) *metric {
	n := len(values)
	if n == 0 {
		return nil
	}
	sum, squares := 0.0, 0.0
	for _, v := range values {
		sum += v
	}
	mean := sum / float64(n)
	for _, v := range values {
		squares += (v - mean) * (v - mean)
	}
	std := math.Sqrt(squares / float64(n))
	at := func(q float64) *float64 {
		// As many values as put one beyond the quantile on either side.
		if v, ok := workload.Quantile(values, q); ok && 1-math.Pow(max(q, 1-q), float64(n)) >= 0.95 {
			return &v
		}
		return nil
	}
	return &metric{Unit: unit, Avg: mean, Std: &std, Min: &values[0], Max: &values[n-1], Count: n, Sum: &sum,
		P1: at(0.01), P5: at(0.05), P10: at(0.10), P25: at(0.25), P50: at(0.50), P75: at(0.75), P90: at(0.90), P95: at(0.95), P99: at(0.99)}
}

func encodeLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
