package faults

import (
	"context"
	"io"
	"net"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/fixtures"
	"enginebench/fixtures/script"
	"enginebench/workload"
)

// longCell is a cell that is still on when its server dies.
func longCell(tb testing.TB, p *protocol) *fixtures.Recording {
	rec, err := script.Script{Engine: p.name, Dialect: p.dialect, Concurrency: slots, Requests: 100, Tokens: tokens,
		TTFT: 10 * time.Millisecond, Gap: 4 * time.Millisecond}.Recording()
	require.NoError(tb, err)
	return rec
}

// during runs the client's cell, does something once n requests have ended,
// and gives the result.
func during(t *testing.T, c *client, n int64, do func()) result {
	t.Helper()
	results := make(chan result, 1)
	go func() { results <- c.run(t.Context()) }()
	await(t, "requests that have ended", func() bool { return c.runner.Progress.Done.Load() >= n })
	do()
	select {
	case res := <-results:
		require.NoError(t, res.err)
		return res
	case <-time.After(patience):
		t.Fatal("the run does not end")
		return result{}
	}
}

// broken are the classes of requests that were in flight when a connection
// ended, or that came upon one that had.
var broken = []engines.Class{engines.Conn, engines.Reset, engines.Truncated}

func TestAServerThatDiesEndsTheRunAndLosesNothing(t *testing.T) {
	t.Parallel()
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			rec := longCell(t, &p)
			server := serve(t, rec)
			l := limits
			l.MaxErrors = 4 * slots
			c := newClient(t, rec, server.URL(p.name), l)
			res := during(t, c, 20, func() { require.NoError(t, server.Close()) })

			require.ErrorContains(t, res.Stopped, "failed requests (-max-errors)")
			require.Equal(t, engines.Cancelled, engines.ClassOf(res.Stopped))
			m := workload.Summarize(res.Outcome)
			require.Equal(t, m.Sent, m.OK+m.Failed+m.Cancelled)
			require.Less(t, m.Sent, len(rec.Requests), "no dead server is asked for ever")
			require.GreaterOrEqual(t, m.OK, 20)
			require.ErrorContains(t, res.Stopped, "connection refused", "the last failure")
			require.Positive(t, m.ByClass[engines.Dial])
			for _, s := range res.Samples {
				switch {
				case s.Class == engines.Dial:
					require.Zero(t, s.Send, "nothing was sent")
					require.Zero(t, s.Events)
				case s.Status == workload.Failed:
					require.Contains(t, broken, s.Class, s.Error)
				}
			}
			require.Equal(t, workload.Invalid, workload.Judge(m, l.MaxErrors, res.Outcome).Verdict)
		})
	}
}

func TestAServerThatRestartsCostsWhatWasInFlight(t *testing.T) {
	t.Parallel()
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			rec := longCell(t, &p)
			g := newGate(t, serve(t, rec).URL(p.name))
			c := newClient(t, rec, g.url, limits)
			res := during(t, c, 20, g.restart)

			require.NoError(t, res.Stopped)
			m := workload.Summarize(res.Outcome)
			require.Equal(t, 100, m.Sent)
			require.Equal(t, 100, m.OK+m.Failed)
			require.Positive(t, m.Failed)
			for _, s := range res.Samples {
				if s.Status == workload.Failed {
					require.Contains(t, append(slices.Clone(broken), engines.Dial), s.Class, s.Error)
				}
			}
			for _, s := range res.Samples[100-slots:] {
				require.Equal(t, workload.OK, s.Status, "after the restart: %s: %s", s.Class, s.Error)
			}
			require.Equal(t, workload.Invalid, workload.Judge(m, 1, res.Outcome).Verdict)
			require.Contains(t, workload.Judge(m, 1, res.Outcome).Reasons[0], "failed, 1 may")
			require.Len(t, workload.Audit(m, res.Outcome), 1)
			require.Contains(t, workload.Audit(m, res.Outcome)[0], "cold connections", "the slots dialled again")
		})
	}
}

func TestARunThatIsGivenUpCancelsWhatIsInFlight(t *testing.T) {
	t.Parallel()
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			rec := longCell(t, &p)
			c := newClient(t, rec, serve(t, rec).URL(p.name), limits)
			ctx, cancel := context.WithCancelCause(t.Context())
			results := make(chan result, 1)
			go func() { results <- c.run(ctx) }()
			await(t, "requests that have ended", func() bool { return c.runner.Progress.Done.Load() >= 20 })
			cancel(engines.Errorf(engines.Cancelled, "interrupted"))
			res := <-results
			require.NoError(t, res.err)
			require.ErrorContains(t, res.Stopped, "interrupted")
			m := workload.Summarize(res.Outcome)
			require.Equal(t, m.Sent, m.OK+m.Cancelled)
			require.Positive(t, m.Cancelled)
			require.LessOrEqual(t, m.Cancelled, slots)
			require.Equal(t, map[engines.Class]int{engines.Cancelled: m.Cancelled}, m.ByClass)
			require.Equal(t, workload.Invalid, workload.Judge(m, 100, res.Outcome).Verdict)
		})
	}
}

// gate is an address that forwards to a server and can restart: all
// connections are reset, nobody listens, then somebody does again.
type gate struct {
	url, address, server string

	mu       sync.Mutex
	listener net.Listener
	conns    []*net.TCPConn
}

func newGate(tb testing.TB, server string) *gate {
	u, err := url.Parse(server)
	require.NoError(tb, err)
	g := &gate{server: u.Host, address: "127.0.0.1:0"}
	require.NoError(tb, g.open())
	g.address = g.listener.Addr().String()
	u.Host = g.address
	g.url = u.String()
	tb.Cleanup(g.shut)
	return g
}

func (g *gate) open() error {
	l, err := net.Listen("tcp", g.address)
	if err != nil {
		return err
	}
	g.mu.Lock()
	g.listener = l
	g.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go g.forward(c.(*net.TCPConn))
		}
	}()
	return nil
}

func (g *gate) forward(from *net.TCPConn) {
	defer from.Close()
	conn, err := net.Dial("tcp", g.server)
	if err != nil {
		return
	}
	to := conn.(*net.TCPConn)
	defer to.Close()
	g.mu.Lock()
	g.conns = append(g.conns, from, to)
	g.mu.Unlock()
	go func() { io.Copy(to, from); to.CloseWrite() }()
	io.Copy(from, to)
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.listener.Close()
	for _, c := range g.conns {
		c.SetLinger(0)
		c.Close()
	}
	g.conns = nil
}

func (g *gate) restart() {
	g.shut()
	if err := g.open(); err != nil {
		panic(err) // the address is ours
	}
}
