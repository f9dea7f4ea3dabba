package enginebench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"enginebench/fixtures/replay"
	"enginebench/fixtures/script"
	"enginebench/workload"
	"enginebench/workload/truth"
)

// canary sends scripted streams, whose times are known, through the client
// that measures, so that each cell carries the client's own error. It also
// catches what stamps can't: an error in decoding or in a definition.
type canary struct{ *truth.Stage }

// canaryScript takes a quarter of a second. Its first token comes late enough
// for 1 % of it to be more than a scheduler's delay.
var canaryScript = script.Script{Engine: "canary", Dialect: "openai.completions", Load: "waves", Cell: "wave=4",
	Concurrency: 4, Requests: 4, Tokens: 16, TTFT: 100 * time.Millisecond, Gap: 10 * time.Millisecond}

// canaryBeside is the concurrency from which a canary's four streams, which
// deliver like others, are a small enough part of the load to run beside it.
const canaryBeside = 400

func startCanary(ctx context.Context) (*canary, error) {
	stage, err := truth.Open(ctx, canaryScript, replay.Options{})
	if err != nil {
		return nil, fmt.Errorf("start the canary: %w", err)
	}
	return &canary{stage}, nil
}

func (c *canary) close() {
	if c != nil {
		c.Close()
	}
}

// sing sends the streams once and compares.
func (c *canary) sing(ctx context.Context) (*workload.Canary, error) {
	runner := &workload.Runner{Engine: c.Engine}
	defer runner.Close()
	_, found, err := c.Play(ctx, runner)
	if err != nil {
		return nil, err
	}
	return summed(found), nil
}

// summed is what an outcome keeps of a comparison.
func summed(c truth.Comparison) *workload.Canary {
	return &workload.Canary{Streams: c.Requests, TTFT: c.TTFT.True, TTFTError: c.TTFT.Error(), ITLErrorP99: truth.At(c.ITLs, 0.99),
		Tokens: c.Tokens.True, TokensError: c.Tokens.Error()}
}

// around runs the canary before and after do, or beside it where it is a
// small part of the load, and keeps the worst of what it found.
func (c *canary) around(ctx context.Context, concurrency int, do func() error) (*workload.Canary, error) {
	if c == nil {
		return nil, do()
	}
	var worst *workload.Canary
	try := func() {
		if found, err := c.sing(ctx); err == nil && (worst == nil || off(found) > off(worst)) {
			worst = found
		}
	}
	if concurrency < canaryBeside {
		try()
		err := do()
		try()
		return worst, err
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			try()
			select {
			case <-done:
				return
			default:
			}
		}
	})
	err := do()
	close(done)
	wg.Wait()
	return worst, err
}

func off(c *workload.Canary) time.Duration { return max(c.TTFTError, -c.TTFTError) }

// canaryLine is what a canary found, for people.
func canaryLine(c *workload.Canary) string {
	return fmt.Sprintf("canary: %d streams with known times read a TTFT of %.3f ms where %.3f ms are true (%+.3f %%), gaps within %.0f us (p99)",
		c.Streams, float64(c.TTFT+c.TTFTError)/1e6, float64(c.TTFT)/1e6, 100*float64(c.TTFTError)/float64(c.TTFT), float64(c.ITLErrorP99)/1e3)
}
