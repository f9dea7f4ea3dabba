package main

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"enginebench/internal/wholefile"
	"enginebench/tools/report/analysis"
	"enginebench/tools/report/distribution"
	"enginebench/tools/report/export"
	"enginebench/tools/report/figures"
	"enginebench/tools/report/html"
	"enginebench/tools/report/markdown"
	"enginebench/tools/report/plot"
)

// write makes the directory of a report: report.md, report.html and plots/.
func (c *config) write(r *analysis.Report) error {
	style := plot.Style{Palette: plot.Palettes[c.colors]}
	page := markdown.Page{Report: r, Command: c.command}
	for _, f := range figures.Of(r, style) {
		png, err := f.PNG()
		if err != nil {
			return err
		}
		svg := filepath.Join("plots", f.Name+".svg")
		if err := wholefile.WriteBytes(filepath.Join(c.out, svg), f.SVG()); err != nil {
			return err
		}
		if err := wholefile.WriteBytes(filepath.Join(c.out, "plots", f.Name+".png"), png); err != nil {
			return err
		}
		page.Plots = append(page.Plots, markdown.Figure{Title: f.Title, Path: filepath.ToSlash(svg)})
	}
	var md, web bytes.Buffer
	if err := markdown.Write(&md, page); err != nil {
		return err
	}
	if err := html.Write(&web, html.Page{Report: r, Command: c.command, Style: style}); err != nil {
		return err
	}
	if err := wholefile.WriteBytes(filepath.Join(c.out, "report.md"), md.Bytes()); err != nil {
		return err
	}
	return wholefile.WriteBytes(filepath.Join(c.out, "report.html"), web.Bytes())
}

// export writes the report in another tool's format: to stdout, or with -o to
// files. Formats of one object a run write an object a line to stdout.
func (c *config) export(r *analysis.Report, samples *distribution.Set, stdout io.Writer) error {
	switch c.format {
	case "json":
		return c.deliver(stdout, "report.json", func(w io.Writer) error { return export.JSON(w, r) })
	case "csv":
		return c.deliver(stdout, "report.csv", func(w io.Writer) error { return export.CSV(w, r) })
	}
	write := export.VLLM
	if c.format == "aiperf" {
		write = export.AIPerf
	}
	for _, cell := range samples.Cells() {
		for _, run := range cell.Runs {
			level := strings.ReplaceAll(cell.Name.Level.String(), "=", "-")
			name := fmt.Sprintf("%s-%s-%s-run%d.json", c.format, cell.Name.Engine, level, run.Number)
			if err := c.deliver(stdout, name, func(w io.Writer) error { return write(w, run) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// deliver writes to stdout, or with -o to a file of that name.
func (c *config) deliver(stdout io.Writer, name string, write func(io.Writer) error) error {
	if c.out == "" {
		return write(stdout)
	}
	var out bytes.Buffer
	if err := write(&out); err != nil {
		return err
	}
	return wholefile.WriteBytes(filepath.Join(c.out, filepath.Base(name)), out.Bytes())
}
