// Package markdown writes a report as GitHub-flavoured Markdown.
package markdown

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"enginebench/tools/report/analysis"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// Page is a report with what only the command knows.
type Page struct {
	Report  *analysis.Report
	Command string   // that made this page
	Plots   []Figure // pictures to show, as files beside the page
}

// Figure is a picture by its path, relative to the page.
type Figure struct{ Title, Path string }

// Write writes the page.
func Write(w io.Writer, page Page) error {
	var out writer
	out.page(page)
	if out.err != nil {
		return fmt.Errorf("write the report: %w", out.err)
	}
	_, err := w.Write(out.Bytes())
	return err
}

type writer struct {
	bytes.Buffer
	err error // of a table
}

func (w *writer) printf(format string, args ...any) { fmt.Fprintf(w, format, args...) }

func (w *writer) page(page Page) {
	r := page.Report
	w.printf("# %s\n", Text(Title(r)))
	w.configuration(r)
	w.results(r)
	w.plots(page.Plots)
	w.list("Key Findings", r.Findings, "1.", "Too few cells for a finding.")
	var doubts []string
	for _, d := range r.Doubts {
		doubts = append(doubts, d.String())
	}
	w.list("Doubts", doubts, "-", "No run, log or sample gives a reason for doubt.")
	w.list("Notes", Notes(r), "-", "")
	w.reproduce(page)
}

// Title is the report's headline.
func Title(r *analysis.Report) string {
	var names []string
	for _, e := range r.Engines {
		names = append(names, e.Title)
	}
	return "Serving Benchmark: " + strings.Join(names, " vs ")
}

// Notes are how to read the tables, and what was left out.
func Notes(r *analysis.Report) []string {
	notes := []string{
		fmt.Sprintf("Differences are against %s, in percent of its value; who is named is better. Values are medians over the runs of a cell.", r.Engines[r.Baseline].Title),
		"`~` is a difference that Mann-Whitney's U test does not tell from noise at 5 %, with its p and the number of runs; a single run is not tested. Many cells are compared, each at 5 %: some differ by chance. `go tool gate` controls that.",
	}
	for _, unit := range r.Metrics() {
		if definition := analysis.Definition(unit); definition != "" {
			notes = append(notes, fmt.Sprintf("%s: %s.", unit, definition))
		}
	}
	notes = append(notes, r.Notes...)
	for _, remark := range r.Remarks {
		notes = append(notes, "From the run: "+remark)
	}
	return notes
}

func (w *writer) configuration(r *analysis.Report) {
	w.printf("\n## Configuration\n")
	for _, s := range r.Settings {
		w.printf("- **%s**: %s\n", Text(s.Name), Text(s.Value))
	}
	w.table(Engines(r), 1)
}

// Engines is the table of what is known about each engine: a row a property
// that any has.
func Engines(r *analysis.Report) analysis.Table {
	t := analysis.Table{Title: "Engines", Header: []string{"Engine"}}
	for _, e := range r.Engines {
		t.Header = append(t.Header, e.Title)
	}
	for _, p := range []struct {
		name string
		of   func(analysis.Engine) string
	}{
		{"Name", func(e analysis.Engine) string { return e.ID }},
		{"Version", func(e analysis.Engine) string { return e.Version }},
		{"Model", func(e analysis.Engine) string { return e.Model }},
		{"Server", func(e analysis.Engine) string { return e.Server }},
		{"Protocol", func(e analysis.Engine) string { return e.Protocol }},
		{"Dialect", func(e analysis.Engine) string { return e.Dialect }},
		{"Token counts", func(e analysis.Engine) string { return e.Counts }},
	} {
		row, any := []string{p.name}, false
		for _, e := range r.Engines {
			row, any = append(row, p.of(e)), any || p.of(e) != ""
		}
		if any {
			t.Rows = append(t.Rows, row)
		}
	}
	if len(t.Rows) == 1 {
		t.Rows = nil // the name alone says nothing
	}
	return t
}

func (w *writer) results(r *analysis.Report) {
	w.printf("\n## Results\n")
	for _, g := range r.Groups {
		for _, unit := range r.Metrics() {
			t := r.Table(g, unit)
			w.printf("\n### %s\n", Text(t.Title))
			w.table(t, 1)
		}
		if t := r.Percentiles(g); len(t.Rows) > 0 {
			w.printf("\n### %s\n", Text(t.Title))
			w.table(t, 1)
		}
	}
	if len(r.Same) > 0 {
		t := r.SameTable()
		w.printf("\n### %s\n", Text(t.Title))
		w.table(t, 1)
	}
}

func (w *writer) plots(plots []Figure) {
	if len(plots) == 0 {
		return
	}
	w.printf("\n## Plots\n")
	for _, p := range plots {
		w.printf("\n![%s](%s)\n", Text(p.Title), p.Path)
	}
}

func (w *writer) list(title string, items []string, mark, none string) {
	if len(items) == 0 && none == "" {
		return
	}
	w.printf("\n## %s\n", title)
	if len(items) == 0 {
		w.printf("%s\n", none)
	}
	for i, item := range items {
		if mark == "1." {
			w.printf("%d. %s\n", i+1, Text(item))
		} else {
			w.printf("%s %s\n", mark, Text(item))
		}
	}
}

func (w *writer) reproduce(page Page) {
	w.printf("\n## How to Reproduce\n")
	lines, recorded := page.Report.Command()
	if !recorded {
		w.printf("The runs did not note their command; their configuration lines say this much of it:\n")
	}
	w.printf("\n```bash\n%s\n\n# this report\n%s\n```\n", strings.Join(lines, "\n"), page.Command)
}

// table writes a table whose first left columns are texts, the others figures.
func (w *writer) table(t analysis.Table, left int) {
	if len(t.Rows) == 0 || w.err != nil {
		return
	}
	w.printf("\n")
	align := make([]tw.Align, len(t.Header))
	for i := range align {
		if align[i] = tw.AlignRight; i < left {
			align[i] = tw.AlignLeft
		}
	}
	cells := tw.CellConfig{
		Formatting: tw.CellFormatting{AutoFormat: tw.Off, AutoWrap: tw.WrapNone}, // or "vLLM" becomes "V LLM"
		Alignment:  tw.CellAlignment{PerColumn: align},
	}
	table := tablewriter.NewTable(w, tablewriter.WithRenderer(renderer.NewMarkdown()),
		tablewriter.WithConfig(tablewriter.Config{Header: cells, Row: cells}))
	table.Header(row(t.Header))
	for _, r := range t.Rows {
		if err := table.Append(row(r)); err != nil {
			w.err = err
			return
		}
	}
	w.err = table.Render()
	if t.Note != "" {
		w.printf("\n%s\n", Text(t.Note))
	}
}

// row escapes cells: a bar would start another one.
func row(cells []string) []string {
	out := make([]string, len(cells))
	for i, cell := range cells {
		out[i] = strings.ReplaceAll(Text(cell), "|", `\|`)
	}
	return out
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "*", `\*`, "_", `\_`, "[", `\[`)

// Text is s on one line, without a meaning in Markdown or HTML but for
// `code spans`.
func Text(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	parts := strings.Split(s, "`")
	if len(parts)%2 == 0 { // a lone backquote opens nothing
		return escaper.Replace(strings.ReplaceAll(s, "`", "'"))
	}
	for i := range parts {
		if i%2 == 0 {
			parts[i] = escaper.Replace(parts[i])
		}
	}
	return strings.Join(parts, "`")
}
