package tgi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/engines/capture"
)

// token is an event as TGI writes it: no space after the colon.
func token(id int, text string, special bool, details string) string {
	return fmt.Sprintf(`data:{"index":1,"token":{"id":%d,"text":%q,"logprob":-0.5,"special":%v},"generated_text":null,"details":%s}`+"\n\n", id, text, special, details)
}

func details(finish string, generated int) string {
	return fmt.Sprintf(`{"finish_reason":%q,"generated_tokens":%d,"seed":null,"input_length":9}`, finish, generated)
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

func TestDecodeReadsATokenAnEvent(t *testing.T) {
	d, ok := Decoder(Dialect)
	require.True(t, ok)
	got := d.Decode(reply(token(5, "a", false, "null"), ":\n\n"+token(6, "b", false, "null"), token(2, "</s>", true, details("eos_token", 3))))
	require.Equal(t, engines.Reply{
		Events: []engines.Event{{Arrival: time.Millisecond, Tokens: 1}, {Arrival: 2 * time.Millisecond, Tokens: 1, Chunk: 1}, {Arrival: 3 * time.Millisecond, Tokens: 1, Chunk: 2}},
		Tokens: 3, Counted: "token ids", PromptTokens: 9, CachedTokens: -1, Finish: "eos_token", IDs: []int32{5, 6, 2}, Text: "ab",
	}, got)

	got = d.Decode(reply(token(5, "a", false, details("length", 2))))
	require.Nil(t, got.Err)
	require.Equal(t, 2, got.Tokens)
	require.Equal(t, "details", got.Counted)
	require.Equal(t, []string{"the engine counts 2 output tokens and sent 1"}, got.Warnings)
}

func TestDecodeClassesFailures(t *testing.T) {
	a := token(5, "a", false, "null")
	for _, test := range []struct {
		name, body string
		status     int
		class      engines.Class
		says       string
		events     int
	}{
		{"an error event", a + `data:{"error":"Request failed during generation","error_type":"generation"}` + "\n\n", 200, engines.EngineError, "Request failed", 1},
		{"no details", a, 200, engines.Incomplete, "", 1},
		{"malformed JSON", a + "data:{\n\n", 200, engines.Protocol, "event 2", 1},
		{"nothing", "", 200, engines.Incomplete, "", 0},
		{"a web page", "<html>x</html>", 200, engines.Protocol, "a web page", 0},
		{"an invalid request", `{"error":"Input validation error: inputs too long","error_type":"validation"}`, 422, engines.Rejected, "inputs too long", 0},
		{"overload", `{"error":"Model is overloaded","error_type":"overloaded"}`, 429, engines.Throttled, "overloaded", 0},
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
	f.Add([]byte(token(5, "a", false, details("length", 1))), true)
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

func open(t *testing.T, address string) *Engine {
	t.Helper()
	spec, err := engines.ParseSpec("t=" + address)
	require.NoError(t, err)
	e, err := New(spec)
	require.NoError(t, err)
	return e.(*Engine)
}

func TestDescribe(t *testing.T) {
	about := atomic.Value{}
	about.Store(`{"model_id":"m","version":"3.3.6","max_concurrent_requests":128,"max_input_tokens":1023,"max_total_tokens":2048}`)
	bodies := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/info":
			io.WriteString(w, about.Load().(string))
		case "/generate_stream":
			raw, _ := io.ReadAll(r.Body)
			bodies <- string(raw)
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, token(5, "a", false, details("length", 1)))
		case "/metrics":
			io.WriteString(w, "# TYPE tgi_request_queue_duration histogram\ntgi_request_queue_duration_bucket{le=\"+Inf\"} 2\ntgi_request_queue_duration_sum 0.5\ntgi_request_queue_duration_count 2\n")
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	e := open(t, "tgi+"+s.URL)
	info, err := e.Describe(context.Background())
	require.NoError(t, err)
	require.Len(t, info.Exchanges, 2)
	require.Len(t, info.Warnings, 2)
	info.Exchanges, info.Warnings = nil, nil
	require.Equal(t, engines.Info{Version: "3.3.6", Model: "m", Server: "TGI", Protocol: "http/1.1 sse", Dialect: Dialect, MaxModelLen: 2048, MaxConcurrency: 128, Counts: "token ids", PerEvent: true}, info)
	require.Equal(t, `{"inputs":"Count from one to ten: one, two, three,","parameters":{"max_new_tokens":1,"do_sample":false,"repetition_penalty":1,"frequency_penalty":0,"return_full_text":false,"details":true}}`, <-bodies)

	got, err := e.Counters(context.Background())
	require.NoError(t, err)
	require.Equal(t, engines.Counters{engines.QueueSecondsSum: 0.5, engines.QueueCount: 2}, got)

	about.Store(`{}`)
	_, err = e.Describe(context.Background())
	require.ErrorContains(t, err, "is it a TGI server?")
}

func TestNewAndEncodeRefuseWhatTGIDoesNotTake(t *testing.T) {
	spec, err := engines.ParseSpec("t=tgi+http://localhost:8080?model=x")
	require.NoError(t, err)
	_, err = New(spec)
	require.ErrorContains(t, err, `unknown option "model"; a TGI engine takes proxy`)
	_, err = open(t, "tgi+http://localhost:8080").Encode(engines.Request{Tokens: []int32{1}})
	require.ErrorContains(t, err, "no text")
}
