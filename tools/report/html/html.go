// Package html writes a report as one page: self-contained, without network,
// for wide and narrow screens, light and dark.
package html

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"enginebench/tools/report/analysis"
	"enginebench/tools/report/figures"
	"enginebench/tools/report/markdown"
	"enginebench/tools/report/plot"

	"gonum.org/v1/plot/vg"
)

//go:embed page.html page.css page.js
var files embed.FS

var page = template.Must(template.New("page.html").Funcs(template.FuncMap{"code": code}).ParseFS(files, "page.html"))

// Page is a report with what only the command knows.
type Page struct {
	Report  *analysis.Report
	Command string // that made this page
	Style   plot.Style
}

// small is the size of a picture in the page: so small that on a phone, where
// it is as wide as the screen, its text is still read.
const smallWidth, smallHeight = 4.6 * vg.Inch, 3.4 * vg.Inch

type view struct {
	Title    string
	Style    template.CSS
	Script   template.JS
	Report   *analysis.Report
	Engines  analysis.Table
	Groups   []group
	Same     *analysis.Table
	Notes    []string
	Doubts   []string
	Command  string
	Run      string
	Recorded bool
}

type group struct {
	Tables      []analysis.Table
	Figures     []template.HTML
	Percentiles *analysis.Table
	Levels      []level
}

type level struct {
	Title   string
	Figures [][]template.HTML // a grid each
}

// Write writes the page.
func Write(w io.Writer, p Page) error {
	r := p.Report
	p.Style.Inline = true
	css, err := files.ReadFile("page.css")
	if err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	js, err := files.ReadFile("page.js")
	if err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	lines, recorded := r.Command()
	v := view{
		Title: markdown.Title(r), Style: template.CSS(css), Script: template.JS(js), Report: r, Engines: markdown.Engines(r),
		Notes: markdown.Notes(r), Command: p.Command, Run: strings.Join(lines, "\n"), Recorded: recorded,
	}
	for _, d := range r.Doubts {
		v.Doubts = append(v.Doubts, d.String())
	}
	if len(r.Same) > 0 {
		t := r.SameTable()
		v.Same = &t
	}
	for _, g := range r.Groups {
		v.Groups = append(v.Groups, makeGroup(r, g, p.Style))
	}
	if err := page.Execute(w, v); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

func makeGroup(r *analysis.Report, g *analysis.Group, style plot.Style) group {
	var out group
	for _, unit := range r.Metrics() {
		out.Tables = append(out.Tables, r.Table(g, unit))
	}
	if t := r.Percentiles(g); len(t.Rows) > 0 {
		out.Percentiles = &t
	}
	for _, f := range figures.OfGroup(r, g, style) {
		if !strings.HasPrefix(f.Name, "dashboard") { // the page is one
			out.Figures = append(out.Figures, inline(f))
		}
	}
	for _, l := range g.Levels {
		drawn := level{Title: g.Title + " " + l.Value}
		for _, grid := range [][]plot.Figure{figures.Distributions(r, g, l, style), figures.Timelines(r, g, l, style)} {
			if len(grid) > 0 {
				drawn.Figures = append(drawn.Figures, inlines(grid))
			}
		}
		if len(drawn.Figures) > 0 {
			out.Levels = append(out.Levels, drawn)
		}
	}
	return out
}

func inlines(list []plot.Figure) []template.HTML {
	var out []template.HTML
	for _, f := range list {
		out = append(out, inline(f))
	}
	return out
}

// inline trusts the drawing library to escape the texts it draws.
func inline(f plot.Figure) template.HTML {
	return template.HTML(f.Resize(smallWidth, smallHeight).Inline())
}

// code shows `code spans` as such.
func code(s string) template.HTML {
	var out strings.Builder
	parts := strings.Split(s, "`")
	for i, part := range parts {
		text := template.HTMLEscapeString(part)
		switch {
		case len(parts)%2 == 0 && i > 0: // a lone backquote opens nothing
			out.WriteString("`" + text)
		case len(parts)%2 == 1 && i%2 == 1:
			out.WriteString("<code>" + text + "</code>")
		default:
			out.WriteString(text)
		}
	}
	return template.HTML(out.String())
}
