package faults

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/engines/capture"
	"enginebench/engines/catalog"
	"enginebench/fixtures"
	"enginebench/fixtures/replay"
	"enginebench/workload"
)

func TestMain(m *testing.M) {
	replay.MaybeServe()
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")) // of the children, which end when they are told to
	os.Exit(m.Run())
}

const (
	completions = "openai.completions"
	triton      = "triton.tensorrt_llm"
)

// serve starts a child that plays recordings.
func serve(tb testing.TB, all ...*fixtures.Recording) *replay.Server {
	tb.Helper()
	server, err := replay.Start(context.Background(), all, replay.Options{})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, server.Close()) })
	return server
}

// client runs the cell of a recording against a server.
type client struct {
	rec    *fixtures.Recording
	engine engines.Engine
	info   engines.Info
	runner *workload.Runner
}

// newClient asks the server what it is, as a live run does.
func newClient(tb testing.TB, rec *fixtures.Recording, url string, limits workload.Limits) *client {
	tb.Helper()
	spec, err := engines.ParseSpec(rec.Header.Engine + "=" + url)
	require.NoError(tb, err)
	c := &client{rec: rec}
	c.engine, err = catalog.Open(spec)
	require.NoError(tb, err)
	c.info, err = c.engine.Describe(tb.Context())
	require.NoError(tb, err)
	c.runner = &workload.Runner{Engine: c.engine, Limits: limits, Progress: new(workload.Progress)}
	tb.Cleanup(func() { require.NoError(tb, c.runner.Close()) })
	return c
}

// result is what one run of a cell came to. The captures are valid until the
// client's next.
type result struct {
	workload.Outcome
	captures []*capture.Capture
	elapsed  time.Duration
	err      error
}

// run is one run of the cell. It may be called from any goroutine.
func (c *client) run(ctx context.Context) result {
	plan, err := workload.PlanOf(c.rec, "faults")
	if err != nil {
		return result{err: err}
	}
	run, err := c.runner.Run(ctx, plan)
	if err != nil {
		return result{err: err}
	}
	return result{workload.Decode(run, c.rec.Header.Engine, c.engine, c.info), run.Captures, run.Elapsed, nil}
}

// together makes one run of each client at the same time.
func together(tb testing.TB, clients ...*client) []result {
	tb.Helper()
	results := make([]result, len(clients))
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() { results[i] = c.run(tb.Context()) })
	}
	wg.Wait()
	for _, r := range results {
		require.NoError(tb, r.err)
	}
	return results
}

// patience bounds what is awaited.
const patience = 10 * time.Second

// await polls until done, of things that tell nobody when they happen.
func await(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// ledger is how often a server was sent each request, which is once, whatever
// came of it: a client that sends a request again measures another one.
type ledger struct {
	server *replay.Server
	count  map[string]map[int]int // by engine and index
	total  map[string]int
}

func newLedger(server *replay.Server) *ledger {
	return &ledger{server, map[string]map[int]int{}, map[string]int{}}
}

// settle returns how often each request of a cell came since the last settle,
// once they are n. A server counts a request when its reply or its connection
// has ended.
func (l *ledger) settle(tb testing.TB, rec *fixtures.Recording, n int) map[int]int {
	tb.Helper()
	name := rec.Header.Engine
	await(tb, "the server's account of all requests", func() bool {
		report, err := l.server.Report()
		require.NoError(tb, err)
		require.NotContains(tb, strings.Join(report.Refused, "\n"), "no recording of request") // other questions of a preflight may be
		for _, r := range report.Requests {
			if r.ID.Cell == rec.Header.Cell {
				if l.count[r.Engine] == nil {
					l.count[r.Engine] = map[int]int{}
				}
				l.count[r.Engine][r.ID.Index]++
				l.total[r.Engine]++
			}
		}
		return l.total[name] >= n
	})
	count := l.count[name]
	delete(l.count, name)
	delete(l.total, name)
	return count
}
