package analysis

import (
	"slices"
	"strings"

	"enginebench/workload/line"
)

// notDescribed are configuration keys that the user did not give by -describe.
var notDescribed = []string{"load", "prompts", "output-tokens", "seed", "goos", "goarch", "pkg", "cpu", "toolchain", "note"}

// Command is what measured the runs: the command lines that they noted
// themselves ("# command: …"), else one put together from their configuration
// lines, with recorded = false: it names no URL and no prompts file, since no
// run says where those were.
func (r *Report) Command() (lines []string, recorded bool) {
	if len(r.commands) > 0 {
		return r.commands, true
	}
	for _, g := range r.Groups {
		lines = append(lines, strings.Join(r.arguments(g), " \\\n    "))
	}
	return lines, false
}

func (r *Report) arguments(g *Group) []string {
	args := []string{"go test -run='^$' -bench=. -tags=live"}
	for _, e := range r.Engines {
		args = append(args, "-engine="+e.ID+"=URL")
	}
	var levels []string
	count := 0
	config := map[string]values{}
	var keys values
	for _, level := range g.Levels {
		levels = append(levels, level.Value)
		for _, e := range r.Engines {
			c := g.Cell(e.ID, level)
			if c == nil {
				continue
			}
			count = max(count, len(c.Runs))
			for _, run := range c.Runs {
				for _, kv := range conditions(run) {
					v := config[kv.Name]
					v.add(kv.Value)
					config[kv.Name] = v
					keys.add(kv.Name)
				}
			}
		}
	}
	switch g.Kind {
	case "rate":
		args = append(args, "-load=rate="+levels[0])
	case "wave":
		args = append(args, "-load=waves", "-concurrency="+strings.Join(levels, ","))
	default:
		args = append(args, "-concurrency="+strings.Join(levels, ","))
	}
	if len(config["prompts"]) > 0 {
		args = append(args, "-prompts=FILE.jsonl")
	}
	for _, key := range []string{"output-tokens", "seed"} {
		for _, value := range config[key] {
			args = append(args, "-"+key+"="+line.Quote(value))
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		engines := slices.ContainsFunc(r.Engines, func(e Engine) bool { return strings.HasPrefix(key, e.ID+"-") })
		if engines || slices.Contains(notDescribed, key) {
			continue
		}
		for _, value := range config[key] {
			args = append(args, "-describe="+line.Quote(key+"="+value))
		}
	}
	return args
}
