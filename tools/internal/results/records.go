package results

import (
	"fmt"
	"maps"
	"slices"

	"enginebench/workload"

	"golang.org/x/perf/benchfmt"
)

// FromRecords makes an input of run records alone, as if their lines had been
// read from name: the same cells, values and configuration, exact, with each
// run's record. Records of INVALID runs become failures, those of unknown load
// levels are foreign.
func FromRecords(name string, records []*workload.RunRecord) *Input {
	in := &Input{Name: name, Units: benchfmt.UnitMetadataMap{}, Complete: true}
	passes := map[Cell]int{}
	for _, record := range records {
		level, err := ParseLevel(record.Cell)
		if err != nil {
			in.foreign("engine=" + record.Engine + "/" + record.Cell)
			continue
		}
		cell := Cell{Engine: record.Engine, Level: level}
		if record.Verdict == workload.Invalid || len(record.Metrics) == 0 {
			in.Failures = append(in.Failures, Failure{Cell: cell, Log: record.Reasons})
			continue
		}
		in.Runs = append(in.Runs, &Run{Cell: cell, Pass: passes[cell], Result: line(cell, record), Record: record})
		passes[cell]++
	}
	return in
}

// Config is a record's conditions as the configuration lines that a run prints.
func Config(record *workload.RunRecord) []benchfmt.Config {
	var config []benchfmt.Config
	set := func(key, value string) {
		if value != "" {
			config = append(config, benchfmt.Config{Key: key, Value: []byte(value), File: true})
		}
	}
	set("load", record.Load)
	set("prompts", record.Prompts)
	set("output-tokens", fmt.Sprint(record.OutputTokens))
	set("seed", fmt.Sprint(record.Seed))
	set(record.Engine+"-version", record.Info.Version)
	set(record.Engine+"-model", record.Info.Model)
	for _, key := range slices.Sorted(maps.Keys(record.Describe)) {
		set(key, record.Describe[key])
	}
	return config
}

// line is the benchmark line of a record.
func line(cell Cell, record *workload.RunRecord) *benchfmt.Result {
	result := &benchfmt.Result{Name: benchfmt.Name("Serve/" + cell.String()), Iters: 1, Config: Config(record)}
	for _, metric := range workload.Metrics {
		if v, ok := record.Metrics[metric.Unit]; ok {
			result.Values = append(result.Values, benchfmt.Value{Value: v, Unit: metric.Unit})
		}
	}
	for _, unit := range slices.Sorted(maps.Keys(record.Metrics)) {
		if !slices.ContainsFunc(workload.Metrics, func(m workload.Metric) bool { return m.Unit == unit }) {
			result.Values = append(result.Values, benchfmt.Value{Value: record.Metrics[unit], Unit: unit})
		}
	}
	return result
}
