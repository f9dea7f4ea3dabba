package openai

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/engines/capture"
)

func open(t *testing.T, address, query string) *Engine {
	t.Helper()
	spec, err := engines.ParseSpec("vllm=" + address + query)
	require.NoError(t, err)
	e, err := New(spec)
	require.NoError(t, err)
	return e.(*Engine)
}

// describe describes the fake and returns the body of a request for 5 tokens
// made afterwards.
func describe(t *testing.T, f *fake, query string) (engines.Info, string) {
	t.Helper()
	e := open(t, f.start(t), query)
	info, err := e.Describe(context.Background())
	require.NoError(t, err)
	m, err := e.Encode(engines.Request{Tokens: []int32{1, 2}, Text: "one", OutputTokens: 5, Salt: "s"})
	require.NoError(t, err)
	return info, string(m.Body)
}

func TestDescribeVLLM(t *testing.T) {
	f := &fake{models: oneModel, pages: map[string]string{"/version": `{"version":"0.32.0"}`}, refuse: typed("ignore_eos", "min_tokens", "cache_salt")}
	info, body := describe(t, f, "")
	require.NotEmpty(t, info.Exchanges)
	require.Equal(t, "GET /v1/models", info.Exchanges[0].Method)
	require.Equal(t, oneModel, string(info.Exchanges[0].Body))
	require.Equal(t, "POST /v1/completions", info.Exchanges[2].Method)
	info.Exchanges = nil
	require.Equal(t, engines.Info{Version: "0.32.0", Model: "m", Server: "vLLM", Protocol: "http/1.1 sse", Dialect: "openai.completions", MaxModelLen: 4096,
		TakesTokens: true, TakesSalt: true, ForcesOutput: true, Counts: "token ids", PerEvent: true}, info)
	require.Contains(t, body, `"prompt":[1,2],"max_tokens":5`)
	require.Contains(t, body, `"cache_salt":"s"`)
	require.NotContains(t, body, "continuous_usage_stats")
	_, posts := f.seen()
	require.Equal(t, 1.0, posts[0]["max_tokens"], "the preflight asks for one token")
}

func TestDescribeChat(t *testing.T) {
	info, body := describe(t, &fake{models: oneModel, refuse: typed("ignore_eos")}, "?api=chat")
	require.Equal(t, "openai.chat", info.Dialect)
	require.False(t, info.TakesTokens)
	require.True(t, info.ForcesOutput)
	require.Contains(t, body, `"messages":[{"role":"user","content":"one"}],"max_completion_tokens":5,"stream":true,"max_tokens":5`)
}

func TestAStrictServerGetsOnlyTheFieldsItTakes(t *testing.T) {
	f := &fake{models: oneModel, refuse: strict("model", "prompt", "max_tokens", "stream", "temperature", "top_p", "stream_options"), status: 422}
	info, body := describe(t, f, "")
	require.Equal(t, `{"model":"m","prompt":[1,2],"max_tokens":5,"stream":true,"temperature":0,"top_p":1,"stream_options":{"include_usage":true,"continuous_usage_stats":true}}`, body)
	require.False(t, info.ForcesOutput)
	require.False(t, info.TakesSalt)
	require.Equal(t, "usage", info.Counts)
	require.True(t, info.PerEvent)
	for _, name := range []string{"seed", "n", "presence_penalty", "frequency_penalty", "top_k", "min_p", "repetition_penalty", "ignore_eos", "min_tokens", "return_token_ids", "cache_salt"} {
		require.Contains(t, info.Warnings, warning(t, info, "the server refuses "+name+" (422"), name)
	}
	require.Contains(t, warning(t, info, "can't be forced: "), "?force=yes")
	require.Len(t, info.Warnings, 12)
}

// warning is the warning that contains text.
func warning(t *testing.T, info engines.Info, text string) string {
	t.Helper()
	for _, w := range info.Warnings {
		if strings.Contains(w, text) {
			return w
		}
	}
	require.Failf(t, "no such warning", "%q in %q", text, info.Warnings)
	return ""
}

func TestOneRefusedFieldCostsOnlyItself(t *testing.T) {
	f := &fake{models: oneModel, refuse: func(body map[string]any) string {
		if _, sent := body["min_p"]; sent {
			return "min_p is not supported"
		}
		return typed("ignore_eos", "cache_salt")(body)
	}}
	info, body := describe(t, f, "")
	require.Equal(t, []string{"the server refuses min_p (400 Bad Request: min_p is not supported): the server's default holds"}, info.Warnings)
	require.NotContains(t, body, "min_p")
	require.Contains(t, body, `"repetition_penalty":1`)
	require.True(t, info.ForcesOutput)
}

func TestAServerWithoutTokenIDPromptsGetsText(t *testing.T) {
	textOnly := func(body map[string]any) string {
		if _, isText := body["prompt"].(string); !isText {
			return "cannot unmarshal array into Go struct field CompletionRequest.prompt of type string"
		}
		return ""
	}
	info, body := describe(t, &fake{models: oneModel, refuse: textOnly}, "")
	require.False(t, info.TakesTokens)
	require.Contains(t, body, `"prompt":"one"`)
	warning(t, info, "takes no token ids as a prompt (400 Bad Request: cannot unmarshal")

	_, err := open(t, (&fake{models: oneModel, refuse: textOnly}).start(t), "?prompt=tokens").Describe(context.Background())
	require.ErrorContains(t, err, "cannot unmarshal")
	require.Equal(t, engines.Rejected, engines.ClassOf(err))
}

func TestPromptTextIsSentWhereItIsAskedFor(t *testing.T) {
	info, body := describe(t, &fake{models: oneModel, refuse: typed("ignore_eos")}, "?prompt=text")
	require.False(t, info.TakesTokens)
	require.Contains(t, body, `"prompt":"one"`)
	require.Empty(t, info.Warnings)
}

func TestTheSourceOfCountsIsFoundOut(t *testing.T) {
	usageAtEnd := func(body map[string]any, n int) string {
		delete(body, "return_token_ids")
		if options, ok := body["stream_options"].(map[string]any); ok {
			delete(options, "continuous_usage_stats")
		}
		return likeVLLM(body, n)
	}
	onFinish := func(_ map[string]any, n int) string { // usage rides on the last choice
		return strings.Repeat(data(`{"choices":[{"text":"a"}]}`), n-1) + data(`{"choices":[{"text":"a","finish_reason":"stop"}],"usage":{"prompt_tokens":8,"completion_tokens":`+fmt.Sprint(n)+`}}`)
	}
	for _, test := range []struct {
		name       string
		stream     func(map[string]any, int) string
		counts     string
		perEvent   bool
		body, warn string
	}{
		{"running usage where ids do not come", func(body map[string]any, n int) string {
			delete(body, "return_token_ids")
			return likeVLLM(body, n)
		}, "usage", true, `"stream_options":{"include_usage":true,"continuous_usage_stats":true}`, ""},
		{"usage at the end", usageAtEnd, "usage", false, `"stream_options":{"include_usage":true}`, "how many tokens an event carries"},
		{"usage on the finish event, which for one token looks like a running count", onFinish, "usage", false, `"stream_options":{"include_usage":true}`, "how many tokens an event carries"},
		{"usage on the only event there is", func(_ map[string]any, n int) string {
			return data(`{"choices":[{"text":"abcd","finish_reason":"stop"}],"usage":{"prompt_tokens":8,"completion_tokens":` + fmt.Sprint(n) + `}}`)
		}, "usage", false, `"stream_options":{"include_usage":true}`, "how many tokens an event carries"},
		{"nothing", onlyText, "", false, `"stream_options":{"include_usage":true}`, "gives no token counts"},
	} {
		t.Run(test.name, func(t *testing.T) {
			info, body := describe(t, &fake{models: oneModel, stream: test.stream, refuse: typed("ignore_eos")}, "")
			require.Equal(t, test.counts, info.Counts)
			require.Equal(t, test.perEvent, info.PerEvent)
			require.Contains(t, body, test.body)
			require.NotContains(t, body, "return_token_ids", "it has no effect")
			if test.warn == "" {
				require.Empty(t, info.Warnings)
			} else {
				warning(t, info, test.warn)
				require.Len(t, info.Warnings, 1)
			}
		})
	}
}

func TestFieldsIgnoredInSilenceForceNothing(t *testing.T) {
	info, _ := describe(t, &fake{models: oneModel}, "")
	require.False(t, info.ForcesOutput)
	require.False(t, info.TakesSalt)
	warning(t, info, "refuses or ignores ignore_eos and min_tokens")

	info, _ = describe(t, &fake{models: oneModel}, "?force=yes")
	require.True(t, info.ForcesOutput)

	info, body := describe(t, &fake{models: oneModel, refuse: typed("ignore_eos")}, "?force=no")
	require.False(t, info.ForcesOutput)
	require.NotContains(t, body, "ignore_eos")
	require.NotContains(t, body, "min_tokens")

	info, _ = describe(t, &fake{models: strings.Replace(oneModel, "vllm", "llamacpp", 1)}, "")
	require.Equal(t, "llama.cpp", info.Server)
	require.True(t, info.ForcesOutput)
}

func TestDoubtfulRepliesToThePreflightAreWarnedOf(t *testing.T) {
	info, _ := describe(t, &fake{models: oneModel, refuse: typed("ignore_eos"), stream: func(body map[string]any, n int) string {
		return likeVLLM(body, n+2)
	}}, "")
	warning(t, info, "one token was asked for and 3 came")

	info, _ = describe(t, &fake{models: oneModel, refuse: typed("ignore_eos"), stream: func(body map[string]any, n int) string {
		return strings.ReplaceAll(likeVLLM(body, n), `"prompt_tokens":8`, `"prompt_tokens":9`)
	}}, "")
	warning(t, info, "8 prompt tokens were sent and the engine counts 9")
}

func TestTheModelIsChosen(t *testing.T) {
	const several = `{"data":[{"id":"a"},{"id":"b","max_model_len":7},{"id":"c"}]}`
	info, body := describe(t, &fake{models: several, refuse: typed("ignore_eos")}, "?model=b")
	require.Equal(t, "b", info.Model)
	require.Equal(t, 7, info.MaxModelLen)
	require.Contains(t, body, `"model":"b"`)

	for _, test := range []struct{ models, query, says string }{
		{several, "", "choose a model: the server has several; ask for one of them with ?model=NAME: a, b, c"},
		{several, "?model=d", "choose a model: d is not served; served are: a, b, c"},
		{oneModel, "?model=d", "choose a model: d is not served; served are: m"},
		{`{"data":[]}`, "", "lists none"},
		{"", "", "is this an OpenAI-compatible server"},
		{"<html>Welcome</html>", "", "not the JSON that was expected"},
	} {
		_, err := open(t, (&fake{models: test.models}).start(t), test.query).Describe(context.Background())
		require.ErrorContains(t, err, test.says)
		require.NotContains(t, err.Error(), "\n")
	}

	info, _ = describe(t, &fake{refuse: typed("ignore_eos")}, "?model=x")
	require.Equal(t, "x", info.Model)
	warning(t, info, "taken on trust")
}

func TestTheServerIsNamedByWhatItSaysOfItself(t *testing.T) {
	for _, test := range []struct {
		owner, server, version string
		pages                  map[string]string
	}{
		{"vllm", "vLLM", "0.32.0", map[string]string{"/version": `{"version":"0.32.0"}`}},
		{"acme", "vLLM", "0.32.0", map[string]string{"/version": `{"version":"0.32.0"}`, "/metrics": "# x\nvllm:num_requests_running 0\n"}},
		{"acme", "OpenAI-compatible", "0.32.0", map[string]string{"/version": `{"version":"0.32.0"}`}},
		{"acme", "OpenAI-compatible", "", map[string]string{"/version": `<html>`}},
		{"sglang", "SGLang", "0.5.1", map[string]string{"/get_server_info": `{"version":"0.5.1"}`}},
		{"llamacpp", "llama.cpp", "b5000", map[string]string{"/props": `{"build_info":"b5000"}`}},
		{"lmdeploy", "LMDeploy", "", nil},
		{"tensorrt_llm", "TensorRT-LLM", "1.2.0", map[string]string{"/version": `{"version":"1.2.0"}`}},
		{"Triton Inference Server", "Triton OpenAI frontend", "", nil},
		{"library", "Ollama", "0.12.0", map[string]string{"/api/version": `{"version":"0.12.0"}`}},
		{"library", "OpenAI-compatible", "", nil},
	} {
		info, _ := describe(t, &fake{models: strings.Replace(oneModel, "vllm", test.owner, 1), pages: test.pages, refuse: typed("ignore_eos")}, "")
		require.Equal(t, test.server, info.Server, test.owner)
		require.Equal(t, test.version, info.Version, test.owner)
	}
}

func TestABaseURLMayHaveAPathAndMayEndInV1(t *testing.T) {
	for _, path := range []string{"/llm", "/llm/", "/llm/v1", "/llm/v1/"} {
		f := &fake{models: oneModel, prefix: "/llm", refuse: typed("ignore_eos")}
		info, err := open(t, f.start(t)+path, "").Describe(context.Background())
		require.NoError(t, err, path)
		require.Equal(t, "m", info.Model)
	}
}

func TestACredentialGoesNowhereButTheAuthorizationHeader(t *testing.T) {
	const key = "k3y-0f-th3-s3rv3r"
	f := &fake{models: oneModel, refuse: typed("ignore_eos")}
	spec, err := engines.ParseSpec("vllm=" + f.start(t))
	require.NoError(t, err)
	spec.APIKey = key
	e, err := New(spec)
	require.NoError(t, err)
	info, err := e.Describe(context.Background())
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%+v", info), key)
	asked, posts := f.seen()
	for _, r := range asked {
		require.Equal(t, "Bearer "+key, r.Header.Get("Authorization"))
		r.Header.Del("Authorization")
		require.NotContains(t, fmt.Sprint(r.Header, r.URL), key)
	}
	for _, body := range posts {
		require.NotContains(t, fmt.Sprint(body), key)
	}
}

func TestAServerBehindTLSIsMeasuredOverHTTP1(t *testing.T) {
	f := &fake{models: oneModel, refuse: typed("ignore_eos")}
	server := httptest.NewUnstartedServer(f)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	e := open(t, server.URL, "")
	e.cfg.TLS = &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com", NextProtos: []string{"http/1.1"}}
	info, err := e.Describe(context.Background())
	require.NoError(t, err)
	require.Equal(t, "m", info.Model)
	asked, _ := f.seen()
	for _, r := range asked {
		require.Equal(t, "HTTP/1.1", r.Proto)
	}
}

func TestARequestGoesThroughASlotAndComesBackDecoded(t *testing.T) {
	e := open(t, (&fake{models: oneModel, refuse: typed("ignore_eos", "cache_salt")}).start(t), "")
	_, err := e.Describe(context.Background())
	require.NoError(t, err)
	slot, err := e.Dial(context.Background())
	require.NoError(t, err)
	defer slot.Close()
	m, err := e.Encode(engines.Request{ID: engines.RequestID{Invocation: "i", Cell: "c", Index: 3}, Tokens: []int32{1}, OutputTokens: 7})
	require.NoError(t, err)
	require.Equal(t, "i/c/3", m.ID)
	c := capture.New(1, 4096, 16)[0]
	require.NoError(t, slot.Send(context.Background(), m, c))
	r := e.Decode(c)
	require.Nil(t, r.Err)
	require.Equal(t, 7, r.Tokens)
}

func TestCountersComeFromTheMetricsPageAndMayBeAbsent(t *testing.T) {
	read := func(pages map[string]string) (engines.Counters, error) {
		return open(t, (&fake{pages: pages}).start(t), "").Counters(context.Background())
	}
	got, err := read(map[string]string{"/metrics": "vllm:num_preemptions_total 3\n"})
	require.NoError(t, err)
	require.Equal(t, engines.Counters{engines.Preemptions: 3}, got)
	for _, pages := range []map[string]string{nil, {"/metrics": `[{"iter": 1}]`}} {
		got, err = read(pages)
		require.NoError(t, err)
		require.Empty(t, got)
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	_, err = open(t, closed.URL, "").Counters(context.Background())
	require.ErrorContains(t, err, "read counters")
}

func TestNewRefusesWhatItDoesNotKnow(t *testing.T) {
	for query, says := range map[string]string{
		"?modle=x":                 `unknown option "modle"; an OpenAI-compatible engine takes model, api, prompt, force, extra, proxy`,
		"?api=responses":           "unknown api=responses; known are completions, chat",
		"?prompt=ids":              "unknown prompt=ids; known are auto, tokens, text",
		"?force=maybe":             "unknown force=maybe",
		"?api=chat&prompt=tokens":  "chat messages are text",
		"?proxy=http://p":          "unknown proxy=http://p; known is environment",
		"?extra={":                 "want a JSON object",
		`?extra={"max_tokens":1}`:  "max_tokens is set by the request itself",
		`?extra=[1]`:               "want a JSON object",
		`?extra={"stream":false}`:  "stream is set by the request itself",
		`?extra={"model":"other"}`: "model is set by the request itself",
	} {
		spec, err := engines.ParseSpec("vllm=http://localhost:8000" + query)
		require.NoError(t, err)
		_, err = New(spec)
		require.ErrorContains(t, err, says, query)
		require.ErrorContains(t, err, "open engine vllm: ")
	}
}
