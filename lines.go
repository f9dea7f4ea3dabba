package enginebench

import (
	"flag"
	"io"
	"path/filepath"
	"runtime/debug"
	"strings"

	"enginebench/workload/line"
)

// header writes what stands before the results.
func (s *session) header(w io.Writer) {
	h := line.Header{Conditions: s.conditions(), Notes: append([]string{"command: " + s.command()}, s.notes...)}
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

// command is how to run this again, as one types it for go test.
func (s *session) command() string {
	words := []string{"go", "test"}
	if tags := buildTags(); tags != "" {
		words = append(words, quoted("tags", tags))
	}
	flag.Visit(func(f *flag.Flag) {
		name := strings.TrimPrefix(f.Name, "test.")
		switch name {
		case "paniconexit0", "testlogfile", "timeout": // go test's own doing
			return
		}
		if several, ok := f.Value.(*list); ok {
			for _, value := range *several {
				words = append(words, quoted(name, public(name, value)))
			}
			return
		}
		words = append(words, quoted(name, public(name, f.Value.String())))
	})
	return strings.Join(words, " ")
}

// buildTags are those that this binary was built with: live, or what a
// repository of one's own has.
func buildTags() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "-tags" {
				return setting.Value
			}
		}
	}
	return ""
}

// public is a flag's value as results may show it: of headers the name alone,
// and of paths that begin at the root only the last element, behind a sign that
// the rest is missing.
func public(name, value string) string {
	if name == "header" {
		header, _, _ := strings.Cut(value, ":")
		return header + ": …"
	}
	if filepath.IsAbs(value) {
		return "…/" + filepath.Base(value)
	}
	return value
}

// quoted is a flag as a shell takes it.
func quoted(name, value string) string { return "-" + name + "=" + line.Quote(value) }
