package workload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"enginebench/engines"
	"enginebench/engines/capture"
)

// Limits bound what a run may take. A zero field is no limit.
type Limits struct {
	TTFT      time.Duration // from sending a request to its first event
	Idle      time.Duration // between two events of a reply
	Request   time.Duration // the whole of a reply
	Run       time.Duration // the whole of a run
	MaxErrors int           // failures in a run before it is given up; -1: any number
	Memory    int           // bytes of captures
}

// eventBytes is what one token's event takes in a capture at the most, for the
// dialects known: vLLM's completions event with token ids takes 250 to 350.
const eventBytes = 512

// Runner runs plans against one engine. It keeps its slots and captures from
// run to run, so that nothing is dialled or allocated inside a window. It is
// used by one goroutine.
type Runner struct {
	Engine   engines.Engine
	Limits   Limits
	Progress *Progress // of the run that is on; may be nil

	slots    []engines.Slot
	captures []*capture.Capture
	size     int                 // bytes a capture was made for
	sleep    func(time.Duration) // nil: as precise as the system can
}

// Run is what a run brought back.
type Run struct {
	Plan     *Plan
	Start    time.Time          // the epoch: all times of the captures count from it
	Epoch    time.Duration      // the same on the clock of capture.Now
	Elapsed  time.Duration      // until the last reply ended
	Captures []*capture.Capture // by index in the plan; valid until the runner's next run
	Sent     []bool             // by index: whether it was sent at all
	Witness  Witness            // what the machine and the process did meanwhile
	Stopped  error              // why the run was given up; nil: it ran to its end
}

// Progress is what a run that is on has come to. It may be read while the run
// writes.
type Progress struct {
	InFlight, Done, Failed, Total atomic.Int64
}

// Run sends a plan and captures what comes back. The error is about the run
// as a whole: a slot could not be dialled, captures would not fit. Failures of
// requests are in their captures.
func (r *Runner) Run(ctx context.Context, p *Plan) (*Run, error) {
	if err := r.reserve(p); err != nil {
		return nil, err
	}
	messages, err := r.encode(p)
	if err != nil {
		return nil, err
	}
	if r.Limits.Run > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, r.Limits.Run,
			engines.Errorf(engines.Cancelled, "the run took longer than %v (-run-timeout)", r.Limits.Run))
		defer cancel()
	}
	if err := r.dial(ctx, p.Concurrency); err != nil {
		return nil, cmp.Or(context.Cause(ctx), err)
	}
	if r.Progress == nil {
		r.Progress = new(Progress)
	}
	r.Progress.Total.Store(int64(len(p.Requests)))
	for _, counter := range []*atomic.Int64{&r.Progress.InFlight, &r.Progress.Done, &r.Progress.Failed} {
		counter.Store(0)
	}

	w := &window{runner: r, plan: p, messages: messages, sent: make([]bool, len(p.Requests))}
	witness := w.open(ctx)
	w.drive()
	run := &Run{Plan: p, Captures: r.captures[:len(p.Requests)], Sent: w.sent}
	run.Elapsed = capture.Now() - w.epoch
	run.Start, run.Epoch = w.start, w.epoch
	run.Witness = witness()
	run.Stopped = w.close()
	for _, c := range run.Captures {
		c.Rebase(w.epoch)
	}
	return run, nil
}

// reserve makes the captures before the run, and refuses a plan whose
// captures do not fit.
func (r *Runner) reserve(p *Plan) error {
	size := p.OutputTokens * eventBytes
	need := capture.Size(len(p.Requests), size, p.OutputTokens+8)
	if r.Limits.Memory > 0 && need > r.Limits.Memory {
		return fmt.Errorf("plan a run of %s: its captures may take %d MB and %d MB are allowed: ask for fewer requests or output tokens, or raise -capture-memory",
			p.Cell, need>>20, r.Limits.Memory>>20)
	}
	if len(r.captures) < len(p.Requests) || r.size < size {
		r.captures = capture.New(len(p.Requests), size, p.OutputTokens+8)
		r.size = size
		if r.Limits.Memory > 0 {
			capture.Limit(r.captures, r.Limits.Memory-need)
		}
	}
	for _, c := range r.captures {
		c.Reset()
	}
	return nil
}

func (r *Runner) encode(p *Plan) ([]engines.Message, error) {
	messages := make([]engines.Message, len(p.Requests))
	for i := range p.Requests {
		m, err := r.Engine.Encode(p.Requests[i].Request)
		if err != nil {
			return nil, fmt.Errorf("encode request %d of %s: %w", i, p.Cell, err)
		}
		messages[i] = m
	}
	return messages, nil
}

// dial makes the slots that the runner has kept fit for use, and fills it up to
// n slots. The time that dialling takes is outside every window.
func (r *Runner) dial(ctx context.Context, n int) error {
	if err := r.ready(ctx); err != nil {
		return err
	}
	var mu sync.Mutex
	return together(n-len(r.slots), func(int) error {
		slot, err := r.Engine.Dial(ctx)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		r.slots = append(r.slots, slot)
		return nil
	})
}

// ready makes the runner's slots fit for use.
func (r *Runner) ready(ctx context.Context) error {
	return together(len(r.slots), func(s int) error { return r.slots[s].Ready(ctx) })
}

// dialAtOnce bounds how many connections are made at the same time: servers
// keep short queues of connections that they have not accepted yet.
const dialAtOnce = 64

// together calls connect for each of n slots and returns an error of one of
// them, of the closed set if there is one.
func together(n int, connect func(i int) error) error {
	gate := make(chan struct{}, dialAtOnce)
	failed := make([]error, max(n, 0))
	var wg sync.WaitGroup
	for i := range failed {
		wg.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			failed[i] = connect(i)
		})
	}
	wg.Wait()
	first := errors.Join(failed...)
	var one *engines.Error
	if errors.As(first, &one) {
		return one
	}
	return first
}

// Close closes the runner's slots.
func (r *Runner) Close() error {
	var err error
	for _, s := range r.slots {
		err = errors.Join(err, s.Close())
	}
	r.slots = nil
	return err
}

// window is one run while it is on.
type window struct {
	runner   *Runner
	plan     *Plan
	messages []engines.Message
	sent     []bool

	ctx    context.Context
	cancel context.CancelCauseFunc
	start  time.Time
	epoch  time.Duration
	next   atomic.Int64
	failed atomic.Int64
	watch  *watch
}

// open prepares the process for a window in which it does nothing but capture:
// memory is collected now and not again, unless it grows far beyond the
// captures.
func (w *window) open(ctx context.Context) (witness func() Witness) {
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.watch = newWatch(w.runner.Limits, len(w.runner.slots))
	quiet.begin()
	witness = beginWitness()
	w.start, w.epoch = time.Now(), capture.Now()
	go w.watch.run(w.ctx)
	return witness
}

func (w *window) close() error {
	stopped := context.Cause(w.ctx)
	w.cancel(nil)
	<-w.watch.done
	quiet.end()
	return stopped
}

// drive sends the plan's requests in its load's shape and returns when all
// replies have ended.
func (w *window) drive() {
	switch {
	case w.plan.Load.Open():
		w.openLoop()
	case w.plan.Load.Waves:
		for i := 0; i < len(w.plan.Requests) && w.ctx.Err() == nil; i += w.plan.Concurrency {
			if i > 0 {
				w.runner.ready(w.ctx) // slots rested while the wave before ended; all of this one are to be sent at once
			}
			w.wave(i, min(i+w.plan.Concurrency, len(w.plan.Requests)))
		}
	default:
		w.closedLoop()
	}
}

// closedLoop gives each slot its ramp request and then whatever is next.
func (w *window) closedLoop() {
	var wg sync.WaitGroup
	w.next.Store(int64(w.plan.Concurrency))
	for s := range w.plan.Concurrency {
		wg.Go(func() {
			free := w.epoch
			for i := s; i < len(w.plan.Requests) && w.ctx.Err() == nil; i = int(w.next.Add(1) - 1) {
				w.send(s, i, free)
				free = capture.Now()
			}
		})
	}
	wg.Wait()
}

func (w *window) wave(from, to int) {
	var wg sync.WaitGroup
	start := capture.Now()
	for i := from; i < to; i++ {
		wg.Go(func() { w.send(i-from, i, start) })
	}
	wg.Wait()
}

// send sends request i on slot s. A failure is in its capture.
func (w *window) send(s, i int, intended time.Duration) {
	progress, into := w.runner.Progress, w.runner.captures[i]
	into.Intended = intended
	ctx, cancel := context.WithCancelCause(w.ctx)
	w.sent[i] = true
	progress.InFlight.Add(1)
	w.watch.begin(s, into, cancel)
	err := w.runner.slots[s].Send(ctx, w.messages[i], into)
	w.watch.end(s)
	cancel(nil)
	progress.InFlight.Add(-1)
	progress.Done.Add(1)
	if scanner, ok := w.runner.Engine.(engines.ErrorScanner); ok && err == nil && scanner.HasError(into) {
		err = engines.Errorf(engines.EngineError, "a reply with an error event")
	}
	if err != nil {
		progress.Failed.Add(1)
		w.count(err)
		if engines.ClassOf(err) == engines.Dial {
			w.rest(dialPause)
		}
	}
}

// dialPause is how long a slot that could not dial waits for its next request:
// a server that is down for a moment would else cost all that is left of a plan,
// and one that is gone would be dialled as fast as the client can.
const dialPause = 100 * time.Millisecond

func (w *window) rest(d time.Duration) {
	select {
	case <-time.After(d):
	case <-w.ctx.Done():
	}
}

// count gives the run up when more requests failed than it may lose. It keeps
// a dead server from being asked thousands of times.
func (w *window) count(err error) {
	if engines.ClassOf(err) == engines.Cancelled {
		return
	}
	failed, most := w.failed.Add(1), w.runner.Limits.MaxErrors
	if most >= 0 && failed > int64(most) {
		w.cancel(engines.Errorf(engines.Cancelled, "given up after %d failed requests (-max-errors); the last: %w", failed, err))
	}
}
