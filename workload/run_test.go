package workload

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
)

const millisecond = time.Millisecond

// runFake runs a plan against an engine in fake time.
func runFake(t *testing.T, e *fake, limits Limits, s Shape) (*Run, Outcome) {
	t.Helper()
	r := &Runner{Engine: e, Limits: limits, sleep: time.Sleep}
	defer r.Close()
	run, err := r.Run(t.Context(), mustPlan(s))
	require.NoError(t, err)
	out := Decode(run, "fake", e, fakeInfo)
	sent, ok, failed, cancelled := 0, 0, 0, 0
	for _, s := range out.Samples {
		sent++
		switch s.Status {
		case OK:
			ok++
		case Failed:
			failed++
		case Cancelled:
			cancelled++
		}
	}
	require.Equal(t, sent, ok+failed+cancelled)
	return run, out
}

func TestClosedLoopKeepsItsSlotsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &fake{ttft: 50 * millisecond, gap: 10 * millisecond}
		run, out := runFake(t, e, Limits{MaxErrors: -1}, Shape{Concurrency: 4, Requests: 40, OutputTokens: 8, Seed: 1})
		require.Len(t, out.Samples, 44)
		require.EqualValues(t, 4, e.most.Load())
		require.EqualValues(t, 4, e.dialled.Load())
		share, ok := Fullness(out.Samples, 4)
		require.True(t, ok)
		require.Equal(t, 1.0, share)
		for _, s := range out.Samples {
			require.Equal(t, OK, s.Status)
			// In fake time a slot's next request is sent the moment it is free.
			require.Equal(t, s.Intended, s.Send)
			ttft, _ := s.TTFT()
			require.Equal(t, 50*millisecond, ttft)
			if s.Measured {
				latency, _ := s.Latency()
				require.Equal(t, 120*millisecond, latency) // 50 + 7 × 10
			}
		}
		require.NoError(t, run.Stopped)
	})
}

func TestSlotsThatWereKeptAreMadeReadyForTheNextRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &fake{ttft: millisecond, gap: millisecond}
		r := &Runner{Engine: e, sleep: time.Sleep}
		defer r.Close()
		run := func(concurrency int) error {
			_, err := r.Run(t.Context(), mustPlan(Shape{Concurrency: concurrency, Requests: 8, OutputTokens: 2}))
			return err
		}
		require.NoError(t, run(2))
		require.EqualValues(t, 0, e.readied.Load(), "fresh slots are ready")
		require.NoError(t, run(5))
		require.EqualValues(t, 2, e.readied.Load())
		require.EqualValues(t, 5, e.dialled.Load())

		e.unready = engines.Errorf(engines.Dial, "refused")
		require.Equal(t, engines.Dial, engines.ClassOf(run(5)), "a slot that can't be made ready is as one that can't be dialled")
	})
}

func TestWavesStartTogetherWhenAllHaveEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &fake{ttft: 50 * millisecond, gap: 10 * millisecond}
		_, out := runFake(t, e, Limits{MaxErrors: -1}, Shape{Load: Load{Waves: true}, Concurrency: 3, Requests: 7, OutputTokens: 6})
		require.Len(t, out.Samples, 7)
		for i, s := range out.Samples {
			require.True(t, s.Measured)
			require.Equal(t, time.Duration(i/3)*100*millisecond, s.Send-out.Samples[0].Send) // a reply takes 50 + 5 × 10
		}
	})
}

func TestOpenLoopCountsFromTheIntendedSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// One slot, replies of 100 ms, 100 requests a second: all but the
		// first wait, and their latency says so.
		e := &fake{ttft: 100 * millisecond}
		_, out := runFake(t, e, Limits{MaxErrors: -1}, Shape{Load: Load{Rate: 100}, Concurrency: 1, Requests: 20, OutputTokens: 1, Seed: 5})
		require.Len(t, out.Samples, 20)
		for i, s := range out.Samples {
			latency, ok := s.Latency()
			require.True(t, ok)
			require.Equal(t, s.LastToken-s.Intended, latency)
			require.Equal(t, mustPlan(Shape{Load: Load{Rate: 100}, Concurrency: 1, Requests: 20, OutputTokens: 1, Seed: 5}).Requests[i].Intended, s.Intended)
		}
		last := out.Samples[19]
		slow, _ := last.Latency()
		require.Greater(t, slow, time.Second)
	})
}

// 50 replies of 20 ms, 8 a second, are no more than a few at once. Keeping
// looks at as many slots and one, twice a second.
func TestAnOpenLoopUsesAndKeepsNoMoreSlotsThanItNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &fake{ttft: 20 * millisecond}
		run, _ := runFake(t, e, Limits{}, Shape{Load: Load{Rate: 8}, Concurrency: 50, Requests: 50, OutputTokens: 1, Seed: 5})
		require.EqualValues(t, 50, e.dialled.Load())
		require.LessOrEqual(t, e.most.Load(), int64(4))
		require.Equal(t, e.most.Load(), e.inUse.Load())
		looks := int64(run.Elapsed / keepEvery)
		require.Greater(t, looks, int64(4))
		require.GreaterOrEqual(t, e.readied.Load(), looks)
		require.LessOrEqual(t, e.readied.Load(), looks*(e.most.Load()+1))
	})
}

// Slots rest while the slowest reply of a wave is awaited.
func TestTheSlotsOfAWaveAreMadeReadyBeforeItStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &fake{ttft: millisecond}
		_, out := runFake(t, e, Limits{}, Shape{Load: Load{Waves: true}, Concurrency: 4, Requests: 12, OutputTokens: 1})
		require.Len(t, out.Samples, 12)
		require.EqualValues(t, 2*4, e.readied.Load(), "the second wave's and the third's")
	})
}

func TestTheRunDeadlineHoldsForDialling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r := &Runner{Engine: &fake{hangs: true}, Limits: Limits{Run: time.Second}}
		_, err := r.Run(t.Context(), mustPlan(Shape{Concurrency: 2, Requests: 4, OutputTokens: 1}))
		require.ErrorContains(t, err, "the run took longer than 1s (-run-timeout)")
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestDeadlinesEndRequestsInTheirClass(t *testing.T) {
	for _, test := range []struct {
		name   string
		engine *fake
		limits Limits
		class  engines.Class
		tokens int
		after  time.Duration
	}{
		{"no first event", &fake{ttft: time.Hour}, Limits{TTFT: time.Second}, engines.TTFTTimeout, 0, time.Second},
		// Three events, a millisecond apart, and then none.
		{"events stop", &fake{ttft: millisecond, gap: millisecond, stallAt: 4}, Limits{TTFT: time.Second, Idle: time.Second}, engines.IdleTimeout, 3, 1003 * millisecond},
		{"a reply that never ends", &fake{ttft: millisecond, gap: 400 * millisecond}, Limits{Idle: time.Second, Request: 1100 * millisecond}, engines.RequestTimeout, 3, 1100 * millisecond},
		{"a limit beyond all time", &fake{ttft: time.Hour}, Limits{TTFT: time.Second, Request: math.MaxInt64}, engines.TTFTTimeout, 0, time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.limits.MaxErrors = -1
				_, out := runFake(t, test.engine, test.limits, Shape{Load: Load{Waves: true}, Concurrency: 2, Requests: 4, OutputTokens: 8})
				require.Len(t, out.Samples, 4)
				for _, s := range out.Samples {
					require.Equal(t, Failed, s.Status)
					require.Equal(t, test.class, s.Class, s.Error)
					require.Equal(t, test.tokens, s.Events)
					require.Equal(t, test.after, s.Released-s.Send, "no sooner and no later")
				}
			})
		})
	}
}

func TestTheRunDeadlineCancelsWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &fake{ttft: millisecond, gap: 100 * millisecond}
		run, out := runFake(t, e, Limits{MaxErrors: -1, Run: time.Second}, Shape{Concurrency: 2, Requests: 20, OutputTokens: 50})
		require.ErrorContains(t, run.Stopped, "-run-timeout")
		cancelled := 0
		for _, s := range out.Samples {
			if s.Status == Cancelled {
				cancelled++
			}
		}
		require.Equal(t, 2, cancelled)
		require.Less(t, len(out.Samples), 22, "what was not sent is in no account")
	})
}

func TestTooManyErrorsEndTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		e := &fake{ttft: millisecond, fail: func(engines.Request) *engines.Error {
			asked.Add(1)
			return engines.Errorf(engines.Dial, "connection refused")
		}}
		run, out := runFake(t, e, Limits{MaxErrors: 3}, Shape{Concurrency: 1, Requests: 1000, OutputTokens: 2})
		require.ErrorContains(t, run.Stopped, "given up after 4 failed requests (-max-errors)")
		require.EqualValues(t, 4, asked.Load())
		require.Len(t, out.Samples, 4)
	})
}

// 8 requests that can't dial on 2 slots: each slot rests 4 times.
func TestAServerThatIsGoneIsNotDialledAsFastAsCanBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{ttft: time.Millisecond, fail: func(engines.Request) *engines.Error { return engines.Errorf(engines.Dial, "connection refused") }}
		r := &Runner{Engine: f, Limits: Limits{MaxErrors: -1}}
		run, err := r.Run(t.Context(), mustPlan(Shape{Concurrency: 2, Requests: 6, OutputTokens: 1}))
		require.NoError(t, err)
		require.Equal(t, 4*dialPause, run.Elapsed)

		// A run that is given up does not wait.
		r.Limits.MaxErrors = 0
		run, err = r.Run(t.Context(), mustPlan(Shape{Concurrency: 2, Requests: 6, OutputTokens: 1}))
		require.NoError(t, err)
		require.Error(t, run.Stopped)
		require.Zero(t, run.Elapsed)
	})
}

func TestRepliesWithErrorEventsUseUpTheBudgetInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &fake{ttft: millisecond, errorEvents: true}
		run, out := runFake(t, e, Limits{MaxErrors: 2}, Shape{Concurrency: 1, Requests: 1000, OutputTokens: 1})
		require.ErrorContains(t, run.Stopped, "given up after 3 failed requests")
		require.Len(t, out.Samples, 3)
	})
}

func TestACancelledContextEndsTheRunWithItsCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		r := &Runner{Engine: &fake{ttft: 10 * time.Second}, Limits: Limits{MaxErrors: -1}}
		time.AfterFunc(time.Second, func() { cancel(engines.Errorf(engines.Cancelled, "interrupted")) })
		run, err := r.Run(ctx, mustPlan(Shape{Concurrency: 2, Requests: 4, OutputTokens: 1}))
		require.NoError(t, err)
		require.ErrorContains(t, run.Stopped, "interrupted")
	})
}

func TestARunnerUsesItsSlotsAndCapturesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &fake{ttft: millisecond, gap: millisecond}
		r := &Runner{Engine: e, Limits: Limits{MaxErrors: -1}}
		s := Shape{Concurrency: 3, Requests: 6, OutputTokens: 4}
		first, err := r.Run(t.Context(), mustPlan(s))
		require.NoError(t, err)
		memory := &first.Captures[0].Data[:1][0]
		second, err := r.Run(t.Context(), mustPlan(s))
		require.NoError(t, err)
		require.EqualValues(t, 3, e.dialled.Load())
		require.Same(t, memory, &second.Captures[0].Data[:1][0])
	})
}

func TestCapturesOfARunGrowWithinItsMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run, _ := runFake(t, &fake{}, Limits{Memory: 1 << 30}, Shape{Concurrency: 1, Requests: 1, OutputTokens: 1})
		require.True(t, run.Captures[0].Fits(32<<20))
		require.False(t, run.Captures[0].Fits(1<<30))
	})
}

func TestAPlanTooLargeForTheMemoryIsRefused(t *testing.T) {
	r := &Runner{Engine: &fake{}, Limits: Limits{Memory: 1 << 20}}
	_, err := r.Run(t.Context(), mustPlan(Shape{Concurrency: 1, Requests: 1000, OutputTokens: 512}))
	require.ErrorContains(t, err, "-capture-memory")
}
