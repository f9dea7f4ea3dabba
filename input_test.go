package enginebench_test

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// invoke runs this test binary as go test -bench=. does.
func invoke(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), exe, append([]string{"-test.run=^$", "-test.bench=.", "-test.benchtime=1x"}, args...)...)
	cmd.Dir = t.TempDir()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func TestBadInputEndsWithOneLineBeforeAnythingIsMeasured(t *testing.T) {
	nobody := closedPort(t)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	host := strings.TrimPrefix(plain.URL, "http://")
	broken := filepath.Join(t.TempDir(), "prompts.jsonl")
	require.NoError(t, os.WriteFile(broken, []byte("{\"format\":\"enginebench prompts 1\",\"count\":1,\"hash\":\"0\"}\n{not json\n"), 0o644))
	empty := t.TempDir()
	recordings := recorded(t, cell(t, 1, ""), cell(t, 4, ""))

	for _, test := range []struct {
		name string
		args []string
		says string
	}{
		{"server not there", []string{"-engine=vllm=http://" + nobody}, "no server listens on"},
		{"no gRPC server there", []string{"-engine=triton=grpc://" + nobody}, "refused"},
		{"plain HTTP where Triton was asked for", []string{"-engine=triton=grpc://" + host}, "http://"},
		{"another HTTP server", []string{"-engine=vllm=" + plain.URL}, "/v1/models"},
		{"an engine without a scheme", []string{"-engine=vllm=127.0.0.1:8000"}, "write vllm=http://127.0.0.1:8000"},
		{"an engine without a scheme, by name", []string{"-engine=vllm=localhost:8000/v1"}, "write vllm=http://localhost:8000/v1"},
		{"unknown flag", []string{"-concurency=1"}, "flag provided but not defined: -concurency; -h"},
		{"a flag's value", []string{"-requests=x"}, "-requests: parse error; -h"},
		{"unknown scheme", []string{"-engine=vllm=ftp://x"}, "no protocol has the scheme \"ftp\""},
		{"engine without a URL", []string{"-engine=vllm"}, "want name=url"},
		{"engine name that a benchmark's cannot hold", []string{"-engine=VLLM-2=http://" + nobody}, "[a-z][a-z0-9_.]*"},
		{"a credential in a URL", []string{"-engine=vllm=http://user:pass@" + nobody}, "VLLM_API_KEY"},
		{"concurrency of 0", []string{"-concurrency=0"}, "-concurrency: level \"0\""},
		{"concurrency that is no number", []string{"-concurrency=1,x"}, "level \"x\""},
		{"a level twice", []string{"-concurrency=1,1"}, "stands there twice"},
		{"unknown load", []string{"-load=square"}, "closed, waves, or rate=N"},
		{"an open loop with a concurrency", []string{"-load=rate=8", "-concurrency=4"}, "contradict each other"},
		{"replay and engine", []string{"-replay=" + empty, "-engine=vllm=http://" + nobody}, "contradict each other"},
		{"replay with other prompts", []string{"-replay=" + empty, "-prompts=synthetic:in=4"}, "-prompts: what is replayed fixes it"},
		{"replay of nothing", []string{"-replay=" + empty}, "no recording to play in " + empty},
		{"replay of what is not there", []string{"-replay=nowhere"}, "-replay=nowhere: there is no such directory"},
		{"replay of what is no recording", []string{"-replay=" + broken}, "read recording prompts.jsonl"},
		{"replay at a level that is not recorded", []string{"-replay=" + recordings, "-concurrency=4,3"}, "level 3 is not recorded, only 1, 4 are"},
		{"no output tokens", []string{"-output-tokens=0"}, "-output-tokens: must be greater than 0"},
		{"no requests", []string{"-requests=0"}, "-requests"},
		{"fewer requests than slots", []string{"-engine=vllm=http://" + nobody, "-requests=20"}, "-requests=20: concurrency=32 has 32 slots"},
		{"no whole wave", []string{"-engine=vllm=http://" + nobody, "-load=waves", "-concurrency=1,8", "-requests=20"}, "-requests=20: wave=8 sends whole waves"},
		{"a negative deadline", []string{"-idle-timeout=-1s"}, "-idle-timeout"},
		{"an impossible budget", []string{"-max-errors=200%"}, "-max-errors"},
		{"unknown metrics", []string{"-metrics=some"}, "default or all"},
		{"a stray argument", []string{"vllm", "-concurrency=1"}, "stray argument \"vllm\""},
		{"a secret in a header", []string{"-header=Authorization: Bearer x"}, "environment"},
		{"a header without a value", []string{"-header=X"}, "Name: value"},
		{"a description that is the run's own", []string{"-describe=seed=1"}, "the run's own"},
		{"prompts that are not there", []string{"-engine=vllm=" + plain.URL, "-prompts=nowhere.jsonl"}, "nowhere.jsonl"},
		{"prompts with a broken line", []string{"-engine=vllm=" + plain.URL, "-prompts=" + broken}, "line 2"},
		{"certificates that are not there", []string{"-engine=vllm=https://" + nobody, "-ca=nowhere.pem"}, "nowhere.pem"},
		{"certificates that no engine needs and are not there", []string{"-engine=vllm=" + plain.URL, "-ca=nowhere.pem"}, "-ca: read certificates to trust: open nowhere.pem"},
		{"certificates that are none", []string{"-engine=vllm=" + plain.URL, "-ca=" + broken}, "no PEM certificate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := invoke(t, test.args...)
			require.Equal(t, 2, code, "%s%s", stdout, stderr)
			require.Contains(t, stderr, test.says)
			require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
			require.True(t, strings.HasPrefix(stderr, "# enginebench: "), stderr)
			require.Empty(t, stdout)
		})
	}
}

func TestWithoutABenchmarkNoEngineIsAsked(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), exe, "-test.run=^$", "-engine=vllm=http://"+closedPort(t)).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NotContains(t, string(out), "Unit ")
}

// The child's -skip leaves it one test, so that one which runs tests against
// its orders does not run this one too.
func TestABenchmarkRunsTestsOnlyIfRunSaysSo(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	const one = "TestSelectsAsPackageTestingDoes"
	args := []string{"-test.bench=.", "-replay=" + recorded(t, cell(t, 1, "")), "-test.v", "-test.skip=^(Example|Fuzz|Test([^S]|S[^e]))"}
	for _, test := range []struct {
		name string
		args []string
		runs bool
	}{
		{"not given", nil, false},
		{"given", []string{"-test.run=" + one}, true},
		{"given as every test", []string{"-test.run="}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), exe, append(args, test.args...)...).CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), "BenchmarkServe/engine=vllm/concurrency=1")
			require.Equal(t, test.runs, strings.Contains(string(out), one), "%s", out)
		})
	}
}

func TestOneRecordingIsReplayedFromItsFile(t *testing.T) {
	dir := recorded(t, cell(t, 1, ""), cell(t, 2, ""))
	stdout, stderr, code := invoke(t, "-replay="+filepath.Join(dir, "vllm.concurrency=2.jsonl.gz"))
	require.Zero(t, code, "%s%s", stdout, stderr)
	require.Equal(t, 1, strings.Count(stdout, "\nBenchmarkServe/"), stdout)
	require.Contains(t, stdout, "BenchmarkServe/engine=vllm/concurrency=2")
}

func TestOnlySelectedCellsAreHeldAgainstTheFlags(t *testing.T) {
	server, _ := counting(t)
	p := begin(t, "ulimit -n 80", "-engine=fake="+server.URL, "-test.bench=Serve/fake/concurrency=1$", "-requests=20", "-output-tokens=2")
	require.Zero(t, p.code(t), "%s%s", &p.stdout, &p.stderr)
	require.Len(t, p.lines("concurrency=1"), 1)
}

func TestHelpListsTheFlags(t *testing.T) {
	_, stderr, code := invoke(t, "-h")
	require.Zero(t, code)
	require.Contains(t, stderr, "-engine name=url")
	require.Contains(t, stderr, "-test.count")
}

func TestTheCommandIsOneThatReproduces(t *testing.T) {
	server, _ := counting(t)
	samples := t.TempDir()
	stdout, stderr, code := invoke(t, "-engine=fake="+server.URL, "-concurrency=1", "-output-tokens=2", "-samples="+samples, "-record=recordings")
	require.Zero(t, code, "%s%s", stdout, stderr)
	want := "# command: go test "
	if info, _ := debug.ReadBuildInfo(); slices.Contains(info.Settings, debug.BuildSetting{Key: "-tags", Value: "live"}) {
		want += "-tags=live "
	}
	want += "-concurrency=1 -engine=fake=" + server.URL + " -output-tokens=2 -record=recordings -samples='…/" + filepath.Base(samples) + "' -bench=. -benchtime=1x -run='^$'\n"
	require.Contains(t, stdout, want)
}
