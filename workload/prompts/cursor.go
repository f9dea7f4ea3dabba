package prompts

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// ErrExhausted is what Take and Check return, wrapped in what to do, when a pool has too few prompts.
var ErrExhausted = errors.New("too few prompts")

// warmupShare is the part of a list that warms up and is never measured: one in so many, and at least one.
const warmupShare = 10

// A Cursor deals out the prompts of a pool, by engine. It is made once a process, before the first run, and may be used
// by several goroutines.
type Cursor struct {
	pool   *Pool
	pass   Pass
	mu     sync.Mutex
	used   map[string]int // prompts handed out to be measured, by engine
	warmed map[string]int // and to warm up
}

// NewCursor returns a cursor at the start of the pool, or of the part of it that the pool's Options name.
func NewCursor(pool *Pool) *Cursor {
	return &Cursor{pool: pool, pass: pool.Pass.whole(), used: map[string]int{}, warmed: map[string]int{}}
}

// Available returns how many prompts there are to be measured for each engine in this pass, used or not; Unbounded where
// they do not end.
func (c *Cursor) Available() int {
	if c.pool.rule != nil {
		return Unbounded
	}
	_, n := measuredPart(len(c.pool.prompts), c.pass)
	return n
}

// Take returns the next n prompts for an engine. No prompt is returned twice for an engine, and the k-th is the same for
// every engine. Where fewer than n are left, nothing is taken and the error is ErrExhausted, saying how many are needed
// and what to do; with reuse=ok it starts again at the first instead, and Warnings says so.
func (c *Cursor) Take(engine string, n int) ([]Prompt, error) {
	if n < 0 {
		return nil, fmt.Errorf("take %d prompts", n)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	used := c.used[engine]
	if err := c.enough(engine, used, used+n); err != nil {
		return nil, err
	}
	c.used[engine] = used + n
	out := make([]Prompt, n)
	for i := range out {
		out[i] = c.measured(used + i)
	}
	return out, nil
}

// Check returns the error that Take will return before an engine has got n prompts in all: to be asked before anything
// is measured, where the number is known.
func (c *Cursor) Check(n int) error {
	return c.enough("an engine", 0, n)
}

// TakeWarmup returns the next n warm-up prompts for an engine, the same for every engine. They are never measured, and
// repeat where the warm-up part of the pool is smaller than what is asked for.
func (c *Cursor) TakeWarmup(engine string, n int) ([]Prompt, error) {
	if n < 0 {
		return nil, fmt.Errorf("take %d warm-up prompts", n)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	warmed := c.warmed[engine]
	c.warmed[engine] = warmed + n
	out := make([]Prompt, n)
	for i := range out {
		out[i] = c.warmup(warmed + i)
	}
	return out, nil
}

// Warnings says which engines were sent prompts again, and how many.
func (c *Cursor) Warnings() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	there := c.Available()
	for _, engine := range slices.Sorted(maps.Keys(c.used)) {
		if used := c.used[engine]; used > there {
			out = append(out, fmt.Sprintf("%s: %d of %d requests had a prompt that was sent before (reuse=ok, %d prompts): its prefix cache may have answered them",
				engine, used-there, used, there))
		}
	}
	return out
}

// enough says whether an engine that was handed out `used` prompts can have as many as `total`.
func (c *Cursor) enough(engine string, used, total int) error {
	there := c.Available()
	switch {
	case total <= there, c.pool.Reuse && there > 0:
		return nil
	case len(c.pool.prompts) == 1:
		return fmt.Errorf("%w: a pool of one prompt has none to measure, for one is kept for warm-up: make a larger one (go tool prompts -n=%d)", ErrExhausted, c.poolFor(total))
	}
	part := ""
	if c.pass.Of > 1 {
		part = fmt.Sprintf(" in pass %d of %d", c.pass.Index, c.pass.Of)
	}
	again := ""
	if there > 0 {
		again = ", or allow repeats that measure the prefix cache (-prompts=…?reuse=ok)"
	}
	return fmt.Errorf("%w: %s needs %d (%d were used) and the pool of %d has %d to measure%s: make a larger one (go tool prompts -n=%d), send fewer requests (-requests, -concurrency)%s",
		ErrExhausted, engine, total, used, len(c.pool.prompts), there, part, c.poolFor(total), again)
}

// poolFor returns the size of the smallest list that has n prompts to measure in every pass.
func (c *Cursor) poolFor(n int) int {
	size := n * c.pass.Of
	for size-warmupSize(size) < n*c.pass.Of {
		size++
	}
	return size
}

// measuredPart returns where the prompts to be measured in a pass start in a list of this size, and how many they are.
func measuredPart(size int, pass Pass) (start, n int) {
	measured := size - warmupSize(size)
	start = measured * (pass.Index - 1) / pass.Of
	return start, measured*pass.Index/pass.Of - start
}

// warmupSize returns how many prompts at the end of a list of this size are for warm-up.
func warmupSize(size int) int { return min(size, max(1, size/warmupShare)) }

// measured returns the i-th prompt to be measured.
func (c *Cursor) measured(i int) Prompt {
	if c.pool.rule != nil {
		return c.pool.rule.prompt(c.firstIndex() + uint64(i))
	}
	start, n := measuredPart(len(c.pool.prompts), c.pass)
	return c.pool.prompts[start+i%n]
}

// warmup returns the i-th warm-up prompt. Passes over a list start at different places of the same few.
func (c *Cursor) warmup(i int) Prompt {
	if c.pool.rule != nil {
		return c.pool.rule.prompt(warmBit | (c.firstIndex() + uint64(i)))
	}
	n := warmupSize(len(c.pool.prompts))
	start := n * (c.pass.Index - 1) / c.pass.Of
	return c.pool.prompts[len(c.pool.prompts)-n+(start+i)%n]
}

// firstIndex is the index of the first synthetic prompt of this pass.
func (c *Cursor) firstIndex() uint64 { return uint64(c.pass.Index-1) << passShift }
