package faults

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/fixtures"
	"enginebench/fixtures/fault"
	"enginebench/fixtures/script"
	"enginebench/workload"
)

var soakFor = flag.Duration("soak", 2*time.Second, "how long TestSoak goes on")

// The load of a soak, over each protocol.
const (
	soakSlots    = 64
	soakRequests = 6 * soakSlots
	soakEach     = soakRequests / 100 // requests that have each fault
	soakSeed     = 1
)

// soakLimits leave a good reply, which takes 90 ms, twenty times as long, so
// that a busy machine fails none.
var soakLimits = workload.Limits{TTFT: 2 * time.Second, Idle: 2 * time.Second, Request: patience, Run: time.Minute, MaxErrors: -1}

// soakRows are the faults that a soak mixes: those that its limits, which hold
// for all requests, bring out.
func soakRows() []row {
	return slices.DeleteFunc(slices.Clone(catalogue), func(r row) bool { return r.limits != nil })
}

// soakCell is a cell in which every fault of a protocol has its share of the
// requests, and what each of them must come to; "" is ok.
func soakCell(tb testing.TB, p *protocol) (*fixtures.Recording, []engines.Class) {
	s := script.Script{Engine: p.name, Dialect: p.dialect, Concurrency: soakSlots, Requests: soakRequests, Tokens: tokens,
		TTFT: 20 * time.Millisecond, Gap: 10 * time.Millisecond, Jitter: 10 * time.Millisecond}
	rec, err := s.Recording()
	require.NoError(tb, err)
	want := make([]engines.Class, soakRequests)
	free := rand.New(rand.NewPCG(soakSeed, 0)).Perm(soakRequests)
	for _, r := range soakRows() {
		if p.class(&r) == "" {
			continue
		}
		var picked []int
		picked, free = free[:soakEach], free[soakEach:]
		rec = r.damage(tb, rec, fault.Only(picked...))
		for _, i := range picked {
			want[i] = p.class(&r)
		}
	}
	return rec, want
}

// mendCell is a good request for each slot, of the same engine. A slot whose
// connection broke has a new one after it, so that what the process holds is
// the same after each round.
func mendCell(tb testing.TB, p *protocol) *fixtures.Recording {
	s := script.Script{Engine: p.name, Cell: "mend", Dialect: p.dialect, Concurrency: soakSlots, Requests: soakSlots, Tokens: tokens,
		TTFT: 20 * time.Millisecond, Gap: 10 * time.Millisecond}
	rec, err := s.Recording()
	require.NoError(tb, err)
	return rec
}

// TestSoak runs mixed faults over both protocols at once, again and again: the
// accounts are exact to the last request, and nothing that the process holds
// grows.
func TestSoak(t *testing.T) {
	var cells, mends []*fixtures.Recording
	var want [][]engines.Class
	for i := range protocols {
		rec, classes := soakCell(t, &protocols[i])
		cells, want = append(cells, rec), append(want, classes)
		mends = append(mends, mendCell(t, &protocols[i]))
	}
	server := serve(t, slices.Concat(cells, mends)...)
	var clients, menders []*client
	for i, rec := range cells {
		c := newClient(t, rec, server.URL(rec.Header.Engine), soakLimits)
		mender := *c // its slots too
		mender.rec = mends[i]
		clients, menders = append(clients, c), append(menders, &mender)
	}
	together(t, menders...)
	whole := settledCensus(t)
	book := newLedger(server)
	var rounds []usage
	sent, failed, start := 0, 0, time.Now()
	reported := start
	for round := 0; round < leastRounds || time.Since(start) < *soakFor; round++ {
		for i, res := range together(t, clients...) {
			bad := requireAccounts(t, protocols[i].name, res, want[i])
			sent, failed = sent+len(res.Samples), failed+bad
			for index, n := range book.settle(t, cells[i], soakRequests) {
				require.Equal(t, 1, n, "over %s, request %d was sent more than once", protocols[i].name, index)
			}
		}
		for _, res := range together(t, menders...) {
			require.Equal(t, soakSlots, workload.Summarize(res.Outcome).OK)
		}
		rounds = append(rounds, settledUsage(t, whole))
		if now := time.Now(); now.Sub(reported) > *soakFor/20 {
			reported = now
			t.Logf("%4.0f s: round %d, %d requests, %d failed as they must; %s", now.Sub(start).Seconds(), round+1, sent, failed, rounds[round])
		}
	}
	t.Logf("%d rounds: %d requests = %d ok + %d failed; %s at first, %s at last", len(rounds), sent, sent-failed, failed, rounds[warmRounds-1], rounds[len(rounds)-1])
	requireFlat(t, rounds)
}

// requireAccounts compares every request with what it must come to, and gives
// back how many had to fail.
func requireAccounts(t *testing.T, over string, res result, want []engines.Class) (failed int) {
	t.Helper()
	require.NoError(t, res.Stopped)
	require.Len(t, res.Samples, len(want))
	classes := map[engines.Class]int{}
	for _, s := range res.Samples {
		class := want[s.Index]
		require.Equal(t, class, s.Class, "over %s, request %d: %s", over, s.Index, s.Error)
		if class == "" {
			require.Equal(t, workload.OK, s.Status)
			require.Equal(t, tokens, *s.Tokens)
			continue
		}
		require.Equal(t, workload.Failed, s.Status)
		classes[class]++
		failed++
	}
	m := workload.Summarize(res.Outcome)
	require.Equal(t, len(want), m.Sent)
	require.Equal(t, len(want)-failed, m.OK)
	require.Equal(t, failed, m.Failed)
	require.Zero(t, m.Cancelled)
	require.Equal(t, classes, m.ByClass)
	return failed
}

// usage is what the process holds between two rounds.
type usage struct {
	heap, resident int // bytes
	census
}

func (u usage) String() string {
	return fmt.Sprintf("heap %d MB, resident %d MB, %d goroutines, %d files", u.heap>>20, u.resident>>20, u.goroutines, u.files)
}

// settledUsage is the usage once what is due to end has ended: with all slots
// connected, no more than whole is held.
func settledUsage(tb testing.TB, whole census) usage {
	tb.Helper()
	whole.requireNoMore(tb)
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{int(m.HeapAlloc), residentBytes(), takeCensus()}
}

// residentBytes is the process's resident memory; 0 where the system does not
// tell.
func residentBytes() int {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b)) // size, resident, …, in pages
	pages, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return pages * os.Getpagesize()
}

const (
	// warmRounds is after how many rounds all has been made that is made once.
	warmRounds  = 2
	leastRounds = 3
	// How much more memory the last rounds may hold than the first ones after
	// the warm-up. In ten minutes they are some 250,000 requests apart. What is
	// resident also depends on when the system takes pages back.
	maxHeapGrowth     = 1.02
	maxResidentGrowth = 1.05
)

// requireFlat compares the last fifth of the rounds with the first one after
// the warm-up.
func requireFlat(t *testing.T, rounds []usage) {
	t.Helper()
	rounds = rounds[warmRounds-1:]
	n := max(1, len(rounds)/5)
	for _, kind := range []struct {
		name string
		of   func(usage) int
		most float64
	}{
		{"heap", func(u usage) int { return u.heap }, maxHeapGrowth},
		{"resident memory", func(u usage) int { return u.resident }, maxResidentGrowth},
	} {
		early, late := middle(rounds[:n], kind.of), middle(rounds[len(rounds)-n:], kind.of)
		require.LessOrEqual(t, float64(late), kind.most*float64(early), "%s grew from %d to %d bytes in %d rounds", kind.name, early, late, len(rounds))
	}
}

func middle(rounds []usage, of func(usage) int) int {
	var all []int
	for _, u := range rounds {
		all = append(all, of(u))
	}
	slices.Sort(all)
	return all[len(all)/2]
}
