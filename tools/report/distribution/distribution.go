// Package distribution boils the samples of runs down to what reports show of
// them: percentiles, cumulative distributions, and a timeline of the load.
//
// Times of whole requests (TTFT, latency, TPOT) are kept one number a request
// and their percentiles are exact. Gaps between tokens are a hundred times as
// many: they are counted in bins 0.1 % wide. So a run costs some 50 bytes a
// request, whatever the number of its tokens.
package distribution

import (
	"slices"
	"time"

	"enginebench/tools/internal/results"
	"enginebench/workload"
)

// Set is the samples of a whole -samples directory. A nil Set has no cells.
type Set struct {
	Records []*workload.RunRecord // in order of files and lines
	Outputs *results.Outputs
	Notes   []string // what was left out, see [results.Stream]
	cells   map[results.Cell]*Cell
	last    *Run // where the latest sample went
}

// runKey is what a sample says of its run. Runs of several processes may share
// one: a record begins another run.
type runKey struct {
	engine, cell string
	number       int
}

// Cell is the samples of one cell.
type Cell struct {
	Name results.Cell
	Runs []*Run // in the order of the files, named by time
	All  *Run   // the runs together, but INVALID ones; its Timeline is empty
}

// Run is the samples of one run of a cell.
type Run struct {
	Cell   results.Cell
	Number int                 // within the cell, from 0
	Record *workload.RunRecord // nil if the file has none

	Sent, OK, Failed, Cancelled int // every request, measured or not
	Measured                    int // successful requests that count for latencies
	TTFT, Latency               Times
	TPOT                        Times // one value a request; see workload.Metrics
	SecondToken                 Times // second token event - first, of requests that have gaps
	ITL                         Bins  // gap / tokens of the later event, one value a gap
	Input, Output               Counts
	Asked                       Asked

	First, Last time.Duration // first send and last token of any request, since the run's epoch
	Errors      map[string]int
	Checks      Checks
	Timeline    Timeline

	key runKey
}

// Checks counts requests that break an assumption behind the numbers.
type Checks struct {
	WrongCount     int // N tokens were forced, another number came
	PromptMismatch int // the engine counted another prompt than was sent
	Cached         int // requests with cached prompt tokens
	CachedTokens   int
	PromptTokens   int // of requests whose engine reports cached tokens
	Uncounted      int // successful requests without a token count
	Events         int // token-bearing events
	Coalesced      int // of those, shared a read with another
}

// Read reads a -samples directory.
func Read(dir string) (*Set, error) {
	set := &Set{Outputs: results.NewOutputs(), cells: map[results.Cell]*Cell{}}
	notes, err := results.Stream(dir, results.Visitor{Record: set.record, Sample: set.sample})
	if err != nil {
		return nil, err
	}
	set.Notes = notes
	for _, cell := range set.cells {
		cell.finish()
	}
	return set, nil
}

// Cell finds a cell's samples, nil if there are none.
func (s *Set) Cell(name results.Cell) *Cell {
	if s == nil {
		return nil
	}
	return s.cells[name]
}

// Cells lists all cells, by engine and level.
func (s *Set) Cells() []*Cell {
	if s == nil {
		return nil
	}
	var cells []*Cell
	for _, cell := range s.cells {
		cells = append(cells, cell)
	}
	slices.SortFunc(cells, func(a, b *Cell) int { return results.CompareCells(a.Name, b.Name) })
	return cells
}

// record begins a run.
func (s *Set) record(r *workload.RunRecord) error {
	s.Records = append(s.Records, r)
	cell, err := s.cell(r.Engine, r.Cell)
	if err != nil {
		return err
	}
	s.begin(cell, runKey{r.Engine, r.Cell, r.Run}).Record = r
	return nil
}

func (s *Set) sample(sample *workload.Sample) error {
	key := runKey{sample.Engine, sample.Cell, sample.Run}
	if s.last == nil || s.last.key != key {
		cell, err := s.cell(key.engine, key.cell)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(cell.Runs, func(r *Run) bool { return r.key == key })
		if i < 0 {
			s.begin(cell, key)
		} else {
			s.last = cell.Runs[i]
		}
	}
	s.Outputs.Add(sample)
	s.last.add(sample)
	return nil
}

func (s *Set) cell(engine, level string) (*Cell, error) {
	l, err := results.ParseLevel(level)
	if err != nil {
		return nil, err
	}
	name := results.Cell{Engine: engine, Level: l}
	if s.cells[name] == nil {
		s.cells[name] = &Cell{Name: name}
	}
	return s.cells[name], nil
}

func (s *Set) begin(cell *Cell, key runKey) *Run {
	s.last = &Run{Cell: cell.Name, Number: len(cell.Runs), Errors: map[string]int{}, First: -1, key: key}
	cell.Runs = append(cell.Runs, s.last)
	return s.last
}

// Restrict forgets a cell's runs whose records are not kept, and returns how
// many those were.
func (s *Set) Restrict(name results.Cell, kept map[*workload.RunRecord]bool) (forgotten int) {
	cell := s.cells[name]
	if cell == nil {
		return 0
	}
	out := func(r *workload.RunRecord) bool { return r != nil && !kept[r] }
	n := len(cell.Runs)
	s.Records = slices.DeleteFunc(s.Records, func(r *workload.RunRecord) bool {
		return r.Engine == name.Engine && r.Cell == name.Level.String() && out(r)
	})
	cell.Runs = slices.DeleteFunc(cell.Runs, func(r *Run) bool { return out(r.Record) })
	if forgotten = n - len(cell.Runs); forgotten > 0 {
		cell.finish()
	}
	return forgotten
}

func (r *Run) add(s *workload.Sample) {
	r.Sent++
	if r.First < 0 || s.Origin < r.First {
		r.First = s.Origin
	}
	r.Last = max(r.Last, s.LastToken)
	r.Timeline.add(s)
	r.Asked.add(s)
	switch s.Status {
	case workload.OK:
		r.OK++
	case workload.Cancelled:
		r.Cancelled++
	default:
		r.Failed++
	}
	if s.Status != workload.OK {
		r.Errors[string(s.Class)]++
		return
	}
	r.check(s)
	r.Input.add(s.PromptLen, s.EnginePromptLen)
	if s.Tokens != nil {
		r.Output.add(*s.Tokens, 0)
	}
	if s.Measured {
		r.measure(s)
	}
}

func (r *Run) measure(s *workload.Sample) {
	ttft, ok := s.TTFT()
	if !ok {
		return
	}
	latency, _ := s.Latency()
	r.Measured++
	r.TTFT.add(ttft)
	r.Latency.add(latency)
	if s.Tokens != nil && s.FirstEvent > 0 && *s.Tokens > s.FirstEvent {
		r.TPOT.add((s.LastToken - s.FirstToken) / time.Duration(*s.Tokens-s.FirstEvent))
	}
	if len(s.Gaps) > 0 {
		r.SecondToken.add(s.Gaps[0])
	}
	if len(s.GapTokens) == len(s.Gaps) {
		for i, gap := range s.Gaps {
			if n := s.GapTokens[i]; n > 0 {
				r.ITL.Add(gap / time.Duration(n))
			}
		}
	}
}

func (r *Run) check(s *workload.Sample) {
	c := &r.Checks
	if s.Forced && s.Tokens != nil && *s.Tokens != s.Wanted {
		c.WrongCount++
	}
	if s.PromptLen > 0 && s.EnginePromptLen > 0 && s.PromptLen != s.EnginePromptLen {
		c.PromptMismatch++
	}
	if s.CachedLen != nil {
		c.PromptTokens += max(s.PromptLen, s.EnginePromptLen)
		c.CachedTokens += *s.CachedLen
		if *s.CachedLen > 0 {
			c.Cached++
		}
	}
	if s.Tokens == nil {
		c.Uncounted++
	}
	c.Events += s.Events
	c.Coalesced += s.Coalesced
}

// finish pools the runs, without INVALID ones: those have no numbers.
func (c *Cell) finish() {
	c.All = &Run{Cell: c.Name, Errors: map[string]int{}}
	for _, r := range c.Runs {
		if r.Record != nil && r.Record.Verdict == workload.Invalid {
			continue
		}
		a := c.All
		a.Sent, a.OK, a.Failed, a.Cancelled, a.Measured = a.Sent+r.Sent, a.OK+r.OK, a.Failed+r.Failed, a.Cancelled+r.Cancelled, a.Measured+r.Measured
		a.TTFT.merge(&r.TTFT)
		a.Latency.merge(&r.Latency)
		a.TPOT.merge(&r.TPOT)
		a.SecondToken.merge(&r.SecondToken)
		a.ITL.merge(&r.ITL)
		a.Input.merge(&r.Input)
		a.Output.merge(&r.Output)
		a.Asked.merge(&r.Asked)
		for class, n := range r.Errors {
			a.Errors[class] += n
		}
		a.Checks.merge(r.Checks)
	}
}

func (c *Checks) merge(o Checks) {
	c.WrongCount += o.WrongCount
	c.PromptMismatch += o.PromptMismatch
	c.Cached += o.Cached
	c.CachedTokens += o.CachedTokens
	c.PromptTokens += o.PromptTokens
	c.Uncounted += o.Uncounted
	c.Events += o.Events
	c.Coalesced += o.Coalesced
}
