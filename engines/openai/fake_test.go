package openai

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fake is a server of the interface whose every answer a test can choose.
type fake struct {
	models string            // the answer to /v1/models; "" is 404
	pages  map[string]string // other GETs
	prefix string            // of all paths
	refuse func(body map[string]any) string
	status int                                         // of a refusal; 400 if 0
	stream func(body map[string]any, n int) (s string) // the reply to n tokens; nil: vLLM's

	mu    sync.Mutex
	asked []*http.Request
	posts []map[string]any
}

// seen is what was asked so far.
func (f *fake) seen() (asked []*http.Request, posts []map[string]any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked), slices.Clone(f.posts)
}

const oneModel = `{"object":"list","data":[{"id":"m","object":"model","owned_by":"vllm","max_model_len":4096}]}`

func (f *fake) start(t *testing.T) string {
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return server.URL
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, r.Clone(context.Background()))
	path, inside := strings.CutPrefix(r.URL.Path, f.prefix)
	page, known := f.pages[path]
	switch {
	case !inside:
		http.NotFound(w, r)
	case r.Method == http.MethodPost && strings.HasSuffix(path, "/completions"):
		f.post(w, r)
	case path == "/v1/models" && f.models != "":
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, f.models)
	case known:
		io.WriteString(w, page)
	default:
		http.NotFound(w, r)
	}
}

func (f *fake) post(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	var body map[string]any
	if err := json.Unmarshal(raw, &body); err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	f.posts = append(f.posts, body)
	if f.refuse != nil {
		if why := f.refuse(body); why != "" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(cmp.Or(f.status, 400))
			fmt.Fprintf(w, `{"error":{"message":%q}}`, why)
			return
		}
	}
	stream := f.stream
	if stream == nil {
		stream = likeVLLM
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	io.WriteString(w, stream(body, limit(body)))
}

func limit(body map[string]any) int {
	for _, name := range []string{"max_completion_tokens", "max_tokens"} {
		if n, ok := body[name].(float64); ok {
			return int(n)
		}
	}
	return 16
}

// likeVLLM replies as vLLM 0.32 does to the fields that matter.
func likeVLLM(body map[string]any, n int) string {
	var s strings.Builder
	options, _ := body["stream_options"].(map[string]any)
	for i := range n {
		finish, ids, usage := "null", "null", ""
		if i == n-1 {
			finish = `"length"`
		}
		if body["return_token_ids"] == true {
			ids = fmt.Sprintf("[%d]", 100+i)
		}
		if options["continuous_usage_stats"] == true {
			usage = fmt.Sprintf(`,"usage":{"prompt_tokens":8,"completion_tokens":%d}`, i+1)
		}
		s.WriteString(data(fmt.Sprintf(`{"choices":[{"index":0,"text":"a","delta":{"content":""},"finish_reason":%s,"token_ids":%s}]%s}`, finish, ids, usage)))
	}
	if options["include_usage"] == true {
		s.WriteString(total("8", fmt.Sprint(n)))
	}
	return s.String() + end
}

// onlyText is a reply without ids and usage whatever was asked for.
func onlyText(_ map[string]any, n int) string {
	return likeVLLM(nil, n)
}

// typed refuses nonsense in the fields that it knows, as a server does that
// validates what it reads.
func typed(known ...string) func(map[string]any) string {
	return func(body map[string]any) string {
		for _, name := range known {
			if _, isObject := body[name].(map[string]any); isObject && name != "stream_options" {
				return "Input should be valid: " + name
			}
		}
		return ""
	}
}

// strict refuses all fields but those.
func strict(known ...string) func(map[string]any) string {
	return func(body map[string]any) string {
		for name := range body {
			if !slices.Contains(known, name) {
				return "Extra inputs are not permitted: " + name
			}
		}
		return typed(known...)(body)
	}
}
