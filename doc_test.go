package enginebench

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheManualNamesEveryFlagAndNoOther(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	known := map[string]bool{"bench": true, "run": true, "tags": true, "count": true, "benchtime": true} // go test's own
	f := flag.NewFlagSet("", flag.ContinueOnError)
	new(options).register(f)
	f.VisitAll(func(f *flag.Flag) {
		known[f.Name] = true
		require.Regexp(t, `[ \t(]-`+f.Name+`\b`, string(text))
	})
	for _, m := range regexp.MustCompile(`[ \t(]-([a-z][a-z-]*)`).FindAllStringSubmatch(string(text), -1) {
		require.True(t, known[m[1]], "doc.go speaks of a flag -%s", m[1])
	}
}

func TestTheReadmeNamesOnlyTargetsAndFlagsThatExist(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	makefile, err := os.ReadFile("Makefile")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile("(?m)(?:^|`)make ([a-z-]+)").FindAllStringSubmatch(string(readme), -1) {
		require.Regexp(t, `(?m)^[a-z -]*\b`+m[1]+`\b[a-z -]*:`, string(makefile))
	}
	for _, m := range regexp.MustCompile("go tool ([a-z]+)").FindAllStringSubmatch(string(readme), -1) {
		mod, err := os.ReadFile("go.mod")
		require.NoError(t, err)
		require.True(t, strings.Contains(string(mod), "/"+m[1]+"\n"), "go tool %s", m[1])
	}
}
