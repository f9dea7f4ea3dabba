package workload

// Metric is one unit that a cell reports.
type Metric struct {
	Unit   string // as on the benchmark line
	Better int    // +1: higher is better, -1: lower is better
	All    bool   // only with -metrics=all
	Text   string // its definition, in one sentence
}

// Lookup finds a metric by its unit.
func Lookup(unit string) (Metric, bool) {
	for _, m := range Metrics {
		if m.Unit == unit {
			return m, true
		}
	}
	return Metric{}, false
}

// Metrics is every unit, in the order of a benchmark line, with its
// definition. Reports, gates and exports read definitions and directions here.
var Metrics = []Metric{
	{Unit: "tokens/s", Better: +1, Text: "output tokens of successful requests / (last token-bearing arrival of any request - first send)"},
	{Unit: "steady-tokens/s", Better: +1, Text: "tokens that arrived while all slots were in flight / that time; a slot refilled within a decode step counts as in flight"},
	{Unit: "ttft-ms", Better: -1, Text: "mean over requests of first token-bearing arrival - send"},
	{Unit: "latency-ms", Better: -1, Text: "mean over requests of last token-bearing arrival - send"},
	{Unit: "tpot-ms", Better: -1, Text: "mean over requests of (last - first token arrival) / (tokens - tokens in the first token-bearing event)"},
	{Unit: "ttft-p50-ms", Better: -1, Text: "median time to first token, nearest rank"},
	{Unit: "ttft-p90-ms", Better: -1, Text: "90th percentile of the time to first token, nearest rank"},
	{Unit: "ttft-p99-ms", Better: -1, Text: "99th percentile of the time to first token, nearest rank"},
	{Unit: "latency-p50-ms", Better: -1, Text: "median latency, nearest rank"},
	{Unit: "latency-p90-ms", Better: -1, Text: "90th percentile of the latency, nearest rank"},
	{Unit: "latency-p99-ms", Better: -1, Text: "99th percentile of the latency, nearest rank"},
	{Unit: "itl-p50-ms", Better: -1, Text: "median of (gap between consecutive token events / tokens in the later one)"},
	{Unit: "itl-p99-ms", Better: -1, Text: "99th percentile of (gap between consecutive token events / tokens in the later one)"},
	{Unit: "req/s", Better: +1, Text: "successful requests / the span of tokens/s"},
	{Unit: "ok-%", Better: +1, Text: "successful requests / requests sent, in percent"},
	{Unit: "client-p99-us", Better: -1, Text: "99th percentile of (when the program saw a chunk - when the kernel had it): the client's own delay"},
	{Unit: "connect-ms", Better: -1, All: true, Text: "mean over requests whose connection was dialled within them: what the dial took"},
	{Unit: "head-ms", Better: -1, All: true, Text: "mean over requests of arrival of the reply's head - send"},
	{Unit: "first-chunk-ms", Better: -1, All: true, Text: "mean over requests of arrival of the first chunk - send"},
	{Unit: "dispatch-lag-p99-us", Better: -1, All: true, Text: "99th percentile of send - intended send: what the client itself took to send"},
	{Unit: "coalesced-%", Better: -1, All: true, Text: "token events that shared a read with another / token events, in percent"},
	{Unit: "client-cpu-us/chunk", Better: -1, All: true, Text: "user and system time of the client in the window / chunks"},
	{Unit: "gc-cycles", Better: -1, All: true, Text: "garbage collections of the client that fell into the window"},
}
