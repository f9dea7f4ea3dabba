package enginebench

import (
	"io"

	"enginebench/workload/line"
)

// header writes what stands before the results.
func (s *session) header(w io.Writer) {
	h := line.Header{Conditions: s.conditions(), Notes: s.notes}
	for _, t := range s.targets {
		h.Engines = append(h.Engines, line.Engine{Name: t.name, Info: t.info, From: t.from()})
	}
	line.WriteUnits(w)
	h.Write(w)
}

// from says where a target's replies come from.
func (t *target) from() string {
	if t.url != "" {
		return t.url
	}
	return "replayed from recordings of " + t.cells[0].recorded.Header.When.UTC().Format("2006-01-02")
}
