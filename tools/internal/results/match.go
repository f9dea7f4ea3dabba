package results

import (
	"math"

	"enginebench/workload"
)

// printed bounds how far go test's four significant digits lie from the exact
// value: half of the last digit, 0.0005/1.
const printed = 6e-4

// Match finds each run's record, sets [Run.Record], and puts the record's exact
// values in the place of the printed ones. Runs and records of a cell are taken
// in order; a record belongs to a run if every metric on the line is the
// record's metric rounded as go test prints it. Match returns how many runs
// found theirs; the others keep what was printed.
func Match(runs []*Run, records []*workload.RunRecord) (matched int) {
	left := map[Cell][]*workload.RunRecord{}
	for _, record := range records {
		if level, err := ParseLevel(record.Cell); err == nil {
			cell := Cell{Engine: record.Engine, Level: level}
			left[cell] = append(left[cell], record)
		}
	}
	for _, run := range runs {
		for i, record := range left[run.Cell] {
			if !sameRun(run, record) {
				continue
			}
			run.Record = record
			for j := range run.Result.Values {
				v := &run.Result.Values[j]
				v.Value, v.OrigValue, v.OrigUnit = record.Metrics[v.Unit], 0, ""
			}
			left[run.Cell] = append(left[run.Cell][:i:i], left[run.Cell][i+1:]...)
			matched++
			break
		}
	}
	return matched
}

func sameRun(run *Run, record *workload.RunRecord) bool {
	for _, v := range run.Result.Values {
		exact, ok := record.Metrics[v.Unit]
		if !ok || !(math.Abs(exact-v.Value) <= printed*math.Abs(exact)+1e-7) {
			return false
		}
	}
	return true
}
