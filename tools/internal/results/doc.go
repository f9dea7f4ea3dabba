// Package results reads what measuring runs leave behind, for the tools that
// come after them: Go benchmark output (one line a run of a cell, with logs and
// failures) and -samples directories (a record a run, a sample a request).
//
//	input, err := results.ReadFile("run.txt", os.Stdin)       // "-" is stdin
//	for _, run := range input.Runs {                          // in the order of the lines
//		fmt.Println(run.Cell, run.Pass, run.Result.Values, run.Log)
//	}
//	for _, failure := range input.Failures { … }              // cells that printed no line
//
// Nothing here decides anything: a run's doubts, a failed cell, a benchmark that
// is not a cell and a file that ends too early are all handed on as data.
//
// A -samples directory may hold millions of requests, so [Stream] reads it file
// by file and line by line, decoding on all processors, and hands each line to
// the caller once, in order.
package results
