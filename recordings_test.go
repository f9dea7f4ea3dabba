package enginebench

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"enginebench/engines/catalog"
	"enginebench/fixtures"
	"enginebench/workload"
	"enginebench/workload/prompts"
)

// eachRecording calls check with every recording that the repository keeps.
func eachRecording(t *testing.T, check func(t *testing.T, name string, rec *fixtures.Recording)) {
	t.Helper()
	found := 0
	fsys := os.DirFS("fixtures/recordings")
	require.NoError(t, fs.WalkDir(fsys, ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, fixtures.Extension) {
			return err
		}
		found++
		rec, err := fixtures.Load(fsys, name)
		require.NoError(t, err)
		check(t, name, rec)
		return nil
	}))
	require.GreaterOrEqual(t, found, 14)
}

// foreign is what must not be in a recording: signs of credentials, and paths
// of the machine that it was made on.
var foreign = []string{"authorization", "bearer ", "api-key", "api_key"}

var absolutePath = regexp.MustCompile(`"/[a-z]+/[^" ]*"`)

var keys = regexp.MustCompile(`\b(sk-|hf_|nvapi-)[A-Za-z0-9]{8}`)

func requireClean(t *testing.T, text, name string) {
	t.Helper()
	lower := strings.ToLower(text)
	for _, sign := range foreign {
		require.NotContains(t, lower, sign, name)
	}
	require.NotRegexp(t, keys, text, name)
	require.NotRegexp(t, absolutePath, text, name)
}

func TestTheRecordingsHoldNoCredentialNoPathAndNoPrompt(t *testing.T) {
	pool, err := prompts.Open("synthetic:in=128", 42)
	require.NoError(t, err)
	eachRecording(t, func(t *testing.T, name string, rec *fixtures.Recording) {
		require.Equal(t, pool.Hash(), rec.Header.Prompts, "%s: of made-up prompts, not of people's", name)
		header, err := json.Marshal(rec.Header)
		require.NoError(t, err)
		requireClean(t, string(header), name)
		for _, x := range rec.Header.Info.Exchanges {
			requireClean(t, string(x.Body), name+": "+x.Method)
			requireClean(t, string(x.Asked), name+": "+x.Method)
		}
		for _, r := range rec.Requests {
			require.Empty(t, r.Asked.Tokens, name)
			require.Empty(t, r.Asked.Text, name)
			requireClean(t, string(r.Capture.Data), fmt.Sprint(name, " request ", r.Index))
			for key := range r.Capture.Head.Header {
				requireClean(t, key, name)
			}
		}
	})
}

func TestTheRecordingsAreOfWhatTheirNamesSay(t *testing.T) {
	eachRecording(t, func(t *testing.T, name string, rec *fixtures.Recording) {
		require.True(t, strings.HasSuffix(name, fixtures.FileName(&rec.Header)), name)
		if rec.Header.GRPC() {
			require.NotEqual(t, "triton", rec.Header.Engine, "a vLLM core behind Triton is not TRT-LLM")
			require.Contains(t, rec.Header.Info.Server, "vLLM 0.32.0 engine core")
		}
		run, err := workload.FromRecording(rec)
		require.NoError(t, err)
		decoder, err := catalog.Decoder(rec.Header.Info.Dialect)
		require.NoError(t, err)
		out := workload.Decode(run, rec.Header.Engine, decoder, rec.Header.Info)
		summary := workload.Summarize(out)
		require.Equal(t, summary.Sent, summary.OK, "%s: %v", name, summary.ByClass)
		for _, s := range out.Samples {
			require.Equal(t, s.Wanted, *s.Tokens, "%s: request %d", name, s.Index)
		}
	})
}

// What stands in one directory is replayed together.
func TestTheRecordingsOfADirectoryCanBeReplayedTogether(t *testing.T) {
	together := map[string][]*fixtures.Recording{}
	eachRecording(t, func(t *testing.T, name string, rec *fixtures.Recording) {
		together[path.Dir(name)] = append(together[path.Dir(name)], rec)
	})
	for dir, all := range together {
		require.NoError(t, alike(all), dir)
	}
}
