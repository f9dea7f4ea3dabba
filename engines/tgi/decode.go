package tgi

import (
	"encoding/json"
	"fmt"
	"strings"

	"enginebench/engines"
	"enginebench/engines/capture"
	"enginebench/engines/httpstream"
	"enginebench/engines/sse"
)

// Dialect names the decoder, as engines.Info does.
const Dialect = "tgi.generate_stream"

const countedIDs = "token ids"

// Decoder returns the decoder of a dialect of this package.
func Decoder(dialect string) (engines.Decoder, bool) { return decoder{}, dialect == Dialect }

type decoder struct{}

// event is one of a /generate_stream reply. The last has the details; there is
// no [DONE].
type event struct {
	Token *struct {
		ID      int32  `json:"id"`
		Text    string `json:"text"`
		Special bool   `json:"special"`
	} `json:"token"`
	Details *struct {
		Finish    string `json:"finish_reason"`
		Generated int    `json:"generated_tokens"`
		Input     int    `json:"input_length"`
	} `json:"details"`
	Error json.RawMessage `json:"error"`
}

// Decode implements [engines.Decoder].
func (decoder) Decode(c *capture.Capture) engines.Reply {
	r := engines.Reply{CachedTokens: -1}
	if r.Err = httpstream.Refused(c); r.Err != nil {
		return r
	}
	seen := read(c, &r)
	if r.Err == nil && seen == 0 {
		r.Err = httpstream.NotAStream(c)
	}
	httpstream.End(c, &r, r.Finish != "")
	return r
}

// read decodes the events into r and returns how many there were.
func read(c *capture.Capture, r *engines.Reply) (seen int) {
	var text strings.Builder
	defer func() { r.Text = text.String() }()
	for ev, err := range sse.Events(c) {
		if err != nil {
			r.Err = err
			return seen
		}
		seen++
		var e event
		if err := json.Unmarshal(ev.Data, &e); err != nil {
			r.Err = engines.Errorf(engines.Protocol, "read event %d of the reply: %w in %.80q", seen, err, ev.Data)
			return seen
		}
		if (len(e.Error) > 0 || e.Token == nil) && httpstream.IsError(ev.Data) {
			r.Err = engines.Errorf(engines.EngineError, "the engine reports: %s", httpstream.ErrorText(ev.Data))
			return seen
		}
		if e.Token != nil {
			r.Events = append(r.Events, engines.Event{Arrival: ev.Arrival, Tokens: 1, Chunk: ev.Chunk})
			r.IDs = append(r.IDs, e.Token.ID)
			r.Tokens, r.Counted = len(r.IDs), countedIDs
			if !e.Token.Special { // as the server's own generated_text
				text.WriteString(e.Token.Text)
			}
		}
		if d := e.Details; d != nil {
			r.Finish, r.PromptTokens = d.Finish, d.Input
			if d.Generated != len(r.IDs) {
				r.Warnings = append(r.Warnings, fmt.Sprintf("the engine counts %d output tokens and sent %d", d.Generated, len(r.IDs)))
				r.Tokens, r.Counted = d.Generated, "details"
			}
		}
	}
	return seen
}
