package markdown_test

import (
	"testing"

	"enginebench/tools/report/markdown"

	"github.com/stretchr/testify/require"
)

func TestTextMeansNothingInMarkdown(t *testing.T) {
	for text, want := range map[string]string{
		"Triton TRT-LLM":        "Triton TRT-LLM",
		"two\nlines":            "two lines",
		"<b>&":                  "&lt;b&gt;&amp;",
		"*star* _low_ [link](x": `\*star\* \_low\_ \[link](x`,
		"`a_b` is code":         "`a_b` is code",
		"a ` alone":             "a ' alone",
	} {
		require.Equal(t, want, markdown.Text(text), text)
	}
}
