package ollama

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/engines/capture"
)

const last = `{"model":"m","done":true,"done_reason":"length","total_duration":5,"prompt_eval_count":9,"eval_count":3}` + "\n"

func part(text string) string {
	return `{"model":"m","created_at":"2026-01-01T00:00:00Z","response":"` + text + `","done":false}` + "\n"
}

// reply makes a cleanly ended capture whose chunk i arrived at i+1 ms.
func reply(chunks ...string) *capture.Capture {
	c := &capture.Capture{Head: capture.Head{Status: 200}, Trailer: capture.Trailer{Clean: true}}
	for i, chunk := range chunks {
		at := time.Duration(i+1) * time.Millisecond
		c.Append([]byte(chunk), at, at)
	}
	return c
}

func TestDecodeReadsLines(t *testing.T) {
	d, ok := Decoder(Dialect)
	require.True(t, ok)
	a, b := part("a"), part("b")
	got := d.Decode(reply(a+b[:9], b[9:], part(""), last))
	require.Equal(t, engines.Reply{
		Events: []engines.Event{{Arrival: time.Millisecond}, {Arrival: 2 * time.Millisecond, Chunk: 1}},
		Tokens: 3, Counted: "eval_count", PromptTokens: 9, CachedTokens: -1, Finish: "length", Text: "ab",
	}, got)

	got = d.Decode(reply(`{"thinking":"t","done":false}` + "\n" + part("a") + `{"done":true}` + "\n"))
	require.Nil(t, got.Err)
	require.Len(t, got.Events, 2)
	require.Equal(t, "ta", got.Text)
	require.Equal(t, "", got.Counted)
}

func TestDecodeClassesFailures(t *testing.T) {
	for _, test := range []struct {
		name, body string
		status     int
		class      engines.Class
		says       string
		events     int
	}{
		{"an error line", part("a") + `{"error":"model runner has stopped"}` + "\n", 200, engines.EngineError, "model runner has stopped", 1},
		{"no last line", part("a"), 200, engines.Incomplete, "", 1},
		{"zero tokens", last, 200, engines.Empty, "counts 3 tokens", 0},
		{"malformed JSON", part("a") + "{\"response\"\n" + last, 200, engines.Protocol, "line 2", 1},
		{"a web page", "<html>x</html>\n", 200, engines.Protocol, "a web page", 0},
		{"404", `{"error":"model 'x' not found"}`, 404, engines.Rejected, "model 'x' not found", 0},
		{"503", `{"error":"server busy"}`, 503, engines.Throttled, "server busy", 0},
		{"too large a line", part("a") + strings.Repeat("x", 16<<20+1), 200, engines.Oversize, "", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := reply(test.body)
			c.Head.Status = test.status
			got := decoder{}.Decode(c)
			require.NotNil(t, got.Err)
			require.Equal(t, test.class, got.Err.Class, got.Err.Error())
			require.Contains(t, got.Err.Error(), test.says)
			require.Len(t, got.Events, test.events)
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(part("a")+last), true)
	f.Add([]byte(`{"error":{}}`), false)
	f.Fuzz(func(t *testing.T, body []byte, clean bool) {
		c := reply(string(body))
		c.Trailer.Clean = clean
		got := decoder{}.Decode(c)
		if got.Err == nil {
			require.NotEmpty(t, got.Events)
		} else {
			require.True(t, got.Err.Class.Known())
		}
	})
}

// serve is an Ollama with some models that gives one token.
func serve(t *testing.T, tags string) (address string, bodies chan string) {
	bodies = make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/tags":
			io.WriteString(w, tags)
		case "/api/version":
			io.WriteString(w, `{"version":"0.12.0"}`)
		case "/api/generate":
			raw, _ := io.ReadAll(r.Body)
			bodies <- string(raw)
			io.WriteString(w, part("a")+last)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return "ollama+" + s.URL, bodies
}

func open(t *testing.T, address string) engines.Engine {
	t.Helper()
	spec, err := engines.ParseSpec("o=" + address)
	require.NoError(t, err)
	e, err := New(spec)
	require.NoError(t, err)
	return e
}

func TestDescribe(t *testing.T) {
	address, bodies := serve(t, `{"models":[{"name":"m:latest"}]}`)
	info, err := open(t, address+"?num_ctx=2048").Describe(context.Background())
	require.NoError(t, err)
	require.Len(t, info.Exchanges, 3)
	require.Len(t, info.Warnings, 3)
	info.Exchanges, info.Warnings = nil, nil
	require.Equal(t, engines.Info{Version: "0.12.0", Model: "m:latest", Server: "Ollama", Protocol: "http/1.1 ndjson", Dialect: Dialect, MaxModelLen: 2048, Counts: "eval_count"}, info)
	require.Equal(t, `{"model":"m:latest","prompt":"Count from one to ten: one, two, three,","raw":true,"stream":true,"truncate":false,"shift":false,"options":{"num_predict":1,"num_ctx":2048,"temperature":0,"top_k":1,"top_p":1,"min_p":0,"seed":0,"repeat_penalty":1,"presence_penalty":0,"frequency_penalty":0}}`, <-bodies)
}

func TestTheModelIsChosen(t *testing.T) {
	const two = `{"models":[{"name":"a:latest"},{"name":"b:7b"}]}`
	for _, test := range []struct{ tags, query, says string }{
		{two, "", "?model=NAME: a:latest, b:7b"},
		{two, "?model=c", "c is not there; there are: a:latest, b:7b"},
		{`{"models":[]}`, "", "ollama pull"},
	} {
		address, _ := serve(t, test.tags)
		_, err := open(t, address+test.query).Describe(context.Background())
		require.ErrorContains(t, err, test.says)
	}
	for query, model := range map[string]string{"?model=a": "a", "?model=b:7b": "b:7b"} {
		address, _ := serve(t, two)
		info, err := open(t, address+query).Describe(context.Background())
		require.NoError(t, err)
		require.Equal(t, model, info.Model)
	}
}

func TestNewAndEncodeRefuseWhatOllamaDoesNotTake(t *testing.T) {
	for query, says := range map[string]string{"?api=chat": `unknown option "api"; an Ollama engine takes model, num_ctx, proxy`, "?num_ctx=x": "want a number"} {
		spec, err := engines.ParseSpec("o=ollama+http://localhost:11434" + query)
		require.NoError(t, err)
		_, err = New(spec)
		require.ErrorContains(t, err, says)
	}
	_, err := open(t, "ollama+http://localhost:11434").Encode(engines.Request{Tokens: []int32{1}})
	require.ErrorContains(t, err, "no text")
}
