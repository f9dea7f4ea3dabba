package tokenizer

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// byteServer tokenizes a text to its bytes, 1000 as BOS, in the words of one family of servers.
func byteServer(t *testing.T, text, special, decoded string, withCount bool) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /tokenize", func(w http.ResponseWriter, r *http.Request) {
		var q map[string]any
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s, ok := q[text].(string)
		if !ok && withCount { // vLLM validates; llama.cpp answers an empty list
			http.Error(w, `{"error":{"message":"field required"}}`, http.StatusBadRequest)
			return
		}
		ids := []int{}
		if q[special] == true {
			ids = append(ids, 1000)
		}
		for _, b := range []byte(s) {
			ids = append(ids, int(b))
		}
		a := map[string]any{"tokens": ids}
		if withCount {
			a["count"] = len(ids)
		}
		_ = json.NewEncoder(w).Encode(a)
	})
	mux.HandleFunc("POST /detokenize", func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Tokens []byte16 }
		_ = json.NewDecoder(r.Body).Decode(&q)
		var s strings.Builder
		for _, id := range q.Tokens {
			if id < 256 {
				s.WriteByte(byte(id))
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{decoded: s.String()})
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

type byte16 uint16

func TestRemoteSpeaksToBothFamilies(t *testing.T) {
	for _, c := range []struct {
		family                 string
		text, special, decoded string
		withCount              bool
	}{
		{"vLLM", "prompt", "add_special_tokens", "prompt", true},
		{"llama.cpp", "content", "add_special", "content", false},
	} {
		t.Run(c.family, func(t *testing.T) {
			srv := byteServer(t, c.text, c.special, c.decoded, c.withCount)
			plain, err := Remote(srv.URL)
			require.NoError(t, err)
			defer plain.Close()
			ids, err := plain.Encode("hé")
			require.NoError(t, err)
			require.Equal(t, []int32{0x68, 0xc3, 0xa9}, ids)
			n, err := plain.Count("hé")
			require.NoError(t, err)
			require.Equal(t, 3, n)
			text, err := plain.Decode(ids)
			require.NoError(t, err)
			require.Equal(t, "hé", text)
			require.Contains(t, plain.Identity(), c.family)

			prompt, err := Remote(srv.URL+"/", WithSpecial())
			require.NoError(t, err)
			ids, err = prompt.Encode("h")
			require.NoError(t, err)
			require.Equal(t, []int32{1000, 0x68}, ids, "BOS, then the text")
			require.NoError(t, prompt.Close())
			require.NoError(t, prompt.Close())
		})
	}
}

func TestRemoteSaysWhatIsWrongWithAnAnswer(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"404", 404, `{"detail":"Not Found"}`, "has no /tokenize (HTTP 404): use an engine that has it"},
		{"a refusal", 500, "it\nbroke", "answered HTTP 500: it broke"},
		{"a web page", 200, "<html>hello</html>", "not one of vLLM's: invalid character '<'"},
		{"another shape", 200, `["a"]`, "not one of vLLM's: json: cannot unmarshal array"},
		{"no tokens", 200, `{"ok":true}`, "sends no tokens for a text of 13 bytes"},
		{"a count that is not theirs", 200, `{"count":3,"tokens":[1,2]}`, "says 3 tokens and sends 2"},
		{"an id that is no int32", 200, `{"count":1,"tokens":[4294967296]}`, "cannot unmarshal number 4294967296"},
		{"nothing", 500, "", "(an empty body)"},
		{"a long page", 503, strings.Repeat("x", 9000), "xxx…"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			}))
			defer srv.Close()
			_, err := Remote(srv.URL)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestRemoteServerNotThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	_, err = Remote("http://" + addr)
	require.ErrorContains(t, err, "connection refused: is the engine up")
}

func TestRemoteRefusesWhatIsNoBaseURL(t *testing.T) {
	for _, base := range []string{"localhost:8000", "grpc://localhost:8001", "http://", "http://h:1/?model=x", "http://u:secret@h:1", "://"} {
		_, err := Remote(base)
		require.ErrorContains(t, err, "want http://HOST:PORT", base)
		require.NotContains(t, err.Error(), "u:secret")
	}
}

func TestRemoteRefusesTextThatWouldChange(t *testing.T) {
	tok, err := Remote(byteServer(t, "prompt", "add_special_tokens", "prompt", true).URL)
	require.NoError(t, err)
	for _, text := range []string{"a\x00b", "a\xffb"} {
		_, err := tok.Encode(text)
		require.ErrorIs(t, err, ErrText)
	}
}

func TestDetokenizeOfAnotherShapeIsAnError(t *testing.T) {
	tok, err := Remote(byteServer(t, "prompt", "add_special_tokens", "words", true).URL)
	require.NoError(t, err)
	_, err = tok.Decode([]int32{65})
	require.ErrorContains(t, err, `there is no "prompt" in it`)
}

func TestNewTakesExactlyOne(t *testing.T) {
	_, err := New("", "")
	require.ErrorContains(t, err, "give -tokenizer=tokenizer.json, or -tokenize=http://")
	_, err = New("a.json", "http://h:1")
	require.ErrorContains(t, err, "use one")
}
