// Gate compares two runs of the benchmarks and says by its exit code whether
// anything got worse: 0 nothing did, 1 something did, 2 it cannot tell.
//
//	go tool gate old.txt new.txt
//
//	old: old.txt, 6 passes
//	new: new.txt, 6 passes
//	vllm-version: 0.31.0 → 0.32.0
//
//	tokens/s: higher is better, a change within 5% is none
//	                               old          new   change      p
//	  vllm concurrency=1    117.6 ± 2%   117.5 ± 3%   -0.13%
//	  vllm concurrency=32  2.009k ± 3%  1.686k ± 2%  -16.06%  0.001  REGRESSION
//	…
//	REGRESSION: 2 regressions in 1 cell
//
// # What is compared
//
// Inputs are what go test -bench printed, whole: a file per side, "-" for
// stdin, label=path to name it. -filter, -row and -col are benchstat's (see go
// doc golang.org/x/perf/benchproc/syntax); by default a row is a cell and a
// column a file, and there must be two columns, old first. With
//
//	go tool gate -col vllm-version -row '.name /engine /concurrency' runs.txt
//
// both sides are in one file.
//
// Judged are tokens/s, ttft-ms, latency-ms, tpot-ms and ok-%; -unit names others
// (-unit all), and a -filter that speaks of .unit does too. Percentiles are not
// judged by default: where requests begin to queue, a p99 moves by half from
// run to run. Which direction is better, the inputs' Unit lines say, else a
// built-in table; a unit without one is refused.
//
// # When a change is a regression
//
// A change is a regression if it is in the bad direction, larger than its
// threshold, and significant.
//
// Larger: the medians over passes differ by more than -threshold, 5 % unless
// set for all units (-threshold 3%) or one (-threshold ttft-ms=10%). Shares in
// percent change in points, and their mean over passes counts: -threshold
// ok-%=1 is the default.
//
// Significant: noise alone would bring out a change like it anywhere in the
// whole comparison with a probability of at most -alpha, 5 %. The passes of both
// sides are called old and new in every other way, all cells and units together;
// p is the share of these labellings with a change as large somewhere. So a
// comparison of 14 cells in 5 units does not cry wolf more often than one of a
// single cell. Package relabel has the statistic and why it was chosen. A pass is
// the k-th line of each cell in a file: make live measures whole passes, which
// is better than -count, since drift then hits all cells alike.
//
// How often a slowdown of one cell in fourteen is red, in percent, by the noise
// of passes (their relative standard deviation), 3 units, threshold 5 %:
//
//	          noise 1 %           noise 3 %           noise 5 %
//	COUNT   5 %   8 %  12 %     5 %   8 %  12 %     5 %   8 %  12 %
//	    4    71   100   100      22    61    94       6    20    44
//	    6    70   100   100      45    93   100      12    40    82
//	   10    71   100   100      66   100   100      25    74    98
//
// (400 simulated comparisons each: go test -bench Power -benchtime 1x
// ./tools/gate/relabel. The slowdown shows in all three units; the noise of
// other cells is e^±0.5 times as large, 30 % of its variance is common to a
// pass, 40 % to a cell in a pass. A slowdown as large as the threshold itself is
// measured as larger about every other time. False alarms in the same
// simulation: 0 to 6 %, with an expected 5 % at most.)
//
// Improvements are printed and fail nothing.
//
// # Requests and answers
//
// With -old-samples and -new-samples, the directories that -samples wrote,
// values are exact in place of four digits; ok-% is judged over all requests
// of all passes by Fisher's exact test, for which a fifth of α is set aside if
// any request failed; and the outputs of both sides are held against each
// other, prompt by prompt: at temperature 0 the same engine gives the same
// answers, up to the rounding that batching brings. -same-min 99% makes fewer
// identical outputs than that, of any engine, a regression. Compare two runs of
// one version first to see what is normal.
//
// # Exit code 2
//
// The gate never passes in silence what it did not compare. It exits with 2,
// and a line on stderr for each reason, if
//   - an input is missing, empty, foreign or cut off;
//   - -threshold, -unit or -ignore name a unit or a key that no input has;
//   - an engine, a cell or a unit is on one side only, or a cell failed
//     (--- FAIL); -filter '/engine:vllm' leaves other engines out of the question;
//   - the workloads differ: load, prompts, output-tokens, seed or an engine's
//     model; -ignore seed allows it;
//   - two passes of a side are the same in every figure: they are one
//     measurement, read twice;
//   - there are so few passes that nothing could have been red: 3 a side are the
//     least, or 1 against 19;
//   - the direction of a unit is not known;
//   - -same-min is asked for and no outputs can be compared.
//
// A regression that was found stays one (exit 1) whatever else could not be
// compared; only unreadable inputs, words that no input knows, different
// workloads and copied passes end the comparison.
// Doubts are printed as warnings and change no exit code: what the runs logged
// about themselves (SUSPECT), another machine, missing passes, too few values
// for an interval, and, beside each unit, the size of change that its noise
// hides.
//
// # Formats
//
// -format text is for people, markdown for a job summary, json for programs
// (its schema is named in its first field), github prints the text and
// annotations, and appends the markdown to $GITHUB_STEP_SUMMARY. What it cannot
// tell is on stderr in all of them, and besides in markdown, json and the
// annotations, which are read elsewhere.
package main
