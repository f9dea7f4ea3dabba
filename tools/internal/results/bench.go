package results

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"

	"enginebench/workload"

	"golang.org/x/perf/benchfmt"
)

var nan = math.NaN()

// maxLine bounds a line of benchmark output; a longer one is no such output.
const maxLine = 1 << 20

// Input is one file of Go benchmark output.
type Input struct {
	Name     string                   // its path, "-" for stdin
	Runs     []*Run                   // in the order of the lines
	Failures []Failure                // cells that failed, in order
	Units    benchfmt.UnitMetadataMap // from Unit lines
	Remarks  []string                 // its "# …" lines, for people, without the mark, each once
	Foreign  []string                 // full names of benchmarks that are not cells, each once
	Complete bool                     // its last word is go test's: PASS, FAIL or "ok …". False: cut off, or filtered
	Begun    int                      // test binaries that printed their system into it, before their first result
	Ended    int                      // and those that printed PASS or FAIL, after their last
}

// CutOff says in what way the input is not the whole output of its runs; ""
// where it is.
func (in *Input) CutOff() string {
	switch {
	case !in.Complete:
		return "is cut off: results without a PASS or FAIL after them; if they are whole, append a line PASS"
	case in.Begun > in.Ended:
		return fmt.Sprintf("is cut off within: %d runs begin in it and %d end in PASS or FAIL", in.Begun, in.Ended)
	}
	return ""
}

// CommandRemark begins the remark by which a run says what made it: "command:
// go test …".
const CommandRemark = "command: "

// Run is one benchmark line: one run of a cell.
type Run struct {
	Cell   Cell
	Pass   int              // which run of its cell in this input, from 0
	Result *benchfmt.Result // name, values (finite and not), file configuration
	Log    []string         // what the benchmark logged about this run, a text each

	Record *workload.RunRecord // the run's own record, after [Match] found it
}

// Doubts are the logged texts that question the run's numbers: the reasons of
// its verdict ("SUSPECT: …") and its warnings ("warning: …").
func (r *Run) Doubts() []string { return r.logged(true) }

// Findings are the other logged texts: what explains the numbers.
func (r *Run) Findings() []string { return r.logged(false) }

func (r *Run) logged(doubts bool) (texts []string) {
	for _, text := range r.Log {
		if doubt.MatchString(text) == doubts {
			texts = append(texts, text)
		}
	}
	return texts
}

var doubt = regexp.MustCompile(`^(?i:suspect|invalid|warning)\b`)

// Failure is a run of a cell that printed no line.
type Failure struct {
	Cell Cell
	Line int      // of its "--- FAIL"
	Log  []string // why, a text each
}

// Better says whether higher (+1) or lower (-1) values of unit are better: by
// the input's Unit lines, else by [workload.Metrics], else by what benchfmt
// knows; 0 where nobody says.
func Better(units benchfmt.UnitMetadataMap, unit string) int {
	if units.Get(unit, "better") != nil {
		return units.GetBetter(unit)
	}
	for _, m := range workload.Metrics {
		if m.Unit == unit {
			return m.Better
		}
	}
	return units.GetBetter(unit)
}

// ReadFile reads the benchmark output at path; "-" reads stdin.
func ReadFile(path string, stdin io.Reader) (*Input, error) {
	if path == "-" {
		return Read(path, stdin)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read benchmark output: %w", err)
	}
	defer f.Close()
	return Read(path, f)
}

// Read reads Go benchmark output; name is for messages. An input without a
// cell is no error. A line that begins as a cell's result and is not one is an
// error that names file and line; such a line of a foreign benchmark is left
// out. Windows line ends and a byte order mark do not matter.
func Read(name string, r io.Reader) (*Input, error) {
	in := &Input{Name: name}
	text, err := in.split(r)
	if err != nil {
		return nil, fmt.Errorf("read benchmark output %s: %w", name, err)
	}
	if err := in.parse(text.results.Bytes(), text.lines); err != nil {
		return nil, err
	}
	in.attach(text.logs)
	return in, nil
}

// logBlock is a "--- BENCH" or "--- FAIL" heading with its indented lines.
type logBlock struct {
	name   string
	line   int
	failed bool
	texts  []string
}

// splitText is an input taken apart: what benchfmt reads, with a blank line
// where something else stood, so that line numbers stay right; and the logs.
type splitText struct {
	results bytes.Buffer
	lines   map[int]string // result lines by number
	logs    []*logBlock
}

// heading is where the testing package announces a log. After a failure from
// the second -count on, the benchmark's name stands before it on the line.
var heading = regexp.MustCompile(`^(?:Benchmark\S*\s+)?--- (BENCH|FAIL|SKIP): (Benchmark\S+)\s*$`)

// source is the file and line that b.Log puts before a text.
var source = regexp.MustCompile(`^ {4}\S+\.go:\d+: `)

func (in *Input) split(r io.Reader) (*splitText, error) {
	out := &splitText{lines: map[int]string{}}
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxLine)
	var open *logBlock
	for n := 1; scanner.Scan(); n++ {
		line := scanner.Text() // without its line end, \r\n too
		if n == 1 {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		kept := ""
		switch m := heading.FindStringSubmatch(line); {
		case m != nil:
			open = &logBlock{name: m[2], line: n, failed: m[1] == "FAIL"}
			if m[1] == "SKIP" {
				open.texts = []string{"skipped"}
				open.failed = true
			}
			out.logs = append(out.logs, open)
		case open != nil && strings.HasPrefix(line, "    "):
			open.add(line)
		default:
			open = nil
			kept = line
			in.note(line)
			if strings.HasPrefix(line, "Benchmark") {
				out.lines[n] = line
			}
		}
		out.results.WriteString(kept)
		out.results.WriteByte('\n')
	}
	if err := scanner.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fmt.Errorf("a line is longer than %d bytes: not benchmark output", maxLine)
	} else if err != nil {
		return nil, err
	}
	return out, nil
}

// add appends a log line: the start of a text where b.Log names its source,
// else the continuation of the last one.
func (b *logBlock) add(line string) {
	if at := source.FindString(line); at != "" {
		b.texts = append(b.texts, line[len(at):])
		return
	}
	line = strings.TrimSpace(line)
	if len(b.texts) == 0 {
		b.texts = append(b.texts, line)
		return
	}
	b.texts[len(b.texts)-1] += "\n" + line
}

// note keeps the lines that are neither results nor logs.
func (in *Input) note(line string) {
	switch {
	case strings.HasPrefix(line, "#"):
		remark := strings.TrimSpace(strings.TrimPrefix(line, "#"))
		if remark != "" && !slices.Contains(in.Remarks, remark) {
			in.Remarks = append(in.Remarks, remark)
		}
	case line == "PASS", line == "FAIL":
		in.Ended++
		in.Complete = true
	case strings.HasPrefix(line, "ok  \t"), strings.HasPrefix(line, "FAIL\t"):
		in.Complete = true
	case strings.HasPrefix(line, "goos: "):
		in.Begun++
	case strings.HasPrefix(line, "Benchmark"):
		in.Complete = false
	}
}

func (in *Input) parse(results []byte, lines map[int]string) error {
	reader := benchfmt.NewReader(bytes.NewReader(results), in.Name)
	passes := map[Cell]int{}
	for reader.Scan() {
		switch record := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			name, _, _ := strings.Cut(strings.ReplaceAll(lines[record.Line], "\t", " "), " ")
			if line, isResult := lines[record.Line]; isResult && !strings.Contains(line, "/engine=") {
				in.foreign(name)
				continue
			}
			return fmt.Errorf("read benchmark output: %w; the line is cut off or foreign: repair or delete it", record)
		case *benchfmt.Result:
			cell, ok := ParseName(record.Name.String())
			if !ok {
				in.foreign("Benchmark" + record.Name.String())
				continue
			}
			in.Runs = append(in.Runs, &Run{Cell: cell, Pass: passes[cell], Result: record.Clone()})
			passes[cell]++
		}
	}
	in.Units = reader.Units()
	return reader.Err()
}

func (in *Input) foreign(name string) {
	if !slices.Contains(in.Foreign, name) {
		in.Foreign = append(in.Foreign, name)
	}
}

// attach gives each log to the run it follows, and makes the failures.
func (in *Input) attach(logs []*logBlock) {
	for _, block := range logs {
		cell, ok := ParseName(block.name)
		if !ok {
			continue // a parent of cells, or foreign
		}
		if block.failed {
			in.Failures = append(in.Failures, Failure{Cell: cell, Line: block.line, Log: block.texts})
			continue
		}
		for _, run := range slices.Backward(in.Runs) {
			if _, line := run.Result.Pos(); run.Cell == cell && line < block.line {
				run.Log = append(run.Log, block.texts...)
				break
			}
		}
	}
}
