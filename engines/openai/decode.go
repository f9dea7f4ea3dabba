package openai

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"enginebench/engines"
	"enginebench/engines/capture"
	"enginebench/engines/httpstream"
	"enginebench/engines/sse"
)

// Dialects, as [engines.Info] names them.
const (
	Completions = "openai.completions"
	Chat        = "openai.chat"
)

// Where token counts come from, as [engines.Info] and [engines.Reply] name it.
const (
	countedIDs   = "token ids"
	countedUsage = "usage"
)

// Decoder returns the decoder of a dialect of this package.
func Decoder(dialect string) (engines.Decoder, bool) {
	return decoder{}, dialect == Completions || dialect == Chat
}

// decoder reads the streams of both endpoints: what differs between them, text
// or delta, tells itself apart.
type decoder struct{}

// Decode implements [engines.Decoder].
func (decoder) Decode(c *capture.Capture) engines.Reply {
	s := stream{reply: engines.Reply{CachedTokens: -1}}
	if s.reply.Err = httpstream.Refused(c); s.reply.Err != nil {
		return s.reply
	}
	s.read(c)
	s.count()
	if s.reply.Err == nil && s.seen == 0 {
		s.reply.Err = httpstream.NotAStream(c)
	}
	httpstream.End(c, &s.reply, s.reply.Finish != "")
	return s.reply
}

// stream gathers what the events of one reply say.
type stream struct {
	reply engines.Reply
	text  strings.Builder
	parts []part
	seen  int // events of any kind
	ids   int // token ids in all parts
	total int // the last completion_tokens; -1 none
}

// part is what one event with a choice in it says about tokens. What it means
// is only known at the end: usage on an event is a running count if all events
// have it, and the reply's total if only the last has.
type part struct {
	at    engines.Event
	ids   int  // token ids in it
	text  bool // it carried text, reasoning or a tool call
	total int  // completion_tokens so far; -1: no usage on it
}

var done = []byte("[DONE]")

func (s *stream) read(c *capture.Capture) {
	s.total = -1
	defer func() { s.reply.Text = s.text.String() }()
	for ev, err := range sse.Events(c) {
		if err != nil {
			s.reply.Err = err
			return
		}
		s.seen++
		if bytes.Equal(ev.Data, done) {
			return
		}
		if ev.Name == "error" {
			s.reply.Err = reported(ev.Data)
			return
		}
		var e event
		if err := json.Unmarshal(ev.Data, &e); err != nil {
			s.reply.Err = engines.Errorf(engines.Protocol, "read event %d of the reply: %w in %.80q", s.seen, err, ev.Data)
			return
		}
		if (len(e.Error) > 0 || e.Choices == nil) && httpstream.IsError(ev.Data) {
			s.reply.Err = reported(ev.Data)
			return
		}
		s.add(ev, &e)
		switch s.reply.Finish {
		case "abort", "error":
			s.reply.Err = engines.Errorf(engines.EngineError, "the engine gave the request up: finish reason %q after %d token events", s.reply.Finish, len(s.parts))
			return
		}
	}
}

func reported(event []byte) *engines.Error {
	return engines.Errorf(engines.EngineError, "the engine reports: %s", httpstream.ErrorText(event))
}

// add notes one event.
func (s *stream) add(ev sse.Event, e *event) {
	p := part{at: engines.Event{Arrival: ev.Arrival, Chunk: ev.Chunk}, total: -1}
	if u := e.Usage; u != nil {
		if u.CompletionTokens != nil {
			s.total, p.total = *u.CompletionTokens, *u.CompletionTokens
		}
		if u.PromptTokens > 0 {
			s.reply.PromptTokens = u.PromptTokens
		}
		if u.Details != nil && u.Details.Cached != nil {
			s.reply.CachedTokens = *u.Details.Cached
		}
	}
	if m := e.Metrics; m != nil && m.TTFT > 0 && m.TTFT < float64(time.Hour.Milliseconds()) {
		s.reply.ServerTTFT = time.Duration(m.TTFT * float64(time.Millisecond))
	}
	if len(e.Choices) == 0 {
		return
	}
	for i := range e.Choices {
		choice := &e.Choices[i]
		before := s.text.Len()
		for _, text := range []string{choice.Text, choice.Delta.Reasoning, choice.Delta.ReasoningContent, choice.Delta.Content, choice.Delta.Refusal} {
			s.text.WriteString(text)
		}
		p.text = p.text || s.text.Len() > before || filled(choice.Delta.ToolCalls) || filled(choice.Delta.FunctionCall)
		p.ids += len(choice.TokenIDs) + len(choice.GenTokens)
		s.reply.IDs = append(append(s.reply.IDs, choice.TokenIDs...), choice.GenTokens...)
		if choice.FinishReason != "" {
			s.reply.Finish = choice.FinishReason
		}
	}
	s.ids += p.ids
	s.parts = append(s.parts, p)
}

// filled reports whether a JSON array or object has anything in it.
func filled(raw json.RawMessage) bool {
	switch string(raw) {
	case "", "null", "[]", "{}":
		return false
	}
	return true
}

// count makes the token-bearing events of the parts, by the best source that
// the reply has: ids, else usage on every event, else the text, whose tokens
// are not known. The engine's total is its usage; ids that differ from it are
// a doubt.
func (s *stream) count() {
	r, growth, sum := &s.reply, s.growth(), 0
	for i, p := range s.parts {
		bears := p.text
		switch {
		case s.ids > 0:
			p.at.Tokens, bears = p.ids, p.ids > 0
		case growth != nil:
			p.at.Tokens, bears = growth[i], growth[i] > 0
		}
		if bears {
			sum += p.at.Tokens
			r.Events = append(r.Events, p.at)
		}
	}
	switch {
	case s.total < 0 && s.ids == 0:
	case s.total < 0 || s.total == s.ids:
		r.Counted, r.Tokens = countedIDs, s.ids
	default:
		r.Counted, r.Tokens = countedUsage, s.total
		if sum > 0 && sum != s.total {
			r.Warnings = append(r.Warnings, fmt.Sprintf("the engine counts %d output tokens, its events carry %d", s.total, sum))
		}
	}
}

// growth is how much the running count of tokens grew with each part; nil if
// usage is no running count: it then stands on every part that says anything,
// and never falls. One usage on the only such part is both, count and total.
func (s *stream) growth() []int {
	growth, last := make([]int, len(s.parts)), 0
	for i, p := range s.parts {
		switch {
		case p.total < 0 && !p.text: // a role or a finish reason
		case p.total < last:
			return nil
		default:
			growth[i], last = p.total-last, p.total
		}
	}
	if last == 0 {
		return nil
	}
	return growth
}

// event is what is read of one event of either endpoint; fields by vLLM 0.32
// and, where named, others.
type event struct {
	Choices []choice        `json:"choices"`
	Usage   *usage          `json:"usage"`
	Error   json.RawMessage `json:"error"`
	Metrics *struct {
		TTFT float64 `json:"time_to_first_token_ms"`
	} `json:"metrics"`
}

type choice struct {
	Text         string  `json:"text"`
	Delta        delta   `json:"delta"`
	FinishReason string  `json:"finish_reason"`
	TokenIDs     []int32 `json:"token_ids"`
	GenTokens    []int32 `json:"gen_tokens"` // LMDeploy's name of them
}

type delta struct {
	Content          string          `json:"content"`
	Reasoning        string          `json:"reasoning"`
	ReasoningContent string          `json:"reasoning_content"` // its older name
	Refusal          string          `json:"refusal"`
	ToolCalls        json.RawMessage `json:"tool_calls"`
	FunctionCall     json.RawMessage `json:"function_call"`
}

type usage struct {
	PromptTokens     int  `json:"prompt_tokens"`
	CompletionTokens *int `json:"completion_tokens"`
	Details          *struct {
		Cached *int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
}
