package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"sort"

	"enginebench/engines"
)

// owned are the body fields that a request sets itself, whatever the options
// say.
var owned = []string{"model", "prompt", "messages", "max_tokens", "max_completion_tokens", "min_tokens", "stream", "n", "cache_salt"}

// field is a body field that servers may refuse. Those that take it get it
// with every request.
type field struct {
	name  string
	value func(r engines.Request) any // nil: not sent
	lost  string                      // what follows where it can't be sent
}

func always(v any) func(engines.Request) any {
	return func(engines.Request) any { return v }
}

const defaults = "the server's default holds"

// optional are the optional fields of both endpoints. Sampling is spelled out
// since a model's generation_config.json changes a server's defaults: greedy,
// no penalty. The first group is OpenAI's, the second an extension that vLLM,
// SGLang, LMDeploy and llama.cpp share.
var optional = []field{
	{"temperature", always(0), "sampling is not greedy, so outputs differ from run to run"},
	{"top_p", always(1), defaults},
	{"seed", always(0), defaults},
	{"n", always(1), defaults},
	{"presence_penalty", always(0), defaults},
	{"frequency_penalty", always(0), defaults},
	{"stream_options", always(map[string]bool{"include_usage": true}), "the server may give no token counts"},

	{"top_k", always(1), defaults},
	{"min_p", always(0), defaults},
	{"repetition_penalty", always(1), defaults},
	{"ignore_eos", always(true), "the number of output tokens can't be forced by it"},
	{"min_tokens", func(r engines.Request) any { return r.OutputTokens }, "the number of output tokens can't be forced by it"},
	{"return_token_ids", always(true), "tokens are not counted by their ids"},
	{"cache_salt", func(r engines.Request) any {
		if r.Salt == "" {
			return nil
		}
		return r.Salt
	}, "the prefix cache can't be salted"},
}

// forcing are the fields that make a server give exactly as many tokens as
// asked for; each alone does.
var forcing = []string{"ignore_eos", "min_tokens"}

// chatOptional is what only the chat endpoint has: max_tokens is the older
// name of max_completion_tokens, which some servers pass over in silence.
var chatOptional = []field{
	{"max_tokens", func(r engines.Request) any { return r.OutputTokens }, "a server that reads only this name may give more tokens than asked for"},
}

// shape is how requests look for one server.
type shape struct {
	chat  bool
	text  bool
	model string
	drop  []string                   // optional fields that are left out
	set   map[string]json.RawMessage // optional fields with a value of their own
	extra map[string]json.RawMessage
}

// optional are the optional fields of the shape's endpoint.
func (s shape) optional() []field {
	if s.chat {
		return append(chatOptional[:1:1], optional...)
	}
	return optional
}

// without is s that leaves out more optional fields.
func (s shape) without(names ...string) shape {
	s.drop = append(s.drop[:len(s.drop):len(s.drop)], names...)
	return s
}

// with is s with one optional field set to a value of its own.
func (s shape) with(name, value string) shape {
	set := map[string]json.RawMessage{name: json.RawMessage(value)}
	for k, v := range s.set {
		if k != name {
			set[k] = v
		}
	}
	s.set = set
	return s
}

// sends reports whether s sends an optional field.
func (s shape) sends(name string) bool { return !slices.Contains(s.drop, name) }

// encode builds a request's body: required fields, optional ones in the order
// of the tables, extra ones by name. An extra field takes the place of an
// optional one.
func (s shape) encode(r engines.Request) ([]byte, error) {
	var b object
	b.add("model", s.model)
	switch {
	case s.text && r.Text == "":
		return nil, errors.New("the prompt has no text, and this server takes no token ids")
	case !s.text && len(r.Tokens) == 0:
		return nil, errors.New("the prompt has no token ids; ask for prompt=text")
	case s.chat:
		b.add("messages", []message{{"user", r.Text}})
		b.add("max_completion_tokens", r.OutputTokens)
	case s.text:
		b.add("prompt", r.Text)
		b.add("max_tokens", r.OutputTokens)
	default:
		b.add("prompt", r.Tokens)
		b.add("max_tokens", r.OutputTokens)
	}
	b.add("stream", true)
	for _, f := range s.optional() {
		if _, ok := s.extra[f.name]; ok || !s.sends(f.name) {
			continue
		}
		if v, ok := s.set[f.name]; ok {
			b.add(f.name, v)
		} else if v := f.value(r); v != nil {
			b.add(f.name, v)
		}
	}
	names := make([]string, 0, len(s.extra))
	for name := range s.extra {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		b.add(name, s.extra[name])
	}
	return b.end()
}

// message is one of a chat.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// object is a JSON object under construction, its fields in the order in which
// they are added.
type object struct {
	buf bytes.Buffer
	err error
}

func (o *object) add(name string, value any) {
	raw, err := marshal(value)
	if err != nil {
		o.err = errors.Join(o.err, err)
		return
	}
	sep := byte(',')
	if o.buf.Len() == 0 {
		sep = '{'
	}
	o.buf.WriteByte(sep)
	key, _ := marshal(name)
	o.buf.Write(key)
	o.buf.WriteByte(':')
	o.buf.Write(raw)
}

func (o *object) end() ([]byte, error) {
	o.buf.WriteByte('}')
	return o.buf.Bytes(), o.err
}

// marshal is JSON without HTML escapes, which would lengthen prompts.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
