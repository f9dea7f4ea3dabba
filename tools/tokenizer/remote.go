package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// remoteTimeout bounds one question. A prompt takes milliseconds; an engine under load may take seconds.
	remoteTimeout = 60 * time.Second
	// maxAnswer bounds an answer: the ids of the longest prompts are a few MB.
	maxAnswer = 64 << 20
)

// shape is how one family of servers spells the two questions.
type shape struct {
	name                       string
	text, special, decodedText string // JSON fields: text in, "add special tokens" in, text out
}

// shapes are the ways of asking that Remote tries, in this order.
var shapes = []shape{
	{"vLLM", "prompt", "add_special_tokens", "prompt"}, // also SGLang
	{"llama.cpp", "content", "add_special", "content"}, // tools/server/README.md
}

// Remote asks the engine at base (http://HOST:PORT, without a path) over POST /tokenize and /detokenize. It finds out
// by a first question whether the engine spells them as vLLM or as llama.cpp does; an engine that is not there, does
// not know the question or answers something else is an error here, not later.
func Remote(base string, opts ...Option) (Tokenizer, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("tokenize at %q: want http://HOST:PORT of an engine", base)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("tokenize at %s: want http://HOST:PORT of an engine, without a user, a query or a fragment", u.Redacted())
	}
	t := &remote{
		base:    strings.TrimSuffix(u.String(), "/"),
		options: apply(opts),
		client:  &http.Client{Timeout: remoteTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: 2 * time.Second}},
	}
	var first error
	for _, t.shape = range shapes {
		if _, err = t.Encode("one two three"); err == nil {
			return t, nil
		}
		if first == nil {
			first = err
		}
		if answered := new(answerError); !errors.As(err, &answered) {
			break // nobody there: asking in other words does not help
		}
	}
	return nil, first
}

// answerError is an engine's refusal or an answer that is not one, as opposed to no answer.
type answerError struct{ why string }

func (e *answerError) Error() string { return e.why }

// remote is a tokenizer behind an engine's HTTP endpoints.
type remote struct {
	base string
	options
	shape  shape
	client *http.Client
}

func (t *remote) Encode(text string) ([]int32, error) {
	if err := checkText(text); err != nil {
		return nil, err
	}
	var answer struct {
		Tokens []int32 `json:"tokens"`
		Count  *int    `json:"count"`
	}
	if err := t.ask("/tokenize", map[string]any{t.shape.text: text, t.shape.special: t.special}, &answer); err != nil {
		return nil, err
	}
	if answer.Count != nil && *answer.Count != len(answer.Tokens) {
		return nil, t.wrong("/tokenize", fmt.Sprintf("it says %d tokens and sends %d", *answer.Count, len(answer.Tokens)))
	}
	if len(answer.Tokens) == 0 && text != "" {
		return nil, t.wrong("/tokenize", fmt.Sprintf("it sends no tokens for a text of %d bytes", len(text)))
	}
	return answer.Tokens, nil
}

func (t *remote) Count(text string) (int, error) {
	ids, err := t.Encode(text)
	return len(ids), err
}

func (t *remote) Decode(ids []int32) (string, error) {
	if len(ids) == 0 {
		return "", nil
	}
	var answer map[string]any
	if err := t.ask("/detokenize", map[string]any{"tokens": ids}, &answer); err != nil {
		return "", err
	}
	text, ok := answer[t.shape.decodedText].(string)
	if !ok {
		return "", t.wrong("/detokenize", fmt.Sprintf("there is no %q in it", t.shape.decodedText))
	}
	return text, nil
}

func (t *remote) Identity() string { return "/tokenize of an engine (" + t.shape.name + "'s shape)" }

func (t *remote) Close() error {
	t.client.CloseIdleConnections()
	return nil
}

// ask posts a question and decodes the answer into it.
func (t *remote) ask(path string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	resp, err := t.client.Post(t.base+path, "application/json", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("tokenize: %w: is the engine up, and is this its address?", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("tokenize: read the answer of %s%s: %w", t.base, path, err)
	}
	switch {
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed:
		return &answerError{fmt.Sprintf("tokenize: %s has no %s (HTTP %d): use an engine that has it (vLLM, SGLang, llama.cpp), or -tokenizer=tokenizer.json", t.base, path, resp.StatusCode)}
	case resp.StatusCode != http.StatusOK:
		return &answerError{fmt.Sprintf("tokenize: %s%s answered HTTP %d: %s", t.base, path, resp.StatusCode, excerpt(data))}
	case len(data) > maxAnswer:
		return t.wrong(path, fmt.Sprintf("it is longer than %d MiB", maxAnswer>>20))
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return t.wrong(path, fmt.Sprintf("%v: %s", err, excerpt(data)))
	}
	return nil
}

// wrong is an answer with HTTP 200 that does not make sense.
func (t *remote) wrong(path, why string) error {
	return &answerError{fmt.Sprintf("tokenize: the answer of %s%s is not one of %s's: %s", t.base, path, t.shape.name, why)}
}

// excerpt is the beginning of a body, on one line.
func excerpt(body []byte) string {
	const most = 200
	s := strings.Join(strings.Fields(strings.ToValidUTF8(string(body[:min(len(body), 4*most)]), "?")), " ")
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	if s == "" {
		return "(an empty body)"
	}
	return s
}
