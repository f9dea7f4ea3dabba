package truth_test

import (
	"fmt"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/fixtures"
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

// quietly is the CPU time of f, in which no garbage is collected and no memory
// given back, as in a run of the client.
func quietly(f func() error) (time.Duration, error) {
	debug.FreeOSMemory()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	before := cpuTime()
	err := f()
	return cpuTime() - before, err
}

// chunksOf is how many chunks the replies of a recording's cell have.
func chunksOf(rec *fixtures.Recording) (n int) {
	for _, r := range rec.Requests {
		if r.Cell == rec.Header.Cell {
			n += len(r.Capture.Chunks)
		}
	}
	return n
}

// BenchmarkClient is what a chunk costs the client, beside bare loops that
// receive the same replies over the same protocol in the same run: CPU time of
// the process a chunk written, all of it, so of requests and connections'
// upkeep too, how many chunks fit into a second of it, and allocations, of ours
// and the library's.
//
// The bare loop is a goroutine a connection; on Linux, where an epoll loop is
// beside it, that one is what the kernel alone takes for a chunk. Of gRPC they
// read the frames of HTTP/2 and know no more of them than where they end. Their
// requests are made beforehand and shorter, and they keep nothing.
//
//	go test -bench=Client -benchtime=1x -count=3 ./workload/truth
func BenchmarkClient(b *testing.B) {
	const step = 50 * time.Millisecond
	for _, c := range []struct {
		dialect string
		streams int
	}{{"openai.completions", 64}, {"openai.completions", 1024}, {"openai.completions", 2048}, {"triton.tensorrt_llm", 64}, {"triton.tensorrt_llm", 512}} {
		b.Run(fmt.Sprintf("%s/burst/streams=%d", c.dialect, c.streams), func(b *testing.B) {
			p := open(b, script.Script{Dialect: c.dialect, Load: "waves", Cell: fmt.Sprintf("wave=%d", c.streams),
				Concurrency: c.streams, Requests: c.streams, Tokens: 64, TTFT: 2 * step, Gap: step, Step: step}, replay.Options{Pin: true})
			bares := map[string]*bare{}
			for name, dial := range bareLoops {
				bares[name] = dialBare(b, p, c.streams, dial)
			}
			var ours time.Duration
			theirs := map[string]time.Duration{}
			chunks, allocs := 0, 0
			var run *workload.Run
			for b.Loop() {
				for name, bare := range bares {
					receive := bare.prepare()
					spent, err := quietly(func() error { _, err := receive(); return err })
					require.NoError(b, err)
					theirs[name] += spent
				}
				run, _ = p.play(b)
				ours += run.Witness.CPU
				allocs += run.Witness.Allocs
				chunks += chunksOf(p.Recording)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(us(ours)/float64(chunks), "cpu-us/chunk")
			b.ReportMetric(float64(chunks)/ours.Seconds(), "chunks/cpu-s")
			b.ReportMetric(float64(allocs)/float64(chunks), "allocs/chunk")
			for name, spent := range theirs {
				b.ReportMetric(us(spent)/float64(chunks), name+"-cpu-us/chunk")
				b.ReportMetric(float64(ours)/float64(spent), "times-"+name)
			}
			b.ReportMetric(float64(run.Witness.GCCycles), "gc-cycles")
		})
	}
}
