package analysis

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"enginebench/tools/internal/results"
	"enginebench/tools/report/distribution"
	"enginebench/workload"
	"enginebench/workload/line"
)

// Doubt is a reason not to trust a number, beside the number.
type Doubt struct {
	Where []string // "vLLM Server, concurrency 32"; none: the whole report
	Text  string   // one line
	Times int      // how often runs said so, in these or other figures
}

// manyPlaces is how many places a doubt names before it counts the rest.
const manyPlaces = 4

// String is the doubt on one line.
func (d Doubt) String() string {
	text := d.Text
	if len(d.Where) > 0 {
		text = abridge(d.Where, manyPlaces) + ": " + text
	}
	if more := d.Times - max(1, len(d.Where)); more > 0 {
		text += fmt.Sprintf(" (and alike in %s)", plural(more, "more run"))
	}
	return text
}

// merged gathers texts: of one place, those that differ in their figures only
// are one; of several places, those that are the same.
type merged struct {
	list    []Doubt
	similar map[[2]string]int // by place and text without figures
	same    map[string]int    // by text
}

// figures are numbers, and times as Go writes them: their unit is part of the
// figure, since it changes with it (902ns, 56.213µs).
var figures = regexp.MustCompile(`([0-9]+(\.[0-9]+)?(ns|µs|us|ms|s|m|h))+\b|[0-9]+([.,][0-9]+)*`)

func (m *merged) add(where, text string) { m.put(where, text, true) }

// once adds a text unless that place said so before.
func (m *merged) once(where, text string) { m.put(where, text, false) }

func (m *merged) put(where, text string, again bool) {
	if m.same == nil {
		m.similar, m.same = map[[2]string]int{}, map[string]int{}
	}
	text = line.Flat(text)
	key := [2]string{where, figures.ReplaceAllString(text, "#")}
	if i, ok := m.similar[key]; ok {
		if again {
			m.list[i].Times++
		}
		return
	}
	i, ok := m.same[text]
	if !ok {
		i = len(m.list)
		m.list, m.same[text] = append(m.list, Doubt{Text: text}), i
	}
	m.similar[key] = i
	d := &m.list[i]
	d.Times++
	if where != "" {
		d.Where = append(d.Where, where)
	}
}

func (m *merged) doubts() []Doubt { return m.list }

// fewRuns is the smallest number of runs from which a 95 % interval of a
// median is finite (2·0.5^6 < 5 %).
const fewRuns = 6

// fewRequests is the smallest number of measured requests a run that has a p90,
// see [distribution.Times.Quantile].
const fewRequests = 29

// coalescedLimit is the share of token events that shared a read above which
// gaps between tokens are the network's more than the engine's.
const coalescedLimit = 5.0

func (r *Report) doubts(inputs []*results.Input, runs []*results.Run, failures []results.Failure, samples *distribution.Set) {
	var m merged
	for _, in := range inputs {
		if cut := in.CutOff(); cut != "" {
			m.add("", name(in)+" "+cut+"; cells and runs may be missing here")
		}
	}
	for _, f := range failures {
		text := strings.Join(f.Log, "; ")
		if text == "" {
			text = "no reason is given"
		}
		m.add(r.where(f.Cell.Engine, f.Cell.Level.String()), "FAILED, no result: "+text)
	}
	r.doubtRuns(&m, runs)
	if samples != nil {
		r.doubtSamples(&m, runs, samples)
	}
	r.doubtWorkload(&m, runs)
	r.doubtCount(&m, runs)
	r.doubtForm(&m)
	r.doubtRemarks(&m)
	r.doubtColocated(&m, runs)
	r.Doubts = m.doubts()
	for _, in := range inputs {
		if len(in.Foreign) > 0 {
			r.Notes = append(r.Notes, fmt.Sprintf("%s: left out, not cells: %s.", in.Name, abridge(in.Foreign, 5)))
		}
	}
	if samples != nil {
		r.Notes = append(r.Notes, samples.Notes...)
	}
}

// name is an input as a sentence has it.
func name(in *results.Input) string {
	if in.Name == "-" {
		return "stdin"
	}
	return in.Name
}

// doubtRemarks takes the lines for people that warn: those of an engine
// ("vllm: …"), and those that name one left out.
// The others stay remarks.
func (r *Report) doubtRemarks(m *merged) {
	var rest []string
	for _, remark := range r.Remarks {
		name, text, _ := strings.Cut(remark, ": ")
		lower := strings.ToLower(remark)
		switch {
		case r.Engine(name) != nil:
			m.once(r.Title(name), text)
		case strings.Contains(lower, "warning"), strings.Contains(lower, "not measured"), strings.Contains(lower, "left out"):
			m.add("", remark)
		default:
			rest = append(rest, remark)
		}
	}
	r.Remarks = rest
}

// abridge lists the first n texts.
func abridge(texts []string, n int) string {
	if len(texts) <= n {
		return strings.Join(texts, "; ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(texts[:n], "; "), len(texts)-n)
}

func (r *Report) doubtRuns(m *merged, runs []*results.Run) {
	for _, run := range runs {
		where := r.where(run.Cell.Engine, run.Cell.Level.String())
		if run.Record != nil {
			for _, text := range recorded(run.Record) {
				m.add(where, text)
			}
		} else {
			for _, text := range run.Doubts() {
				m.add(where, strings.TrimPrefix(text, "warning: "))
			}
		}
		for _, v := range run.Result.Values {
			if math.IsNaN(v.Value) || math.IsInf(v.Value, 0) {
				m.add(where, fmt.Sprintf("a run reports %v %s: left out", v.Value, v.Unit))
			}
		}
		if ok, has := run.Result.Value("ok-%"); has && ok < 100 {
			m.add(where, fmt.Sprintf("%.4g %% of requests succeeded; the others are in no latency", ok))
		}
	}
}

// recorded is what a run's record says of it; its log says the same, cut to ten
// lines.
func recorded(record *workload.RunRecord) []string {
	var texts []string
	for _, reason := range record.Reasons {
		if !strings.HasPrefix(reason, string(record.Verdict)) {
			reason = string(record.Verdict) + ": " + reason
		}
		texts = append(texts, reason)
	}
	if record.Verdict != workload.Valid && record.Verdict != "" && len(record.Reasons) == 0 {
		texts = append(texts, string(record.Verdict)+": no reason is given")
	}
	return append(texts, record.Warnings...)
}

func (r *Report) doubtSamples(m *merged, runs []*results.Run, samples *distribution.Set) {
	taken := map[*workload.RunRecord]bool{}
	for _, run := range runs {
		taken[run.Record] = true
	}
	for _, record := range samples.Records {
		if !taken[record] {
			for _, text := range recorded(record) {
				m.once(r.where(record.Engine, record.Cell), text)
			}
		}
		for _, warning := range record.Info.Warnings {
			m.once(r.Title(record.Engine), warning)
		}
	}
	for _, cell := range samples.Cells() {
		where := r.where(cell.Name.Engine, cell.Name.Level.String())
		for _, text := range checks(cell.All) {
			m.add(where, text)
		}
		for _, run := range cell.Runs {
			if run.Measured < fewRequests {
				m.add(where, fmt.Sprintf("fewer than %d measured requests a run: too few for percentiles above its median", fewRequests))
			}
			if run.Record != nil && run.Record.Sent != run.Sent {
				m.add(where, fmt.Sprintf("the run's record counts %d requests, its samples %d: the file is not whole", run.Record.Sent, run.Sent))
			}
		}
	}
}

// checks says what a cell's samples themselves give away.
func checks(run *distribution.Run) []string {
	var texts []string
	say := func(format string, args ...any) { texts = append(texts, fmt.Sprintf(format, args...)) }
	c := run.Checks
	if c.WrongCount > 0 {
		say("token mismatch: %d of %d requests brought another number of tokens than was forced", c.WrongCount, run.OK)
	}
	if c.PromptMismatch > 0 {
		say("prompt mismatch: for %d of %d requests the engine counted another number of prompt tokens than was sent", c.PromptMismatch, run.OK)
	}
	if c.CachedTokens > 0 {
		say("prefix cache: %.1f %% of prompt tokens (%d requests) came from the engine's cache", 100*float64(c.CachedTokens)/float64(max(1, c.PromptTokens)), c.Cached)
	}
	if c.Events > 0 {
		if share := 100 * float64(c.Coalesced) / float64(c.Events); share > coalescedLimit {
			say("coalesced: %.1f %% of token events shared a read with another, so gaps between tokens are the transport's", share)
		}
	}
	if c.Uncounted > 0 {
		say("no token count for %d of %d requests", c.Uncounted, run.OK)
	}
	if len(run.Errors) > 0 {
		var classes []string
		for class, n := range run.Errors {
			if class == "" {
				class = "unclassed"
			}
			classes = append(classes, fmt.Sprintf("%s %d", class, n))
		}
		slices.Sort(classes)
		say("errors: %d of %d requests did not succeed (%s)", run.Failed+run.Cancelled, run.Sent, strings.Join(classes, ", "))
	}
	return texts
}

// workloadKeys are the conditions that must agree between cells to compare them.
var workloadKeys = []string{"load", "prompts", "output-tokens", "seed"}

func (r *Report) doubtWorkload(m *merged, runs []*results.Run) {
	for _, key := range workloadKeys {
		var seen values
		for _, run := range runs {
			value := condition(run, key)
			if key == "load" { // of rate=8 and rate=16 the rate is the level
				value, _, _ = strings.Cut(value, "=")
			}
			seen.add(value)
		}
		if len(seen) > 1 {
			m.add("", fmt.Sprintf("different workloads are mixed: %s is %s", key, strings.Join(seen, " and ")))
		}
	}
	for _, e := range r.Engines {
		for _, key := range []string{e.ID + "-version", e.ID + "-model"} {
			var seen values
			for _, run := range runs {
				seen.add(condition(run, key))
			}
			if len(seen) > 1 {
				m.add(e.Title, fmt.Sprintf("runs of different engines are pooled: %s is %s", key, strings.Join(seen, " and ")))
			}
		}
	}
}

// doubtCount says what the number of runs does not let one tell.
func (r *Report) doubtCount(m *merged, runs []*results.Run) {
	count, least := map[results.Cell]int{}, math.MaxInt
	for _, run := range runs {
		count[run.Cell]++
	}
	for _, n := range count {
		least = min(least, n)
	}
	switch {
	case least == 1:
		m.add("", "one run of a cell is no repeat: nothing tells its differences from noise (COUNT=6 or more would)")
	case least < 4:
		m.add("", fmt.Sprintf("%d runs of a cell: too few for any difference to be significant (4 or more can be, 6 or more give an interval)", least))
	case least < fewRuns:
		m.add("", fmt.Sprintf("%d runs of a cell: fewer than the %d that give a 95 %% interval of the median", least, fewRuns))
	}
	for a := range runs {
		for b := range a {
			if runs[a].Cell == runs[b].Cell && len(runs[a].Result.Values) > 2 && slices.Equal(runs[a].Result.Values, runs[b].Result.Values) {
				m.add(r.where(runs[a].Cell.Engine, runs[a].Cell.Level.String()), "two runs are the same in every figure: was a file read twice?")
			}
		}
	}
}

func (r *Report) doubtColocated(m *merged, runs []*results.Run) {
	colocated := regexp.MustCompile(`(?i)co-?located`)
	for _, run := range runs {
		for _, c := range conditions(run) {
			if colocated.MatchString(c.Name) || colocated.MatchString(c.Value) {
				m.add(r.where(run.Cell.Engine, run.Cell.Level.String()), fmt.Sprintf("client and engine shared a machine (%s: %s), so they slowed each other", c.Name, c.Value))
			}
		}
	}
	for _, remark := range r.Remarks {
		if colocated.MatchString(remark) {
			m.add("", remark)
		}
	}
}

// Title is an engine's title, its id where it has no cell here.
func (r *Report) Title(engine string) string {
	if e := r.Engine(engine); e != nil {
		return e.Title
	}
	return engine
}

func (r *Report) noteUnmatched(matched, runs int) {
	if matched == 0 {
		r.Notes = append(r.Notes, "No run of the benchmark output is in the samples: they are of other runs, or a line holds several short ones. Tables have the printed four digits.")
		return
	}
	r.Notes = append(r.Notes, fmt.Sprintf("%d of %d runs have their record in the samples and show exact values; the others show the printed four digits.", matched, runs))
}
