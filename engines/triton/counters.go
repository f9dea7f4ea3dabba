package triton

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	prom "github.com/prometheus/common/model"

	"enginebench/engines"
	pb "enginebench/engines/triton/inference"
)

// maxPage bounds a metrics page.
const maxPage = 8 << 20

// scrapeLimit bounds one reading of the page, which takes a busy server well
// under a second. The default page is a guess: a port that drops what comes
// must not use up the time that a model has to load.
const scrapeLimit = 5 * time.Second

// Counters implements [engines.CounterReader] with Triton's metrics page, the
// rows of the measured model (docs/user_guide/metrics.md). The time to the
// first response is there only if the server was started with
// --metrics-config histogram_latencies=true. A server without the page has no
// counters, which is no error.
func (e *Engine) Counters(ctx context.Context) (engines.Counters, error) {
	families, err := e.scrape(ctx)
	if err != nil || families == nil {
		return nil, err
	}
	counters := engines.Counters{}
	for _, row := range []struct {
		counter engines.Counter
		family  string
		scale   float64
		part    func(*dto.Metric) float64
	}{
		{engines.TTFTSecondsSum, "nv_inference_first_response_histogram_ms", 1e-3, func(m *dto.Metric) float64 { return m.GetHistogram().GetSampleSum() }},
		{engines.TTFTCount, "nv_inference_first_response_histogram_ms", 1, func(m *dto.Metric) float64 { return float64(m.GetHistogram().GetSampleCount()) }},
		{engines.QueueSecondsSum, "nv_inference_queue_duration_us", 1e-6, counterValue},
		{engines.QueueCount, "nv_inference_request_success", 1, counterValue},
	} {
		if total, ok := sum(families[row.family], "model", e.name, row.part); ok {
			counters[row.counter] = total * row.scale
		}
	}
	return counters, nil
}

func counterValue(m *dto.Metric) float64 { return m.GetCounter().GetValue() }

// sum adds up the rows whose label has the value, over versions and devices;
// ok is false if there is none.
func sum(family *dto.MetricFamily, label, value string, part func(*dto.Metric) float64) (total float64, ok bool) {
	found := rows(family.GetMetric(), label, value)
	for _, m := range found {
		total += part(m)
	}
	return total, len(found) > 0
}

// rows are those whose label has the value.
func rows(all []*dto.Metric, label, value string) (found []*dto.Metric) {
	for _, m := range all {
		if slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == label && l.GetValue() == value }) {
			found = append(found, m)
		}
	}
	return found
}

// checkMetrics gives the metrics page up unless it is the measured server's:
// where two Tritons share a host, a default port may be the other one's. The
// page and the server's statistics come from the same counts, so that one
// reading of the page lies between two of the statistics.
func (d *describer) checkMetrics(ctx context.Context) error {
	e := d.engine
	if page, err := e.scrape(ctx); err != nil || page == nil {
		return d.withoutMetrics(ctx, err)
	}
	before, err := d.successes(ctx)
	if err != nil {
		return err
	}
	page, err := e.scrape(ctx)
	if err != nil {
		return d.withoutMetrics(ctx, err)
	}
	after, err := d.successes(ctx)
	if err != nil {
		return err
	}
	n, ok := sum(page["nv_inference_request_success"], "model", e.name, counterValue)
	if !ok || n < before || n > after {
		d.warn("%s is not this server's metrics page (it counts %.0f requests to the model, the server %.0f): give it with ?metrics=URL, or ?metrics=off", e.metrics, n, after)
		e.metrics = nil
	}
	return nil
}

// withoutMetrics gives the metrics page up: the counters explain numbers and
// are none. An error says why; it is one of Describe only when that has to end.
func (d *describer) withoutMetrics(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return engines.Transport(ctx, err, false)
	}
	d.engine.metrics = nil
	if err != nil {
		d.warn("the server's own counters are not read: %v", err)
	}
	return nil
}

// successes is how many requests to the model the server says it answered.
func (d *describer) successes(ctx context.Context) (total float64, err error) {
	var stats pb.ModelStatisticsResponse
	if _, err := d.ask(ctx, pb.GRPCInferenceService_ModelStatistics_FullMethodName, &pb.ModelStatisticsRequest{Name: d.engine.name}, &stats); err != nil {
		return 0, err
	}
	for _, m := range stats.ModelStats { // one for each version
		total += float64(m.GetInferenceStats().GetSuccess().GetCount())
	}
	return total, nil
}

// blockSize is how many tokens a block of TRT-LLM's KV cache holds, by the
// backend's own metrics (custom_metrics_reporter.cc); 0 unknown. A row names
// the model that the backend itself runs: where none names the measured one,
// which then is an ensemble or a BLS model, any of them may be behind it. Rows
// that differ, of versions or of such models, leave open which one answers.
func (e *Engine) blockSize(ctx context.Context) int {
	families, err := e.scrape(ctx)
	if err != nil {
		return 0
	}
	all := rows(families["nv_trt_llm_kv_cache_block_metrics"].GetMetric(), "kv_cache_block_type", "tokens_per")
	if own := rows(all, "model", e.name); len(own) > 0 {
		all = own
	}
	size := 0
	for i, m := range all {
		n := int(m.GetGauge().GetValue())
		if i > 0 && n != size {
			return 0
		}
		size = n
	}
	return size
}

// scrape reads the metrics page; nil and no error if there is none.
func (e *Engine) scrape(ctx context.Context) (map[string]*dto.MetricFamily, error) {
	if e.metrics == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.scrapeLimit, fmt.Errorf("no answer within %v: give the metrics page with ?metrics=URL, or ?metrics=off", e.scrapeLimit))
	defer cancel()
	failed := func(err error) error {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return fmt.Errorf("read counters of %s: %w", e.metrics.Redacted(), err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.metrics.String(), nil)
	if err != nil {
		return nil, failed(err)
	}
	transport := &http.Transport{DisableKeepAlives: true} // and no proxy
	resp, err := transport.RoundTrip(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, failed(err)
		}
		return nil, nil
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, nil
	}
	page, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	if err != nil {
		return nil, failed(err)
	}
	parser := expfmt.NewTextParser(prom.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(page))
	if err != nil {
		return nil, failed(err)
	}
	return families, nil
}
