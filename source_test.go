package enginebench

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeEngine is an OpenAI-compatible server of one model that answers with as
// many tokens as it is asked for.
func fakeEngine(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"data":[{"id":"fake","max_model_len":1000}]}`)
	})
	mux.HandleFunc("POST /v1/completions", func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			MaxTokens int `json:"max_tokens"`
		}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range asked.MaxTokens {
			finish := "null"
			if i == asked.MaxTokens-1 {
				finish = `"length"`
			}
			fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"text\":\"t\",\"token_ids\":[%d],\"finish_reason\":%s}]}\n\n", i+1, finish)
			w.(http.Flusher).Flush()
		}
		fmt.Fprintf(w, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":%d}}\n\ndata: [DONE]\n\n", asked.MaxTokens)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// found looks for a source's engines as an invocation with these flags does.
func found(t *testing.T, source Source, args ...string) (*session, error) {
	t.Helper()
	s := &session{runs: map[string]int{}}
	s.set = map[string]bool{}
	f := flag.NewFlagSet("test", flag.ContinueOnError)
	s.options.register(f)
	require.NoError(t, f.Parse(args))
	f.Visit(func(f *flag.Flag) { s.set[f.Name] = true })
	var err error
	s.plan, err = s.check(f.Args())
	require.NoError(t, err)
	return s, s.findTargets(t.Context(), source)
}

func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return "http://" + l.Addr().String()
}

func TestADefaultEngineThatDoesNotAnswerIsNamedAndLeftOut(t *testing.T) {
	s, err := found(t, Live("dead="+nobody(t), "fake="+fakeEngine(t).URL))
	require.NoError(t, err)
	require.Len(t, s.targets, 1)
	require.Equal(t, "fake", s.targets[0].name)
	require.Len(t, s.notes, 1)
	require.Contains(t, s.notes[0], "left out: engine dead")
	require.Contains(t, s.notes[0], "no server listens")
}

func TestIfNoDefaultEngineAnswersEachReasonIsGiven(t *testing.T) {
	_, err := found(t, Live("one="+nobody(t), "two="+nobody(t)))
	require.ErrorContains(t, err, "no engine answered")
	require.ErrorContains(t, err, "engine one")
	require.ErrorContains(t, err, "; engine two")
	require.ErrorContains(t, err, "make servers")
	require.NotContains(t, err.Error(), "\n")
}

func TestAnEngineThatWasAskedForMustAnswer(t *testing.T) {
	_, err := found(t, Source{}, "-engine=fake="+fakeEngine(t).URL, "-engine=dead="+nobody(t))
	require.ErrorContains(t, err, "engine dead")
}

func TestTwoEnginesOfOneNameAreRefused(t *testing.T) {
	_, err := found(t, Source{}, "-engine=a="+nobody(t), "-engine=a="+nobody(t))
	require.ErrorContains(t, err, "two engines are called a")
}

func TestPromptsThatTheModelCannotTakeAreRefused(t *testing.T) {
	_, err := found(t, Source{}, "-engine=fake="+fakeEngine(t).URL, "-prompts=synthetic:in=600", "-output-tokens=500")
	require.ErrorContains(t, err, "do not fit into its 1000")
}

func TestACellHasTenRequestsASlotUnlessToldOtherwise(t *testing.T) {
	s, err := found(t, Source{}, "-engine=fake="+fakeEngine(t).URL, "-concurrency=1,4")
	require.NoError(t, err)
	require.Len(t, s.targets[0].cells, 2)
	require.Equal(t, "concurrency=4", s.targets[0].cells[1].name)
	require.Equal(t, 40, s.targets[0].cells[1].shape.Requests)
	s, err = found(t, Source{}, "-engine=fake="+fakeEngine(t).URL, "-load=rate=5", "-requests=7")
	require.NoError(t, err)
	require.Equal(t, "rate=5", s.targets[0].cells[0].name)
	require.Equal(t, 7, s.targets[0].cells[0].shape.Requests)
}

func TestTheCommandShowsNoSecretAndNoPathOfTheMachine(t *testing.T) {
	require.Equal(t, "X-Team: …", public("header", "X-Team: blue"))
	require.Equal(t, "…/prompts.jsonl", public("prompts", "/somewhere/else/prompts.jsonl"))
	require.Equal(t, "../prompts.jsonl", public("prompts", "../prompts.jsonl"))
	require.Equal(t, "results/samples", public("samples", "results/samples"))
	require.Equal(t, `-describe='gpu=A10G 24GB'`, quoted("describe", "gpu=A10G 24GB"))
	require.Equal(t, `-bench='it'\''s'`, quoted("bench", "it's"))
	require.Equal(t, "-seed=42", quoted("seed", "42"))
	require.False(t, strings.Contains(quoted("a", "b"), "'"))
}
