package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
)

// printGitHub prints the text, annotations for the pages of a run on GitHub
// Actions, and appends the markdown to the job's summary where there is one.
//
// GitHub shows ten annotations of each level a step; the largest changes come
// first.
func printGitHub(w io.Writer, r *Report) error {
	if err := printText(w, r); err != nil {
		return err
	}
	var b bytes.Buffer
	for _, c := range r.of(regression) {
		annotate(&b, "error", "regression in "+c.Cell, c.sentence())
	}
	for _, o := range r.Outputs {
		if o.Verdict == regression {
			annotate(&b, "error", o.Engine+" answers differently", o.sentence())
		}
	}
	for _, problem := range r.Problems {
		annotate(&b, "error", "cannot tell", problem)
	}
	for _, warning := range r.Warnings {
		annotate(&b, "warning", "benchmark", warning)
	}
	for _, c := range r.of(improvement) {
		annotate(&b, "notice", "improvement in "+c.Cell, c.sentence())
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return err
	}
	path := os.Getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		return nil
	}
	summary, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("append to the job summary (GITHUB_STEP_SUMMARY): %w", err)
	}
	if err := printMarkdown(summary, r); err != nil {
		summary.Close()
		return fmt.Errorf("append to the job summary (GITHUB_STEP_SUMMARY): %w", err)
	}
	return summary.Close()
}

// Workflow commands escape line ends and "%", properties "," and ":" too.
var (
	escapeMessage  = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	escapeProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func annotate(w io.Writer, level, title, message string) {
	fmt.Fprintf(w, "::%s title=%s::%s\n", level, escapeProperty.Replace(title), escapeMessage.Replace(message))
}
