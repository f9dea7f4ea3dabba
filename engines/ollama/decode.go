package ollama

import (
	"encoding/json"
	"strings"

	"enginebench/engines"
	"enginebench/engines/capture"
	"enginebench/engines/httpstream"
	"enginebench/engines/sse"
)

// Dialect names the decoder, as engines.Info does.
const Dialect = "ollama.generate"

const countedEval = "eval_count"

// Decoder returns the decoder of a dialect of this package.
func Decoder(dialect string) (engines.Decoder, bool) { return decoder{}, dialect == Dialect }

type decoder struct{}

// line is one of an /api/generate reply; the last has done and the counts.
type line struct {
	Response   string          `json:"response"`
	Thinking   string          `json:"thinking"`
	Done       bool            `json:"done"`
	DoneReason string          `json:"done_reason"`
	PromptEval int             `json:"prompt_eval_count"`
	Eval       *int            `json:"eval_count"`
	Error      json.RawMessage `json:"error"`
}

// Decode implements [engines.Decoder].
func (decoder) Decode(c *capture.Capture) engines.Reply {
	r := engines.Reply{CachedTokens: -1}
	if r.Err = httpstream.Refused(c); r.Err != nil {
		return r
	}
	httpstream.End(c, &r, read(c, &r))
	return r
}

// read decodes the lines into r and reports whether the last came. Older
// versions give no done_reason, so done alone ends a reply.
func read(c *capture.Capture, r *engines.Reply) (done bool) {
	var text strings.Builder
	defer func() { r.Text = text.String() }()
	seen := 0
	for ev, err := range sse.Lines(c) {
		if err != nil {
			r.Err = err
			return false
		}
		seen++
		var l line
		if err := json.Unmarshal(ev.Data, &l); err != nil {
			if r.Err = httpstream.NotAStream(c); seen > 1 || r.Err == nil {
				r.Err = engines.Errorf(engines.Protocol, "read line %d of the reply: %w in %.80q", seen, err, ev.Data)
			}
			return false
		}
		if len(l.Error) > 0 && httpstream.IsError(ev.Data) {
			r.Err = engines.Errorf(engines.EngineError, "the engine reports: %s", httpstream.ErrorText(ev.Data))
			return false
		}
		if l.Response != "" || l.Thinking != "" {
			r.Events = append(r.Events, engines.Event{Arrival: ev.Arrival, Chunk: ev.Chunk})
			text.WriteString(l.Thinking)
			text.WriteString(l.Response)
		}
		if l.Done {
			r.Finish, r.PromptTokens = l.DoneReason, l.PromptEval
			if l.Eval != nil {
				r.Tokens, r.Counted = *l.Eval, countedEval
			}
			return true
		}
	}
	return false
}
