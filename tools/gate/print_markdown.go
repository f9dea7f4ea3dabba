package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

var marks = map[string]string{"ok": "✅", "regression": "❌", "cannot tell": "❔"}

// printMarkdown puts what matters first and the tables of everything behind a
// fold, which is how a job summary is read.
func printMarkdown(w io.Writer, r *Report) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "### %s %s: %s\n\n", marks[r.Verdict], r.Verdict, r.conclusion())
	if r.Old.Name != "" {
		fmt.Fprintf(&b, "%s (%s) → %s (%s)", cell(r.Old.Name), count(r.Old.Passes, "pass"), cell(r.New.Name), count(r.New.Passes, "pass"))
		for _, c := range r.Changed {
			fmt.Fprintf(&b, "; %s: %s → %s", cell(c.Key), cell(c.Old), cell(c.New))
		}
		b.WriteString("\n\n")
	}
	for _, verdict := range []string{regression, improvement} {
		if list := r.of(verdict); len(list) > 0 {
			table(&b, list, true)
		}
	}
	bullets(&b, "**Cannot tell**", r.Problems)
	var same []string
	for _, o := range r.Outputs {
		same = append(same, o.sentence())
	}
	bullets(&b, "**Same answers?**", same)
	bullets(&b, "**Warnings**", r.Warnings)
	fmt.Fprintf(&b, "%s.", r.scope())
	if len(r.NotJudged) > 0 {
		fmt.Fprintf(&b, " Not judged: %s.", cell(strings.Join(r.NotJudged, ", ")))
	}
	b.WriteString("\n")
	if len(r.Comparisons) > 0 {
		b.WriteString("\n<details><summary>All comparisons</summary>\n\n")
		r.byUnit(func(unit string, list []Comparison) {
			fmt.Fprintf(&b, "**%s**: %s\n\n", cell(unit), heading(list))
			table(&b, list, false)
		})
		b.WriteString("</details>\n")
	}
	_, err := w.Write(b.Bytes())
	return err
}

func table(b *bytes.Buffer, list []Comparison, units bool) {
	head, rule := "| cell | old | new | change | p | |\n", "| --- | ---: | ---: | ---: | ---: | --- |\n"
	if units {
		head, rule = "| unit "+head, "| --- "+rule
	}
	b.WriteString(head + rule)
	for _, c := range list {
		old, new := c.values()
		if units {
			fmt.Fprintf(b, "| %s ", cell(c.Unit))
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", cell(c.Cell), old, new, c.change(), c.p(), c.flag())
	}
	b.WriteByte('\n')
}

func bullets(b *bytes.Buffer, title string, list []string) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, "%s\n\n", title)
	for _, line := range list {
		fmt.Fprintf(b, "- %s\n", cell(line))
	}
	b.WriteByte('\n')
}

// cell keeps text from being read as markup.
var escape = strings.NewReplacer(`\`, `\\`, "|", `\|`, "<", "&lt;", "*", `\*`, "_", `\_`, "`", "\\`", "[", `\[`)

func cell(text string) string { return escape.Replace(text) }
