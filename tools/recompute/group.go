package main

import (
	"path/filepath"
	"reflect"
	"slices"

	"enginebench/engines"
	"enginebench/workload"
	"enginebench/workload/line"
)

// group is recordings that can stand below one header: of one directory, made
// under the same conditions, and of no two versions of an engine.
type group struct {
	dir     string
	header  line.Header
	longest int // name of a benchmark
}

// arrange puts the recordings into groups without changing their order.
// counted is the warning about engines that count no tokens, where a tokenizer
// does; "": they stay uncounted.
func arrange(files []*file, counted string) {
	var g *group
	for _, f := range files {
		if g == nil || !g.takes(f) {
			g = &group{dir: filepath.Dir(f.path), header: line.Header{Conditions: workload.ConditionsOf(f.header)}}
		}
		g.add(f, counted)
	}
}

func (g *group) takes(f *file) bool {
	if filepath.Dir(f.path) != g.dir || !reflect.DeepEqual(workload.ConditionsOf(f.header), g.header.Conditions) {
		return false
	}
	e := g.engine(f.header.Engine)
	return e == nil || sameServer(e.Info, f.header.Info)
}

func sameServer(a, b engines.Info) bool {
	return a.Version == b.Version && a.Model == b.Model && a.Server == b.Server && a.Dialect == b.Dialect
}

func (g *group) engine(name string) *line.Engine {
	for i := range g.header.Engines {
		if e := &g.header.Engines[i]; e.Name == name {
			return e
		}
	}
	return nil
}

func (g *group) add(f *file, counted string) {
	info := &f.header.Info
	if info.Counts == "" && counted != "" {
		info.Counts = workload.CountedByTokenizer
		info.Warnings = append(slices.Clone(info.Warnings), counted)
	}
	f.group = g
	g.longest = max(g.longest, len(line.Name(f.header.Engine, f.header.Cell)))
	e := g.engine(f.header.Engine)
	if e == nil {
		g.header.Engines = append(g.header.Engines, line.Engine{Name: f.header.Engine, Info: *info,
			From: "recomputed from recordings of " + f.header.When.UTC().Format("2006-01-02")})
		return
	}
	for _, w := range info.Warnings {
		if !slices.Contains(e.Info.Warnings, w) {
			e.Info.Warnings = append(slices.Clone(e.Info.Warnings), w)
		}
	}
}

// unset are the keys of the configuration before that this group's lacks:
// in a benchmark's output they hold on until they are set to nothing.
func (g *group) unset(before *group) []string {
	if before == nil {
		return nil
	}
	set := map[string]bool{}
	for _, pair := range g.header.Configuration() {
		set[pair[0]] = true
	}
	var keys []string
	for _, pair := range before.header.Configuration() {
		if !set[pair[0]] {
			keys = append(keys, pair[0])
		}
	}
	return keys
}
