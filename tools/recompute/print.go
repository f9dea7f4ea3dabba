package main

import (
	"bufio"
	"fmt"

	"enginebench/workload"
	"enginebench/workload/line"
)

// printer prints results as go test -bench does.
type printer struct {
	w       *bufio.Writer
	all     bool   // metrics
	current *group // whose header stands last
	invalid bool   // some cell was
}

// source is where b.Log would say that a note comes from. Tools that read
// benchmark output tell notes from other lines by it.
const source = "recompute.go:1"

// cell prints one result, in the order of the groups' files.
func (p *printer) cell(f *file, r result) {
	if r.summary.Sent == 0 {
		return // it could not be read
	}
	p.header(f.group)
	name := line.Name(f.header.Engine, f.header.Cell)
	notes := r.notes
	if r.judgement.Verdict == workload.Invalid {
		p.invalid = true
		fmt.Fprintf(p.w, "--- FAIL: %s\n", name)
		notes = []string{line.Failure(r.judgement)}
	} else {
		fmt.Fprintln(p.w, line.Result(name, f.group.longest, line.Values(r.summary, p.all)))
		if len(notes) > 0 {
			fmt.Fprintf(p.w, "--- BENCH: %s\n", name)
		}
	}
	for _, note := range notes {
		fmt.Fprintf(p.w, "    %s: %s\n", source, note)
	}
	p.w.Flush() // an error shows again at the end
}

// header prints a group's header, if it does not stand there yet.
func (p *printer) header(g *group) {
	switch p.current {
	case g:
		return
	case nil:
		line.WriteUnits(p.w)
		g.header.Notes = append(g.header.Notes, lost)
	}
	for _, key := range g.unset(p.current) {
		fmt.Fprintf(p.w, "%s:\n", key)
	}
	g.header.Write(p.w)
	p.current = g
}

// end prints how it went, as go test does.
func (p *printer) end(good bool) error {
	word := "PASS"
	if !good {
		word = "FAIL"
	}
	fmt.Fprintln(p.w, word)
	return p.w.Flush()
}
