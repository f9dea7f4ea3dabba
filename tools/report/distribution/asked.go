package distribution

import (
	"hash/maphash"
	"slices"

	"enginebench/workload"
)

// Asked is what an engine was asked, over every request, to tell whether
// another engine was asked the same.
type Asked struct {
	Prompts Prompts
	Sent    Mean // prompt tokens as sent; of no request where prompts go as text
	Counted Mean // prompt tokens by the engine's count, of the requests that have one
}

func (a *Asked) add(s *workload.Sample) {
	a.Prompts.hashes = append(a.Prompts.hashes, maphash.String(seed, s.Prompt))
	a.Prompts.distinct = false
	a.Sent.add(s.PromptLen)
	a.Counted.add(s.EnginePromptLen)
}

func (a *Asked) merge(o *Asked) {
	a.Prompts.hashes = append(a.Prompts.hashes, o.Prompts.hashes...)
	a.Prompts.distinct = false
	a.Sent = Mean{a.Sent.Sum + o.Sent.Sum, a.Sent.N + o.Sent.N}
	a.Counted = Mean{a.Counted.Sum + o.Counted.Sum, a.Counted.N + o.Counted.N}
}

// Mean is a mean in the making; absent values are not part of it.
type Mean struct {
	Sum int64
	N   int
}

func (m *Mean) add(n int) {
	if n > 0 {
		m.Sum, m.N = m.Sum+int64(n), m.N+1
	}
}

// Value is the mean; ok is false where there is nothing to take it of.
func (m Mean) Value() (mean float64, ok bool) {
	return float64(m.Sum) / float64(max(1, m.N)), m.N > 0
}

// Prompts is a set of prompts, by hashes of their ids: 8 bytes a request.
type Prompts struct {
	hashes   []uint64
	distinct bool // hashes are sorted and each is there once
}

// seed makes the hashes of all sets of a process comparable.
var seed = maphash.MakeSeed()

// Apart counts the prompts that only p has, and those that only o has.
func (p *Prompts) Apart(o *Prompts) (onlyP, onlyO int) {
	a, b := p.sorted(), o.sorted()
	both := 0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] < b[j]:
			i++
		case a[i] > b[j]:
			j++
		default:
			i, j, both = i+1, j+1, both+1
		}
	}
	return len(a) - both, len(b) - both
}

func (p *Prompts) sorted() []uint64 {
	if !p.distinct {
		slices.Sort(p.hashes)
		p.hashes, p.distinct = slices.Compact(p.hashes), true
	}
	return p.hashes
}
