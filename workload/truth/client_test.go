package truth_test

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/fixtures/replay"
	"enginebench/fixtures/script"
	"enginebench/workload"
)

func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// bare is the least that a client in Go can do: a goroutine a connection that
// reads into a buffer and drops it. What it costs is the limit.
type bare struct {
	conns []net.Conn
	cell  string
}

func dialBare(tb testing.TB, p *stage, streams int) *bare {
	u, err := url.Parse(p.Server.URL("script"))
	require.NoError(tb, err)
	b := &bare{cell: p.Recording.Header.Cell}
	for range streams {
		c, err := net.Dial("tcp", u.Host)
		require.NoError(tb, err)
		tb.Cleanup(func() { c.Close() })
		b.conns = append(b.conns, c)
	}
	return b
}

func (b *bare) run() error {
	var wg sync.WaitGroup
	failed := make([]error, len(b.conns))
	for i, c := range b.conns {
		wg.Go(func() { failed[i] = b.stream(c, i) })
	}
	wg.Wait()
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *bare) stream(c net.Conn, index int) error {
	request := fmt.Sprintf("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nX-Request-Id: bare/%s/%d\r\n\r\n{}", b.cell, index)
	if _, err := c.Write([]byte(request)); err != nil {
		return err
	}
	buffer := make([]byte, 8<<10)
	for {
		n, err := c.Read(buffer)
		if err != nil {
			return err
		}
		if bytes.HasSuffix(buffer[:n], []byte("0\r\n\r\n")) {
			return nil
		}
	}
}

// BenchmarkClient is what a chunk costs the client, beside a bare loop that
// receives the same bytes in the same run: CPU time of the process a chunk
// written, all of it, requests and connections' upkeep too.
//
//	go test -bench=Client -benchtime=1x -count=3 ./workload/truth
func BenchmarkClient(b *testing.B) {
	const step = 50 * time.Millisecond
	for _, c := range []struct {
		dialect string
		streams int
	}{{"openai.completions", 64}, {"openai.completions", 1024}, {"openai.completions", 2048}, {"triton.tensorrt_llm", 64}, {"triton.tensorrt_llm", 512}} {
		b.Run(fmt.Sprintf("%s/burst/streams=%d", c.dialect, c.streams), func(b *testing.B) {
			s := script.Script{Dialect: c.dialect, Load: "waves", Cell: fmt.Sprintf("wave=%d", c.streams),
				Concurrency: c.streams, Requests: c.streams, Tokens: 64, TTFT: 2 * step, Gap: step, Step: step}
			p := open(b, s, replay.Options{Pin: true})
			s.Dialect = "openai.completions"
			limit := open(b, s, replay.Options{Pin: true})
			loop := dialBare(b, limit, c.streams)
			var ours, bares time.Duration
			var chunks, bareChunks int
			var run *workload.Run
			for b.Loop() {
				before := cpuTime()
				require.NoError(b, loop.run())
				bares += cpuTime() - before
				bareChunks += c.streams * (s.Tokens + 2)
				run, _ = p.play(b)
				ours, chunks = ours+run.Witness.CPU, chunks+c.streams*(s.Tokens+2)
			}
			b.ReportMetric(0, "ns/op")
			each, limitEach := us(ours)/float64(chunks), us(bares)/float64(bareChunks)
			b.ReportMetric(each, "cpu-us/chunk")
			b.ReportMetric(limitEach, "bare-cpu-us/chunk")
			b.ReportMetric(each/limitEach, "times-bare")
			b.ReportMetric(float64(run.Witness.GCCycles), "gc-cycles")
		})
	}
}
