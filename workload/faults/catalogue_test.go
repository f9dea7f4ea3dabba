package faults

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"enginebench/engines"
	pb "enginebench/engines/triton/inference"
	"enginebench/fixtures"
	"enginebench/fixtures/fault"
	"enginebench/fixtures/replay"
	"enginebench/fixtures/script"
	"enginebench/workload"
)

// The cell of every row: 4 slots, 16 requests of 8 tokens, three of which have
// the fault: one of the ramp and two that are measured.
const (
	slots    = 4
	requests = 16
	tokens   = 8
)

var faulty = []int{1, 6, 11}

// limits of the rows. A good reply takes 40 ms.
var limits = workload.Limits{TTFT: 500 * time.Millisecond, Idle: 500 * time.Millisecond, Request: patience, Run: patience, MaxErrors: -1}

// What a failed request still shows: how many of its token events came before
// the fault. Over HTTP a reply of 8 tokens is 8 events and one chunk more, so
// that half of it is 5; over gRPC it is 8 messages, and half of it is 4.
const (
	nothing = iota
	halfOfIt
	some // by the clock
	all
)

// row is a fault and what the client must make of it.
type row struct {
	name       string
	damage     damage
	http, grpc engines.Class // "": the fault can't be there
	shows      int
	says       string // in the error
	limits     func(*workload.Limits)
}

var catalogue = []row{
	{"RST before the head", is(fault.ResetAtOnce), engines.Conn, engines.Conn, nothing, "connection reset by peer", nil},
	{"FIN before the head", is(fault.CloseAtOnce), engines.Conn, engines.Conn, nothing, "EOF", nil},
	{"RST in the middle", is(fault.Reset), engines.Reset, engines.Reset, halfOfIt, "connection reset by peer", nil},
	{"FIN in the middle", is(fault.Truncate), engines.Truncated, engines.Reset, halfOfIt, "EOF", nil},
	{"FIN before the announced length", both(is(fault.Truncate), header("Content-Length", "100000")), engines.Truncated, "", halfOfIt, "EOF", nil},
	{"clean end without a terminal event", is(fault.SilentEnd), engines.Incomplete, engines.Incomplete, halfOfIt, "ended without a fin", nil},
	{"the same, by the end of the connection", both(is(fault.SilentEnd), header("Transfer-Encoding", "identity")), engines.Incomplete, "", halfOfIt, "ended without a finish reason", nil},
	{"clean end before the first event", is(fault.NoTokens), engines.Incomplete, engines.Incomplete, nothing, "ended without a fin", nil},
	{"error event after 200", is(fault.ErrorEvent), engines.EngineError, "", halfOfIt, "EngineCore encountered an issue", nil},
	{"error event after 200, done marker", is(fault.ErrorEventDone), engines.EngineError, "", halfOfIt, "EngineCore encountered an issue", nil},
	{"error_message with status OK", is(fault.ErrorMessage), "", engines.EngineError, halfOfIt, "EngineCore encountered an issue", nil},
	{"400", refuses(400, "the prompt is too long"), engines.Rejected, "", nothing, "the prompt is too long", nil},
	{"500", refuses(500, "out of memory"), engines.EngineError, "", nothing, "out of memory", nil},
	{"429 with Retry-After", is(fault.TooMany), engines.Throttled, "", nothing, "retry after 1 s", nil},
	{"503", is(fault.Overloaded), engines.Throttled, "", nothing, "503", nil},
	{"UNAVAILABLE in the middle", is(fault.Unavailable), "", engines.Reset, halfOfIt, "Unavailable: the server is going away", nil},
	{"RESOURCE_EXHAUSTED in the middle", is(fault.Exhausted), "", engines.Throttled, halfOfIt, "ResourceExhausted: out of room", nil},
	{"GOAWAY, ENHANCE_YOUR_CALM", is(fault.GoAway), "", engines.Reset, halfOfIt, "too_many_pings", nil},
	{"stall in the middle", is(fault.Stall), engines.IdleTimeout, engines.IdleTimeout, halfOfIt, "-idle-timeout", nil},
	{"stall before the head", is(fault.StallAtOnce), engines.TTFTTimeout, engines.TTFTTimeout, nothing, "-ttft-timeout", nil},
	{"stall after the head", ends(none, fixtures.EndStall), engines.TTFTTimeout, engines.TTFTTimeout, nothing, "-ttft-timeout", nil},
	{"slow-loris in the middle", is(fault.SlowLoris), engines.IdleTimeout, engines.IdleTimeout, halfOfIt, "-idle-timeout", nil},
	{"slow-loris in the first event", ends(none, fixtures.EndDrip), engines.TTFTTimeout, engines.TTFTTimeout, nothing, "-ttft-timeout", nil},
	{"keep-alive comments for ever, in the middle", goesOn(half, ": ping\n\n", 100, 100*time.Millisecond), engines.IdleTimeout, "", halfOfIt, "-idle-timeout", nil},
	{"keep-alive comments for ever, before the first event", goesOn(none, ": ping\n\n", 100, 100*time.Millisecond), engines.TTFTTimeout, "", nothing, "-ttft-timeout", nil},
	// 10 + 7·4 ms, stretched, are 760.
	{"a reply that takes too long", stretched(20), engines.RequestTimeout, engines.RequestTimeout, some, "-request-timeout",
		func(l *workload.Limits) { l.Request = 500 * time.Millisecond }},
	{"no chunk, no frame", is(fault.Garbage), engines.Protocol, engines.Protocol, halfOfIt, "", nil},
	{"malformed event", is(fault.Malformed), engines.Protocol, engines.Protocol, halfOfIt, "", nil},
	{"event of 17 MiB", is(fault.Oversize), engines.Oversize, engines.Oversize, halfOfIt, "", nil},
	{"no token, over HTTP", saysNothing([]byte("data: {\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")), engines.Empty, "", nothing, "without a token", nil},
	{"no token, over gRPC", saysNothing(finalResponse()), "", engines.Empty, nothing, "no token", nil},
	{"another number of tokens than was forced", asksForMore, engines.WrongCount, engines.WrongCount, all, "9 output tokens were forced", nil},
}

// finalResponse ends a reply of Triton and carries nothing.
func finalResponse() []byte {
	m, err := proto.Marshal(&pb.ModelStreamInferResponse{InferResponse: &pb.ModelInferResponse{
		Parameters: map[string]*pb.InferParameter{"triton_final_response": {ParameterChoice: &pb.InferParameter_BoolParam{BoolParam: true}}}}})
	if err != nil {
		panic(err)
	}
	return m
}

// benign is what looks like a fault and is none: every request must succeed.
var benign = []row{
	{name: "nothing", damage: each(func(testing.TB, *fixtures.Request) {})},
	{name: "an event of 5 MiB", damage: swollen(5 << 20)}, // more than bufio.Scanner's 64 KiB and grpc-go's 4 MiB
	// All of it takes longer than the first token and an idle stream may.
	{name: "a long reply that goes on", damage: stretched(20)},
}

// protocol is one of the two that the catalogue is played over.
type protocol struct {
	name, dialect string
	class         func(*row) engines.Class
	half          int // token events before a fault in the middle
}

var protocols = []protocol{
	{"http", completions, func(r *row) engines.Class { return r.http }, 5},
	{"grpc", triton, func(r *row) engines.Class { return r.grpc }, 4},
}

// recording is the cell of a row.
func (p *protocol) recording(tb testing.TB, name string, d damage) *fixtures.Recording {
	s := script.Script{Engine: name, Dialect: p.dialect, Concurrency: slots, Requests: requests, Tokens: tokens,
		TTFT: 10 * time.Millisecond, Gap: 4 * time.Millisecond}
	rec, err := s.Recording()
	require.NoError(tb, err)
	return d(tb, rec, fault.Only(faulty...))
}

// Every row of the catalogue over the wire, over both protocols at once: the
// class, the counts, what came before the fault and stays out of every latency,
// an end in time, nothing left over.
func TestFaultCatalogue(t *testing.T) {
	rows := slices.Concat(benign, catalogue)
	cells := make([][]*fixtures.Recording, len(rows)) // by row and protocol; nil: not there
	var all []*fixtures.Recording
	for i, r := range rows {
		cells[i] = make([]*fixtures.Recording, len(protocols))
		for k, p := range protocols {
			if p.class(&r) != "" || r.http == r.grpc {
				cells[i][k] = p.recording(t, fmt.Sprintf("row%d.%s", i, p.name), r.damage)
				all = append(all, cells[i][k])
			}
		}
	}
	server := serve(t, all...)
	book := newLedger(server)
	var before census
	for i, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			if i == 0 { // makes what a process makes once, which is no leak
				r.play(t, server, cells[i], book)
				before = settledCensus(t)
			}
			r.play(t, server, cells[i], book)
			before.requireNoMore(t)
		})
	}
}

// play runs the row's cells and looks at everything that came of them.
func (r *row) play(t *testing.T, server *replay.Server, cells []*fixtures.Recording, book *ledger) {
	bounds := limits
	if r.limits != nil {
		r.limits(&bounds)
	}
	var clients []*client
	var over []*protocol
	for k, rec := range cells {
		if rec != nil {
			clients = append(clients, newClient(t, rec, server.URL(rec.Header.Engine), bounds))
			over = append(over, &protocols[k])
		}
	}
	for i, res := range together(t, clients...) {
		over[i].check(t, r, res)
		require.NoError(t, clients[i].runner.Close())
		for index, n := range book.settle(t, clients[i].rec, requests) {
			require.Equal(t, 1, n, "over %s, request %d was sent more than once", over[i].name, index)
		}
	}
}

func (p *protocol) check(t *testing.T, r *row, res result) {
	want, failing := p.class(r), len(faulty)
	if want == "" {
		failing = 0
	}
	require.NoError(t, res.Stopped)
	require.Less(t, res.elapsed, patience)
	require.Len(t, res.Samples, requests)
	for _, s := range res.Samples {
		if want == "" || !slices.Contains(faulty, s.Index) {
			require.Equal(t, workload.OK, s.Status, "over %s, request %d: %s: %s", p.name, s.Index, s.Class, s.Error)
			require.Equal(t, tokens, *s.Tokens)
			require.Equal(t, tokens, s.Events)
			continue
		}
		require.Equal(t, workload.Failed, s.Status)
		require.Equal(t, want, s.Class, "over %s, request %d: %s", p.name, s.Index, s.Error)
		require.Contains(t, s.Error, r.says)
		require.NotContains(t, s.Error, "\n")
		p.checkPartial(t, r, &s)
		if s.Events > 0 {
			require.NotEmpty(t, res.captures[s.Index].Data, "the bytes are kept")
		}
	}

	m := workload.Summarize(res.Outcome)
	p.log(t, r, m, res.Samples)
	require.Equal(t, requests, m.Sent)
	require.Equal(t, requests-failing, m.OK)
	require.Equal(t, failing, m.Failed)
	require.Zero(t, m.Cancelled)
	if want != "" {
		require.Equal(t, map[engines.Class]int{want: failing}, m.ByClass)
	}
	requireOnlyGood(t, m, res.Outcome)
	requireVerdict(t, m, res.Outcome, want, failing)
}

// log says what the client made of a row, with the error of one request.
func (p *protocol) log(t *testing.T, r *row, m workload.Summary, samples []workload.Sample) {
	t.Helper()
	i := slices.IndexFunc(samples, func(s workload.Sample) bool { return s.Status == workload.Failed })
	if i < 0 {
		t.Logf("%s: %s: %d of %d ok", r.name, p.name, m.OK, m.Sent)
		return
	}
	s := samples[i]
	t.Logf("%s: %s: %d of %d ok, %d failed: %s after %d token events: %s", r.name, p.name, m.OK, m.Sent, m.Failed, s.Class, s.Events, s.Error)
}

// checkPartial looks at what is kept of a failed request.
func (p *protocol) checkPartial(t *testing.T, r *row, s *workload.Sample) {
	events := map[int]int{nothing: 0, halfOfIt: p.half, all: tokens}
	if r.shows == some {
		require.Greater(t, s.Events, 0)
		require.Less(t, s.Events, tokens)
	} else {
		require.Equal(t, events[r.shows], s.Events, "token events before the fault; the error is %s", s.Error)
	}
	if s.Events > 0 {
		require.Greater(t, s.FirstToken, s.Send)
		require.GreaterOrEqual(t, s.LastToken, s.FirstToken)
		require.Len(t, s.Gaps, s.Events-1)
	}
	_, ttft := s.TTFT()
	_, latency := s.Latency()
	require.False(t, ttft || latency, "a failed request has no latency")
}

// requireOnlyGood says that a summary's times are those of the good requests
// alone, and that no number in it is none.
func requireOnlyGood(t *testing.T, m workload.Summary, out workload.Outcome) {
	good := out
	good.Samples = slices.DeleteFunc(slices.Clone(out.Samples), func(s workload.Sample) bool { return s.Status != workload.OK })
	alone := workload.Summarize(good)
	for unit, v := range m.Metrics {
		require.False(t, math.IsNaN(v) || math.IsInf(v, 0), "%s is %v", unit, v)
		for _, kind := range []string{"ttft", "latency", "tpot", "itl", "head", "first", "connect"} {
			if strings.HasPrefix(unit, kind) {
				require.Equal(t, alone.Metrics[unit], v, "%s", unit)
				require.Positive(t, v, unit)
			}
		}
	}
	require.InDelta(t, 100*float64(m.OK)/float64(m.Sent), m.Metrics["ok-%"], 1e-9)
	_, err := json.Marshal(m)
	require.NoError(t, err)
}

// requireVerdict says that a fault beyond the budget ends in no line, with its
// class in the reason, and that one within it does not.
func requireVerdict(t *testing.T, m workload.Summary, out workload.Outcome, class engines.Class, failing int) {
	strict, lenient := workload.Judge(m, 0, out), workload.Judge(m, failing, out)
	if class == "" {
		require.NotEqual(t, workload.Invalid, strict.Verdict, "%v", strict.Reasons)
		return
	}
	require.Equal(t, workload.Invalid, strict.Verdict)
	require.Contains(t, strings.Join(strict.Reasons, "; "), string(class))
	require.Equal(t, class == engines.WrongCount, lenient.Verdict == workload.Invalid, "%v", lenient.Reasons)
}

// A fault or a class without a row would be one that nobody has seen.
func TestTheCatalogueHasEveryFaultAndEveryClass(t *testing.T) {
	for _, f := range fault.All() {
		require.True(t, played[f], "fault %s has no row", f)
	}
	seen := map[engines.Class]bool{
		engines.Dial:      true, // TestAServerThatDiesEndsTheRunAndLosesNothing
		engines.Cancelled: true, // TestARunThatIsGivenUpCancelsWhatIsInFlight
	}
	for _, r := range catalogue {
		seen[r.http], seen[r.grpc] = true, true
	}
	for _, class := range engines.Classes {
		require.True(t, seen[class], "no row is of class %s", class)
	}
}
