package analysis

import (
	"fmt"
	"slices"

	"enginebench/tools/internal/results"
)

// settingNames are configuration keys in words; other keys stand as they are.
var settingNames = []struct{ key, title string }{
	{"model", "Model"}, {"precision", "Precision"}, {"gpu", "GPU"}, {"dataset", "Dataset"},
	{"load", "Load"}, {"prompts", "Prompts (hash of the pool)"}, {"output-tokens", "Output tokens"}, {"seed", "Seed"},
}

// settings collects the runs' conditions: configuration lines, what the user
// described, and how much was measured. What is said of one engine alone is not
// among them: see [Engine].
func (r *Report) settings(runs []*results.Run) {
	var keys values
	found := map[string]*values{}
	add := func(key, value string) {
		keys.add(key)
		if found[key] == nil {
			found[key] = &values{}
		}
		found[key].add(value)
	}
	engineKey := func(key string) bool {
		return slices.ContainsFunc(r.Engines, func(e Engine) bool { return key == e.ID+"-version" || key == e.ID+"-model" })
	}
	for _, run := range runs {
		for _, c := range conditions(run) {
			if !engineKey(c.Name) {
				add(c.Name, c.Value)
			}
		}
	}
	var models values
	for _, e := range r.Engines {
		models.add(e.Model)
	}
	if found["model"] == nil && len(models) > 0 {
		add("model", models.String())
	}
	for _, name := range settingNames {
		if v := found[name.key]; v != nil {
			r.Settings = append(r.Settings, Setting{name.title, v.String()})
		}
	}
	for _, key := range keys {
		if !slices.ContainsFunc(settingNames, func(name struct{ key, title string }) bool { return name.key == key }) {
			r.Settings = append(r.Settings, Setting{key, found[key].String()})
		}
	}
	for _, g := range r.Groups {
		r.Settings = append(r.Settings, Setting{"Measured", r.extent(g)})
	}
}

// conditions are what a run was measured under: its configuration lines, and
// what its record has beside them.
func conditions(run *results.Run) []Setting {
	var list []Setting
	for _, c := range run.Result.Config {
		if c.File {
			list = append(list, Setting{c.Key, string(c.Value)})
		}
	}
	if run.Record == nil {
		return list
	}
	for _, c := range results.Config(run.Record) {
		if run.Result.GetConfig(c.Key) == "" {
			list = append(list, Setting{c.Key, string(c.Value)})
		}
	}
	return list
}

// condition is one of a run's conditions, "" if it is not known.
func condition(run *results.Run, key string) string {
	for _, c := range conditions(run) {
		if c.Name == key {
			return c.Value
		}
	}
	return ""
}

// extent says how much was measured: "2 engines at concurrency 1, 2 and 4, 6 runs a cell".
func (r *Report) extent(g *Group) string {
	least, most := -1, 0
	for _, level := range g.Levels {
		for _, e := range r.Engines {
			if c := g.Cell(e.ID, level); c != nil {
				if least < 0 || len(c.Runs) < least {
					least = len(c.Runs)
				}
				most = max(most, len(c.Runs))
			}
		}
	}
	runs := plural(most, "run")
	if least != most {
		runs = fmt.Sprintf("%d to %s", least, runs)
	}
	return fmt.Sprintf("%s at %s, %s a cell", plural(len(r.Engines), "engine"), levels(g.Kind, g.Levels), runs)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
