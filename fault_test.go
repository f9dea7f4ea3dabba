package enginebench_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/fixtures"
	"enginebench/fixtures/fault"
	"enginebench/fixtures/replay"
	"enginebench/fixtures/script"
)

// patience bounds what is awaited.
const patience = 20 * time.Second

// invocation is this test binary, run as go test -bench=. does.
type invocation struct {
	cmd    *exec.Cmd
	ended  chan struct{}
	stdout lockedBuffer
	stderr lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// begin starts the binary under the limits that a shell's words set, if any.
func begin(t *testing.T, limits string, args ...string) *invocation {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	args = append([]string{exe, "-test.run=^$", "-test.bench=.", "-test.benchtime=1x"}, args...)
	if limits != "" {
		args = append([]string{"sh", "-c", limits + `; exec "$0" "$@"`}, args...)
	}
	p := &invocation{cmd: exec.Command(args[0], args[1:]...), ended: make(chan struct{})}
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	require.NoError(t, p.cmd.Start())
	go func() { p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() { p.cmd.Process.Kill(); <-p.ended })
	return p
}

// code awaits the end and gives the exit code.
func (p *invocation) code(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatalf("it does not end:\n%s%s", &p.stdout, &p.stderr)
	}
	return p.cmd.ProcessState.ExitCode()
}

// lines are the result lines of a cell.
func (p *invocation) lines(cell string) []string {
	return regexp.MustCompile(`(?m)^BenchmarkServe/engine=\w+/`+regexp.QuoteMeta(cell)+`(-\d+)?\s.*tokens/s.*$`).FindAllString(p.stdout.String(), -1)
}

// await polls for what tells nobody when it happens.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// cell is a scripted cell of an engine called vllm.
func cell(t *testing.T, concurrency int, f fault.Fault, change ...func(*script.Script)) *fixtures.Recording {
	t.Helper()
	s := script.Script{Engine: "vllm", Dialect: "openai.completions", Concurrency: concurrency, Requests: 11 * concurrency, Tokens: 4,
		TTFT: 5 * time.Millisecond, Gap: 2 * time.Millisecond}
	for _, c := range change {
		c(&s)
	}
	rec, err := s.Recording()
	require.NoError(t, err)
	if f != "" {
		rec, err = fault.Apply(rec, f, fault.Every)
		require.NoError(t, err)
	}
	return rec
}

// slow is a cell whose replies begin after ten minutes.
func slow(s *script.Script) { s.TTFT = 10 * time.Minute }

// oneToken is a cell that a live run with -output-tokens=1 asks for, whatever
// lengths it draws.
func oneToken(s *script.Script) { s.Tokens = 1 }

// recorded puts recordings into a directory for -replay.
func recorded(t *testing.T, all ...*fixtures.Recording) string {
	t.Helper()
	dir := t.TempDir()
	for _, rec := range all {
		_, err := fixtures.Write(dir, rec)
		require.NoError(t, err)
	}
	return dir
}

// live is a server that plays recordings and is asked as a live engine is.
func live(t *testing.T, all ...*fixtures.Recording) (server *replay.Server, flag string) {
	t.Helper()
	server, err := replay.Start(context.Background(), all, replay.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	return server, "-engine=vllm=" + server.URL("vllm")
}

// Package testing repeats no cell that failed at once, and forgets one that
// failed later: the exit code must not.
func TestAFailingCellHidesNoOther(t *testing.T) {
	t.Parallel()
	p := begin(t, "", "-replay="+recorded(t, cell(t, 1, ""), cell(t, 2, fault.ErrorEventDone), cell(t, 4, "")), "-test.count=3")
	require.Equal(t, 1, p.code(t))
	require.Len(t, p.lines("concurrency=1"), 3)
	require.Empty(t, p.lines("concurrency=2"))
	require.Len(t, p.lines("concurrency=4"), 3)
	require.Regexp(t, `INVALID: .*engine-error: the engine reports: EngineCore encountered an issue`, p.stdout.String())
	require.Contains(t, p.stderr.String(), "1 runs of cells failed")
}

func TestARunThatFailsAfterTheFirstIsNotForgotten(t *testing.T) {
	t.Parallel()
	server, engine := live(t, cell(t, 1, "", oneToken, func(s *script.Script) { s.TTFT = 100 * time.Millisecond }))
	p := begin(t, "", engine, "-output-tokens=1", "-concurrency=1", "-test.count=3")
	await(t, "the first run's line", func() bool { return len(p.lines("concurrency=1")) == 1 })
	require.NoError(t, server.Close())
	require.Equal(t, 1, p.code(t))
	require.Len(t, p.lines("concurrency=1"), 1)
	require.Contains(t, p.stderr.String(), "2 runs of cells failed")
}

func TestAServerThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, flag string
		rec        *fixtures.Recording
	}{
		{"before it answers", "-ttft-timeout=300ms", cell(t, 2, fault.StallAtOnce)},
		{"in the middle", "-idle-timeout=300ms", cell(t, 2, fault.Stall)},
		{"in a run that takes too long", "-run-timeout=300ms", cell(t, 2, "", slow)},
		{"in a reply that takes too long", "-request-timeout=300ms", cell(t, 2, "", slow)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := begin(t, "", "-replay="+recorded(t, cell(t, 1, ""), test.rec), test.flag)
			require.Equal(t, 1, p.code(t))
			require.Len(t, p.lines("concurrency=1"), 1)
			require.Empty(t, p.lines("concurrency=2"))
			name, _, _ := strings.Cut(test.flag, "=")
			require.Contains(t, p.stdout.String(), name)
		})
	}
}

func TestAnInterruptKeepsWhatWasMeasured(t *testing.T) {
	t.Parallel()
	p := begin(t, "", "-replay="+recorded(t, cell(t, 1, ""), cell(t, 16, "", slow), cell(t, 32, "")))
	child := p.inFlight(t, 16)
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	require.Equal(t, 130, p.code(t))
	require.Len(t, p.lines("concurrency=1"), 1)
	require.Contains(t, p.stdout.String(), "the run was given up: cancelled: interrupted")
	require.Contains(t, p.stdout.String(), "not measured: cancelled: interrupted", "the cell that was not begun")
	require.NotContains(t, p.stdout.String(), "the server is gone")
	require.Contains(t, p.stderr.String(), "interrupted: 1 runs of cells measured, 2 failed")
	await(t, "the end of the replay server", func() bool { return !alive(child) })
}

func TestAReplayServerEndsWithItsParent(t *testing.T) {
	t.Parallel()
	p := begin(t, "", "-replay="+recorded(t, cell(t, 16, "", slow)))
	child := p.inFlight(t, 16)
	require.NoError(t, p.cmd.Process.Kill())
	await(t, "the end of the replay server", func() bool { return !alive(child) })
}

func TestAnInterruptEndsAPreflight(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "grpc"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer l.Close()
			p := begin(t, "", fmt.Sprintf("-engine=vllm=%s://%s", scheme, l.Addr()))
			conn, err := l.Accept() // and never a word
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
			require.Equal(t, 130, p.code(t))
			require.Contains(t, p.stderr.String(), "interrupted")
			require.Equal(t, 1, strings.Count(p.stderr.String(), "\n"), p.stderr.String())
		})
	}
}

func TestAServerThatDiesCostsTheCellsThatFollow(t *testing.T) {
	t.Parallel()
	server, engine := live(t, cell(t, 1, "", oneToken), cell(t, 2, "", oneToken, slow), cell(t, 4, "", oneToken))
	p := begin(t, "", engine, "-output-tokens=1", "-concurrency=1,2,4")
	await(t, "the first cell's line", func() bool { return len(p.lines("concurrency=1")) == 1 })
	require.NoError(t, server.Close())
	require.Equal(t, 1, p.code(t))
	require.Len(t, p.lines("concurrency=1"), 1)
	require.Contains(t, p.stdout.String(), "connection refused")
	require.Contains(t, p.stderr.String(), "2 runs of cells failed")
}

// needsProc skips a test that must look at other processes.
func needsProc(t *testing.T) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("this system has no /proc")
	}
}

// inFlight awaits that the invocation has n connections, one a slot, and gives
// the process id of its replay server.
func (p *invocation) inFlight(t *testing.T, n int) (child int) {
	t.Helper()
	needsProc(t)
	await(t, "requests in flight", func() bool { return sockets(p.cmd.Process.Pid) >= n })
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state ppid …; a name may hold anything.
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if fields[1] == strconv.Itoa(p.cmd.Process.Pid) {
			child, err = strconv.Atoi(strings.Split(path, "/")[2])
			require.NoError(t, err)
		}
	}
	require.NotZero(t, child, "it has no replay server")
	return child
}

func sockets(pid int) (n int) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, _ := os.ReadDir(dir) // none once it has ended
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

// alive reports whether a process is there and is more than a zombie.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.HasPrefix(b[bytes.LastIndexByte(b, ')')+1:], []byte(" Z"))
}

func TestTooFewFilesForTheSlotsIsSaidBeforeAnythingIsMeasured(t *testing.T) {
	t.Parallel()
	_, engine := live(t, cell(t, 1, "", oneToken), cell(t, 64, "", oneToken))
	p := begin(t, "ulimit -n 80", engine, "-output-tokens=1", "-concurrency=1,64")
	require.Equal(t, 2, p.code(t), "%s%s", &p.stdout, &p.stderr)
	require.Contains(t, p.stderr.String(), "64 slots need 96 open files and 80 are allowed: raise the limit (ulimit -n)")
	require.Empty(t, p.stdout.String())

	p = begin(t, "ulimit -n 80", engine, "-output-tokens=1", "-concurrency=1")
	require.Zero(t, p.code(t), "%s%s", &p.stdout, &p.stderr)
}

// A limit on the size of files is a disk that is full: what was measured is
// printed, what could not be written is said, and no part of a file stays.
func TestADiskThatIsFullCostsNoNumbers(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"-record", "-samples"} {
		t.Run(flag, func(t *testing.T) {
			t.Parallel()
			_, engine := live(t, cell(t, 2, "", oneToken))
			dir := t.TempDir()
			p := begin(t, "ulimit -f 1", engine, "-output-tokens=1", "-concurrency=2", flag+"="+dir)
			require.Equal(t, 1, p.code(t))
			require.Contains(t, p.stderr.String(), "1 files of cells were not written")
			require.Len(t, p.lines("concurrency=2"), 1, "%s%s", &p.stdout, &p.stderr)
			require.Contains(t, p.stdout.String(), "could not save the "+strings.TrimPrefix(flag, "-")[:6])
			require.Contains(t, p.stdout.String(), "file too large")
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, entries, "whole files or none")
		})
	}
}

func TestResultsThatStdoutDoesNotTakeAreNotLostInSilence(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no /dev/full")
	}
	replay := "-replay=" + recorded(t, cell(t, 1, ""), cell(t, 2, ""))
	for _, test := range []struct{ name, stdout, says string }{
		{"a disk that is full", "exec >/dev/full", "no space left"},
		{"stdout is closed", "exec >&-", "stdout is closed"},
		{"a disk that fills up", "ulimit -f 4; exec >out", "lines of results are lost"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := begin(t, test.stdout, replay, "-test.count=9")
			require.Equal(t, 2, p.code(t), &p.stderr)
			require.Contains(t, p.stderr.String(), test.says)
			require.Equal(t, 1, strings.Count(p.stderr.String(), "\n"), &p.stderr)
		})
	}
	for _, stdout := range []string{"exec >/dev/null", "exec >out", "exec >>out"} {
		t.Run(stdout, func(t *testing.T) {
			t.Parallel()
			p := begin(t, stdout, replay)
			require.Zero(t, p.code(t), &p.stderr)
		})
	}
}
