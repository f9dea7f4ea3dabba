package enginebench

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"enginebench/fixtures/replay"
	"enginebench/fixtures/script"
	"enginebench/workload"
	"enginebench/workload/truth"
)

// canary sends scripted streams, whose times and tokens are known, through the
// client that measures, so that each cell carries the client's own error. It
// also catches what stamps can't: an error in decoding or in a definition. Each
// protocol has a prober of its own, opened for the first cell that needs it. A
// canary is used by one goroutine; nil is none.
type canary struct {
	open    func(truth.Protocol) (prober, error)
	probers map[truth.Protocol]prober
}

// prober sends the streams once and compares.
type prober interface {
	probe(context.Context) (*workload.Canary, error)
	Close() error
}

// canaryScript takes a third of a second. Its first token comes late enough
// for 1 % of it to be more than a scheduler's delay, and its 4 x 25 gaps are as
// many as a p99 needs.
var canaryScript = script.Script{Engine: "canary", Load: "waves", Cell: "wave=4",
	Concurrency: 4, Requests: 4, Tokens: 26, TTFT: 100 * time.Millisecond, Gap: 10 * time.Millisecond}

// canaryBeside is the concurrency from which a canary's four streams, which
// deliver like others, are a small enough part of the load to run beside it.
const canaryBeside = 400

// canaryLimit ends the wait for a server that hangs.
const canaryLimit = 5 * time.Second

// newCanary is a canary whose servers end with ctx.
func newCanary(ctx context.Context) *canary {
	return &canary{probers: map[truth.Protocol]prober{}, open: func(p truth.Protocol) (prober, error) {
		s := canaryScript
		s.Dialect = p.Dialect()
		return openStage(ctx, s, canaryLimit)
	}}
}

func (c *canary) close() {
	if c != nil {
		for p := range c.probers {
			c.drop(p)
		}
	}
}

// drop ends a protocol's prober: the next cell gets another.
func (c *canary) drop(p truth.Protocol) {
	if s := c.probers[p]; s != nil {
		s.Close()
	}
	delete(c.probers, p)
}

// prober is the protocol's, opened if there is none.
func (c *canary) prober(p truth.Protocol) (prober, error) {
	if s := c.probers[p]; s != nil {
		return s, nil
	}
	s, err := c.open(p)
	if err != nil {
		return nil, err
	}
	c.probers[p] = s
	return s, nil
}

// stage is a prober to a server of its own.
type stage struct {
	*truth.Stage
	limit time.Duration // of a probe
}

func tooLate(limit time.Duration) error { return fmt.Errorf("it took longer than %v", limit) }

// openStage opens a script's stage, which ends with ctx, within limit.
func openStage(ctx context.Context, s script.Script, limit time.Duration) (*stage, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	late := time.AfterFunc(limit, func() { cancel(tooLate(limit)) })
	defer late.Stop()
	st, err := truth.Open(ctx, s, replay.Options{})
	if err != nil {
		cancel(nil)
		return nil, err
	}
	return &stage{st, limit}, nil
}

func (s *stage) probe(ctx context.Context) (*workload.Canary, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.limit, tooLate(s.limit))
	defer cancel()
	runner := &workload.Runner{Engine: s.Engine}
	defer runner.Close()
	_, found, err := s.Play(ctx, runner)
	if err != nil {
		return nil, err
	}
	return summed(found), nil
}

// summed is what an outcome keeps of a comparison.
func summed(c truth.Comparison) *workload.Canary {
	ttft, tpot := c.TTFT.Mean(), c.TPOT.Mean()
	found := &workload.Canary{Streams: c.Requests, TTFT: ttft.True, TTFTError: ttft.Error(), TPOT: tpot.True, TPOTError: tpot.Error(),
		Tokens: c.Tokens.True, TokensError: c.Tokens.Error()}
	found.ITLError, found.ITLErrorAt = truth.At(c.ITLs, 0.99)
	return found
}

// around runs the canary before and after do, or beside it where it is a
// small part of the load, and keeps the worst of what it found. The error is
// that of do. A canary that fails is given up for this cell, which then has a
// warning: what nobody watched must not pass for watched.
func (c *canary) around(ctx context.Context, p truth.Protocol, concurrency int, do func() error) (worst *workload.Canary, warning string, err error) {
	if c == nil {
		return nil, "", do()
	}
	s, failed := c.prober(p)
	try := func() bool {
		if failed != nil {
			return false
		}
		var found *workload.Canary
		if found, failed = s.probe(ctx); failed != nil {
			return false
		}
		worst = worstOf(found, worst)
		return true
	}
	if concurrency < canaryBeside {
		try()
		err = do()
		try()
	} else {
		err = beside(do, try)
	}
	if failed == nil || ctx.Err() != nil { // a canary that was interrupted has nothing to say
		return worst, "", err
	}
	c.drop(p)
	return worst, fmt.Sprintf("the canary (%s) failed, so that nothing shows the client's own error: %v", p, failed), err
}

// beside repeats again until do has returned, at least once, or until it is
// false.
func beside(do func() error, again func() bool) error {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for again() {
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
	return err
}

// worstOf is the probe that was further off, with the worse gaps of both. Either
// may be nil.
func worstOf(a, b *workload.Canary) *workload.Canary {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	if worse(b, a) {
		a, b = b, a
	}
	both := *a
	if b.ITLError > both.ITLError {
		both.ITLError, both.ITLErrorAt = b.ITLError, b.ITLErrorAt
	}
	return &both
}

// worse reports whether a is further off than b. A token that was lost or
// made up weighs more than any time.
func worse(a, b *workload.Canary) bool {
	return cmp.Or(cmp.Compare(abs(a.TokensError), abs(b.TokensError)), cmp.Compare(a.Off(), b.Off())) > 0
}

func abs(n int) int { return max(n, -n) }

// canaryLine is what a canary found, for people; or a replayed cell, whose
// streams are all known, and which needs no canary.
func canaryLine(c *workload.Canary, replayed bool) string {
	of := "canary"
	if replayed {
		of = "replay truth"
	}
	return fmt.Sprintf("%s: %d streams with known times read a TTFT of %.3f ms where %.3f ms are true (%+.3f %%), a TPOT of %.3f ms where %.3f ms are true, gaps within %.0f us (%s)",
		of, c.Streams, float64(c.TTFT+c.TTFTError)/1e6, float64(c.TTFT)/1e6, 100*float64(c.TTFTError)/float64(c.TTFT),
		float64(c.TPOT+c.TPOTError)/1e6, float64(c.TPOT)/1e6, float64(c.ITLError)/1e3, c.ITLErrorAt)
}
