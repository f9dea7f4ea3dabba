package openai

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/engines/capture"
)

// reply makes a cleanly ended capture of status 200 whose chunk i arrived at
// i+1 ms.
func reply(chunks ...string) *capture.Capture {
	c := &capture.Capture{Head: capture.Head{Status: 200, Header: map[string][]string{"Content-Type": {"text/event-stream"}}}}
	for i, chunk := range chunks {
		at := time.Duration(i+1) * time.Millisecond
		c.Append([]byte(chunk), at, at)
	}
	c.Trailer = capture.Trailer{Arrival: time.Duration(len(chunks)) * time.Millisecond, Clean: true}
	return c
}

// data makes one event of a JSON text.
func data(json string) string { return "data: " + json + "\n\n" }

const end = "data: [DONE]\n\n"

// token is an event of /v1/completions with one token id, as vLLM 0.32 sends
// it.
func token(text, id, finish string) string {
	return data(`{"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":"` + text +
		`","logprobs":null,"finish_reason":` + finish + `,"stop_reason":null,"prompt_token_ids":null,"token_ids":` + id + `}]}`)
}

// total is vLLM's last event, with usage and no choices.
func total(prompt, completion string) string {
	return data(`{"id":"cmpl-1","object":"text_completion","choices":[],"usage":{"prompt_tokens":` + prompt + `,"total_tokens":0,"completion_tokens":` + completion + `}}`)
}

// ev is an event that arrived with chunk i of [reply].
func ev(i, tokens int) engines.Event {
	return engines.Event{Arrival: time.Duration(i+1) * time.Millisecond, Tokens: tokens, Chunk: i}
}

func TestDecodeCountsTokensByTheEnginesBestSource(t *testing.T) {
	usage := func(n string) string {
		return `,"usage":{"prompt_tokens":3,"total_tokens":9,"completion_tokens":` + n + `}`
	}
	text := func(text, finish, rest string) string {
		return data(`{"choices":[{"index":0,"text":"` + text + `","finish_reason":` + finish + `}]` + rest + `}`)
	}
	delta := func(delta, finish, rest string) string {
		return data(`{"object":"chat.completion.chunk","choices":[{"index":0,"delta":` + delta + `,"finish_reason":` + finish + rest + `}]}`)
	}
	for _, test := range []struct {
		name   string
		chunks []string
		want   engines.Reply
	}{
		{"token ids and usage, as vLLM sends them",
			[]string{token("a", "[1]", "null"), token("bc", "[2,3]", "null"), token("d", "[4]", `"length"`), total("3", "4"), end},
			engines.Reply{Events: []engines.Event{ev(0, 1), ev(1, 2), ev(2, 1)}, Tokens: 4, Counted: "token ids", PromptTokens: 3, Finish: "length", IDs: []int32{1, 2, 3, 4}, Text: "abcd"}},
		{"token ids without usage",
			[]string{token("a", "[1]", "null"), token("b", "[2]", `"stop"`), end},
			engines.Reply{Events: []engines.Event{ev(0, 1), ev(1, 1)}, Tokens: 2, Counted: "token ids", Finish: "stop", IDs: []int32{1, 2}, Text: "ab"}},
		{"an empty text that carries ids is a token event: half a character, a special token",
			[]string{token("", "[1]", "null"), token("é", "[2]", "null"), token("", "[3]", `"length"`), total("3", "3"), end},
			engines.Reply{Events: []engines.Event{ev(0, 1), ev(1, 1), ev(2, 1)}, Tokens: 3, Counted: "token ids", PromptTokens: 3, Finish: "length", IDs: []int32{1, 2, 3}, Text: "é"}},
		{"a text without ids among others with ids was counted before: held back for a stop string",
			[]string{token("a", "[1,2]", "null"), token("b", "[]", `"stop"`), total("3", "2"), end},
			engines.Reply{Events: []engines.Event{ev(0, 2)}, Tokens: 2, Counted: "token ids", PromptTokens: 3, Finish: "stop", IDs: []int32{1, 2}, Text: "ab"}},
		{"ids and usage that differ",
			[]string{token("a", "[1]", "null"), token("b", "[2]", `"stop"`), total("3", "3"), end},
			engines.Reply{Events: []engines.Event{ev(0, 1), ev(1, 1)}, Tokens: 3, Counted: "usage", PromptTokens: 3, Finish: "stop", IDs: []int32{1, 2}, Text: "ab",
				Warnings: []string{"the engine counts 3 output tokens, its events carry 2"}}},
		{"LMDeploy's name of ids",
			[]string{data(`{"choices":[{"index":0,"text":"a","gen_tokens":[7]}]}`), data(`{"choices":[{"index":0,"text":"b","gen_tokens":[8],"finish_reason":"length"}]}`)},
			engines.Reply{Events: []engines.Event{ev(0, 1), ev(1, 1)}, Tokens: 2, Counted: "token ids", Finish: "length", IDs: []int32{7, 8}, Text: "ab"}},
		{"usage on every event", // 1, 1+3=4, 4+0: no token, 4+1=5
			[]string{text("a", "null", usage("1")), text("bcd", "null", usage("4")), text("", "null", usage("4")), text("", `"length"`, usage("5")), total("3", "5"), end},
			engines.Reply{Events: []engines.Event{ev(0, 1), ev(1, 3), ev(3, 1)}, Tokens: 5, Counted: "usage", PromptTokens: 3, Finish: "length", Text: "abcd"}},
		{"usage at the end only",
			[]string{text("a", "null", ""), text("b", "null", ""), text("", `"stop"`, ""), total("3", "4"), end},
			engines.Reply{Events: []engines.Event{ev(0, 0), ev(1, 0)}, Tokens: 4, Counted: "usage", PromptTokens: 3, Finish: "stop", Text: "ab"}},
		{"usage on the event with the finish reason only is a total, and no token event",
			[]string{text("a", "null", ""), text("b", "null", ""), text("", `"stop"`, usage("4")), end},
			engines.Reply{Events: []engines.Event{ev(0, 0), ev(1, 0)}, Tokens: 4, Counted: "usage", PromptTokens: 3, Finish: "stop", Text: "ab"}},
		{"usage null on every event but the last",
			[]string{text("a", "null", `,"usage":null`), text("b", `"stop"`, `,"usage":null`), total("3", "2"), end},
			engines.Reply{Events: []engines.Event{ev(0, 0), ev(1, 0)}, Tokens: 2, Counted: "usage", PromptTokens: 3, Finish: "stop", Text: "ab"}},
		{"usage that falls is no running count",
			[]string{text("a", "null", usage("5")), text("b", `"stop"`, usage("2")), end},
			engines.Reply{Events: []engines.Event{ev(0, 0), ev(1, 0)}, Tokens: 2, Counted: "usage", PromptTokens: 3, Finish: "stop", Text: "ab"}},
		{"a running count that ends short of the total",
			[]string{text("a", "null", usage("1")), text("b", `"stop"`, usage("2")), total("3", "3"), end},
			engines.Reply{Events: []engines.Event{ev(0, 1), ev(1, 1)}, Tokens: 3, Counted: "usage", PromptTokens: 3, Finish: "stop", Text: "ab",
				Warnings: []string{"the engine counts 3 output tokens, its events carry 2"}}},
		{"no counts at all",
			[]string{text("a", "null", ""), text("b", `"stop"`, ""), end},
			engines.Reply{Events: []engines.Event{ev(0, 0), ev(1, 0)}, Finish: "stop", Text: "ab"}},
		{"no [DONE]",
			[]string{token("a", "[1]", `"stop"`)},
			engines.Reply{Events: []engines.Event{ev(0, 1)}, Tokens: 1, Counted: "token ids", Finish: "stop", IDs: []int32{1}, Text: "a"}},
		{"[DONE] with a space after it, and CRLF",
			[]string{strings.ReplaceAll(token("a", "[1]", `"stop"`)+"data: [DONE] \n\n", "\n", "\r\n")},
			engines.Reply{Events: []engines.Event{ev(0, 1)}, Tokens: 1, Counted: "token ids", Finish: "stop", IDs: []int32{1}, Text: "a"}},
		{"events that share a chunk keep its arrival and index",
			[]string{token("a", "[1]", "null") + token("b", "[2]", "null"), token("c", "[3]", `"length"`) + total("3", "3") + end},
			engines.Reply{Events: []engines.Event{ev(0, 1), ev(0, 1), ev(1, 1)}, Tokens: 3, Counted: "token ids", PromptTokens: 3, Finish: "length", IDs: []int32{1, 2, 3}, Text: "abc"}},
		{"chat: the role is no token, with or without usage on it",
			[]string{delta(`{"role":"assistant","content":""}`, "null", ""), delta(`{"content":"a"}`, "null", `,"token_ids":[1]`), delta(`{"content":"b"}`, `"stop"`, `,"token_ids":[2]`), end},
			engines.Reply{Events: []engines.Event{ev(1, 1), ev(2, 1)}, Tokens: 2, Counted: "token ids", Finish: "stop", IDs: []int32{1, 2}, Text: "ab"}},
		{"chat: a finish reason on an event of its own, a null delta",
			[]string{delta(`{"role":"assistant","content":null}`, "null", ""), delta(`{"content":"a"}`, "null", ""), delta(`{}`, `"length"`, ""), delta(`null`, `null`, "")},
			engines.Reply{Events: []engines.Event{ev(1, 0)}, Finish: "length", Text: "a"}},
		{"chat: running usage that the role lacks",
			[]string{delta(`{"role":"assistant"}`, "null", ""), data(`{"choices":[{"delta":{"content":"a"}}]` + usage("2") + `}`), data(`{"choices":[{"delta":{"content":"b"},"finish_reason":"stop"}]` + usage("3") + `}`)},
			engines.Reply{Events: []engines.Event{ev(1, 2), ev(2, 1)}, Tokens: 3, Counted: "usage", PromptTokens: 3, Finish: "stop", Text: "ab"}},
		{"chat: reasoning under both names, refusals and tool calls are token events",
			[]string{delta(`{"reasoning":"a"}`, "null", ""), delta(`{"reasoning_content":"b"}`, "null", ""), delta(`{"content":"c"}`, "null", ""), delta(`{"refusal":"d"}`, "null", ""),
				delta(`{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}`, "null", ""), delta(`{"function_call":{"arguments":"}"}}`, "null", ""),
				delta(`{"tool_calls":[]}`, "null", ""), delta(`{"content":""}`, `"tool_calls"`, "")},
			engines.Reply{Events: []engines.Event{ev(0, 0), ev(1, 0), ev(2, 0), ev(3, 0), ev(4, 0), ev(5, 0)}, Finish: "tool_calls", Text: "abcd"}},
		{"cached prompt tokens, zero of them too",
			[]string{token("a", "[1]", `"stop"`), data(`{"choices":[],"usage":{"prompt_tokens":30,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":16}}}`)},
			engines.Reply{Events: []engines.Event{ev(0, 1)}, Tokens: 1, Counted: "token ids", PromptTokens: 30, CachedTokens: 16 + 1, Finish: "stop", IDs: []int32{1}, Text: "a"}},
		{"the engine's own time to first token",
			[]string{token("a", "[1]", `"stop"`), data(`{"choices":[],"usage":{"prompt_tokens":30,"completion_tokens":1},"metrics":{"time_to_first_token_ms":12.5}}`)},
			engines.Reply{Events: []engines.Event{ev(0, 1)}, Tokens: 1, Counted: "token ids", PromptTokens: 30, Finish: "stop", IDs: []int32{1}, Text: "a", ServerTTFT: 12500 * time.Microsecond}},
		{"events of unknown kinds are passed over",
			[]string{data(`{"type":"ping"}`), data(`null`), token("a", "[1]", `"stop"`), end},
			engines.Reply{Events: []engines.Event{ev(2, 1)}, Tokens: 1, Counted: "token ids", Finish: "stop", IDs: []int32{1}, Text: "a"}},
		{"an error of null is none",
			[]string{data(`{"choices":[{"text":"a","finish_reason":"stop","token_ids":[1]}],"error":null}`)},
			engines.Reply{Events: []engines.Event{ev(0, 1)}, Tokens: 1, Counted: "token ids", Finish: "stop", IDs: []int32{1}, Text: "a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.want.CachedTokens-- // the table's 0 is "not given", -1
			require.Equal(t, test.want, decoder{}.Decode(reply(test.chunks...)))
		})
	}
}

func TestDecodeClassesFailuresAndKeepsWhatCame(t *testing.T) {
	a, b := token("a", "[1]", "null"), token("b", "[2]", "null")
	last := token("c", "[3]", `"stop"`)
	for _, test := range []struct {
		name   string
		body   string
		change func(c *capture.Capture)
		class  engines.Class
		says   string
		events int
	}{
		{name: "a nested error event, with [DONE]", body: a + data(`{"error":{"message":"CUDA out of memory","type":"InternalServerError","param":null,"code":500}}`) + end, class: engines.EngineError, says: "CUDA out of memory", events: 1},
		{name: "an error event after the finish reason", body: a + last + data(`{"error":{"message":"late"}}`), class: engines.EngineError, says: "late", events: 2},
		{name: "vLLM's error for an id out of the vocabulary", body: data(`{"error": {"message": "Token id 999999 is out of vocabulary", "type": "BadRequestError", "param": null, "code": 400}}`) + end, class: engines.EngineError, says: "Token id 999999"},
		{name: "an error as a string", body: a + data(`{"error":"it broke"}`), class: engines.EngineError, says: "it broke", events: 1},
		{name: "a flat error", body: a + data(`{"object":"error","message":"it broke","code":500}`), class: engines.EngineError, says: "it broke", events: 1},
		{name: "a flat error without its object", body: a + data(`{"message":"it broke","type":"x"}`), class: engines.EngineError, says: "it broke", events: 1},
		{name: "FastAPI's detail", body: data(`{"detail":"it broke"}`), class: engines.EngineError, says: "it broke"},
		{name: "an error beside a choice", body: data(`{"choices":[{"text":"a","finish_reason":"stop"}],"error":{"message":"it broke"}}`), class: engines.EngineError, says: "it broke"},
		{name: "an event named error that is not JSON", body: a + "event: error\ndata: it broke\n\n", class: engines.EngineError, says: "it broke", events: 1},
		{name: "finish reason abort", body: a + token("", "[]", `"abort"`) + end, class: engines.EngineError, says: "abort", events: 1},
		{name: "finish reason error", body: a + token("", "[]", `"error"`) + end, class: engines.EngineError, says: "error", events: 1},
		{name: "a clean end without a finish reason, [DONE] or not", body: a + b + end, class: engines.Incomplete, says: "without a finish reason", events: 2},
		{name: "an empty finish reason is none", body: token("a", "[1]", `""`) + end, class: engines.Incomplete, events: 1},
		{name: "an empty body", body: "", class: engines.Incomplete},
		{name: "zero tokens", body: token("", "null", `"stop"`) + total("3", "0") + end, class: engines.Empty, says: "without a token"},
		{name: "tokens that no event shows", body: token("", "null", "null") + token("", "null", `"stop"`) + total("3", "2") + end, class: engines.Empty, says: "counts 2 tokens"},
		{name: "malformed JSON", body: a + b + data(`{"choices":[{"text":"c"`) + last, class: engines.Protocol, says: "event 3", events: 2},
		{name: "JSON of another type", body: a + data(`"text"`) + last, class: engines.Protocol, says: "event 2", events: 1},
		{name: "a web page", body: "<!DOCTYPE html>\n<html><body>Welcome to nginx!</body></html>\n", class: engines.Protocol, says: "a web page came"},
		{name: "a reply that is not streamed", body: `{"choices":[{"text":"abc","finish_reason":"stop"}]}`, class: engines.Protocol, says: "ignored stream=true"},
		{name: "an error document with status 200", body: `{"error":{"message":"it broke"}}`, class: engines.EngineError, says: "it broke"},
		{name: "bytes that are nothing", body: "\x00\x01garbage", class: engines.Protocol, says: "no event"},
		{name: "an event over the limit", body: a + "data: " + strings.Repeat("x", 16<<20) + "\n\n" + last, class: engines.Oversize, says: "16 MiB", events: 1},
		{name: "400", body: `{"error":{"message":"too long","code":400}}`, change: status(400), class: engines.Rejected, says: "too long"},
		{name: "404", body: `{"detail":"Not Found"}`, change: status(404), class: engines.Rejected, says: "Not Found"},
		{name: "429", body: `{"error":"slow down"}`, change: status(429), class: engines.Throttled, says: "slow down"},
		{name: "503", body: ``, change: status(503), class: engines.Throttled, says: "503"},
		{name: "500 with a page", body: "<html>oops</html>", change: status(500), class: engines.EngineError, says: "oops"},
		{name: "302", body: "", change: status(302), class: engines.Rejected, says: "302"},
		{name: "a refusal that was cut off", body: `{"error":`, change: func(c *capture.Capture) {
			c.Head.Status, c.Err = 400, engines.Errorf(engines.Truncated, "cut off")
		}, class: engines.Rejected},
		{name: "the slot's own words for a refusal", body: `{}`, change: func(c *capture.Capture) {
			c.Head.Status, c.Err = 401, engines.Errorf(engines.Rejected, "set VLLM_API_KEY")
		}, class: engines.Rejected, says: "set VLLM_API_KEY"},
		{name: "no connection", body: "", change: func(c *capture.Capture) {
			c.Head.Status, c.Err, c.Trailer.Clean = 0, engines.Errorf(engines.Dial, "refused"), false
		}, class: engines.Dial},
		{name: "a reset in the middle", body: a + b + "data: {", change: broke(engines.Reset), class: engines.Reset, events: 2},
		{name: "a reset after everything came", body: a + last + end, change: broke(engines.Reset), class: engines.Reset, events: 2},
		{name: "an idle timeout", body: a, change: broke(engines.IdleTimeout), class: engines.IdleTimeout, events: 1},
		{name: "an error event before the connection broke", body: a + data(`{"error":{"message":"EngineCore died"}}`), change: broke(engines.Truncated), class: engines.EngineError, says: "EngineCore died", events: 1},
		{name: "an unclassed transport error", body: a, change: func(c *capture.Capture) { c.Err = errors.New("odd") }, class: engines.Protocol, says: "odd", events: 1},
		{name: "no clean end and no finish reason", body: a, change: func(c *capture.Capture) { c.Trailer.Clean = false }, class: engines.Truncated, events: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := reply(test.body)
			if test.change != nil {
				test.change(c)
			}
			got := decoder{}.Decode(c)
			require.NotNil(t, got.Err)
			require.Equal(t, test.class, got.Err.Class, got.Err.Error())
			require.Contains(t, got.Err.Error(), test.says)
			require.NotContains(t, got.Err.Error(), "\n")
			require.Less(t, len(got.Err.Error()), 500)
			require.Len(t, got.Events, test.events)
		})
	}
}

func status(n int) func(*capture.Capture) {
	return func(c *capture.Capture) { c.Head.Status = n }
}

func broke(class engines.Class) func(*capture.Capture) {
	return func(c *capture.Capture) {
		c.Err, c.Trailer = engines.Errorf(class, "read the reply: broken"), capture.Trailer{}
	}
}

func TestAReplyWhoseEndIsTheConnectionsEndIsGoodWithAFinishReason(t *testing.T) {
	c := reply(token("a", "[1]", `"stop"`) + end)
	c.Trailer.Clean = false
	require.Nil(t, decoder{}.Decode(c).Err)
}

// cut splits bytes into chunks at random places, at 1 ms each.
func cut(r *rand.Rand, body string) *capture.Capture {
	var chunks []string
	for len(body) > 0 {
		n := 1 + r.IntN(min(len(body), 60))
		chunks = append(chunks, body[:n])
		body = body[n:]
	}
	return reply(chunks...)
}

func TestHowBytesAreCutIntoChunksChangesOnlyArrivals(t *testing.T) {
	body := token("a", "[1]", "null") + ": ping\n\n" + strings.ReplaceAll(token("é\\ud83d\\ude00", "[2,3]", "null"), "\n", "\r\n") + token("", "[4]", `"length"`) + total("3", "4") + end
	want := decoder{}.Decode(reply(body))
	require.Nil(t, want.Err)
	for seed := range uint64(200) {
		c := cut(rand.New(rand.NewPCG(seed, 1)), body)
		got := decoder{}.Decode(c)
		last := engines.Event{}
		for i, e := range got.Events {
			require.Equal(t, want.Events[i].Tokens, e.Tokens)
			require.GreaterOrEqual(t, e.Arrival, last.Arrival)
			require.Equal(t, c.Chunks[e.Chunk].Arrival, e.Arrival)
			last = e
		}
		require.Len(t, got.Events, len(want.Events))
		got.Events = want.Events
		require.Equal(t, want, got)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(token("a", "[1]", "null")+token("b", "[2]", `"stop"`)+total("3", "2")+end), 200, true)
	f.Add([]byte(data(`{"choices":[{"delta":{"content":"a","tool_calls":[{}]},"finish_reason":"stop"}],"usage":{"completion_tokens":1}}`)), 200, false)
	f.Add([]byte(data(`{"error":{"message":"x"}}`)), 200, true)
	f.Add([]byte(`{"detail":[{"loc":["body"]}]}`), 422, true)
	f.Fuzz(func(t *testing.T, body []byte, status int, clean bool) {
		c := cut(rand.New(rand.NewPCG(1, uint64(len(body)))), string(body))
		c.Head.Status, c.Trailer.Clean = status, clean
		got := decoder{}.Decode(c)
		sum, last := 0, time.Duration(0)
		for _, e := range got.Events {
			require.GreaterOrEqual(t, e.Tokens, 0)
			require.GreaterOrEqual(t, e.Arrival, last)
			sum, last = sum+e.Tokens, e.Arrival
		}
		if got.Err == nil {
			require.NotEmpty(t, got.Finish)
			require.NotEmpty(t, got.Events)
			if sum > 0 && sum != got.Tokens {
				require.NotEmpty(t, got.Warnings)
			}
		} else {
			require.True(t, got.Err.Class.Known())
			require.NotContains(t, got.Err.Error(), "\n")
		}
	})
}
