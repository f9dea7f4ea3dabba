package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// printText leaves out the problems: each is a line on stderr, below it on a
// terminal.
func printText(w io.Writer, r *Report) error {
	var b bytes.Buffer
	if r.Old.Name != "" {
		fmt.Fprintf(&b, "old: %s, %s\nnew: %s, %s\n", r.Old.Name, count(r.Old.Passes, "pass"), r.New.Name, count(r.New.Passes, "pass"))
	}
	for _, c := range r.Changed {
		fmt.Fprintf(&b, "%s: %s → %s\n", c.Key, c.Old, c.New)
	}
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	width := 0
	for _, c := range r.Comparisons {
		width = max(width, utf8.RuneCountInString(c.Cell))
	}
	r.byUnit(func(unit string, list []Comparison) {
		fmt.Fprintf(&b, "%s: %s\n", unit, heading(list))
		table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(table, "%-*s\told\tnew\tchange\tp\t\n", width, "")
		for _, c := range list {
			old, new := c.values()
			pad := strings.Repeat(" ", width-utf8.RuneCountInString(c.Cell))
			fmt.Fprintf(table, "%s%s\t%s\t%s\t%s\t%s\t  %s\n", c.Cell, pad, old, new, c.change(), c.p(), c.flag())
		}
		table.Flush()
		b.WriteByte('\n')
	})
	for _, o := range r.Outputs {
		fmt.Fprintf(&b, "same answers? %s\n", o.sentence())
	}
	if len(r.NotJudged) > 0 {
		fmt.Fprintf(&b, "not judged (-unit): %s\n", strings.Join(r.NotJudged, ", "))
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", warning)
	}
	fmt.Fprintf(&b, "%s\n%s: %s\n", r.scope(), strings.ToUpper(r.Verdict), r.conclusion())
	_, err := w.Write(trimRight(b.Bytes()))
	return err
}

// trimRight takes away the blanks that padding leaves at line ends.
func trimRight(text []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(text) {
		out.Write(bytes.TrimRight(line, " \n"))
		out.WriteByte('\n')
	}
	return out.Bytes()
}
