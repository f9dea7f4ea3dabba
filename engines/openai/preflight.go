package openai

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"enginebench/engines"
)

// preflight finds the shape that a server takes, by requests of one token that
// go through a real slot and are decoded as the run's are.
type preflight struct {
	engine    *Engine
	info      *engines.Info
	slot      engines.Slot
	id        engines.RequestID
	status    int // HTTP status of the last reply
	exchanges []engines.Exchange
}

// The prompt of a preflight: ids that every vocabulary has, and words.
var (
	preflightTokens = []int32{11, 12, 13, 14, 15, 16, 17, 18}
	preflightText   = "Count from one to ten: one, two, three,"
)

// refusal is a field that the server refused, in its words.
type refusal struct {
	field field
	err   error
}

func (p *preflight) run(ctx context.Context) error {
	slot, err := p.engine.Dial(ctx)
	if err != nil {
		return fmt.Errorf("preflight: %w", err)
	}
	defer slot.Close()
	p.slot, p.id = slot, engines.RequestID{Invocation: strconv.FormatUint(rand.Uint64(), 36), Cell: "preflight"}

	shape, reply, refused, err := p.settle(ctx, p.engine.shape)
	if err != nil && p.engine.prompt == "auto" && p.refused(err) {
		asText := p.engine.shape
		asText.text = true
		var textErr error
		if shape, reply, refused, textErr = p.settle(ctx, asText); textErr != nil {
			return p.hopeless(err)
		}
		p.warn("the server takes no token ids as a prompt (%s): prompts go as text, which it splits into tokens its own way", reason(err))
		err = nil
	}
	if err != nil {
		return p.hopeless(err)
	}
	for _, r := range refused {
		p.warn("the server refuses %s (%s): %s", r.field.name, reason(r.err), r.field.lost)
	}
	p.check(shape, reply)
	shape, reply = p.countEvents(ctx, shape, reply)
	p.engine.shape = shape
	p.info.TakesTokens = !shape.text
	p.info.Counts = reply.Counted
	p.info.PerEvent = len(reply.Events) > 0 && reply.Events[0].Tokens > 0
	p.info.ForcesOutput = p.forces(ctx, shape)
	p.info.TakesSalt = shape.sends("cache_salt") && p.reads(ctx, shape, "cache_salt")
	switch {
	case p.info.Counts == "":
		p.warn("the server gives no token counts: token metrics are absent")
	case !p.info.PerEvent:
		p.warn("the server does not say how many tokens an event carries: tpot and itl are absent")
	}
	return nil
}

// hopeless is why no shape was taken.
func (p *preflight) hopeless(err error) error {
	if p.status == http.StatusNotFound && !p.engine.chat {
		return fmt.Errorf("preflight: %w; a server that has chat only is asked with ?api=chat", err)
	}
	return fmt.Errorf("preflight: %w", err)
}

func (p *preflight) warn(format string, args ...any) {
	p.info.Warnings = append(p.info.Warnings, fmt.Sprintf(format, args...))
}

// reason is a server's own words, short enough for a part of a line.
func reason(err error) string {
	text := err.Error()
	if _, after, ok := strings.Cut(text, "answered "); ok {
		text = after
	}
	if len(text) > 160 {
		text = strings.ToValidUTF8(text[:160], "") + "…"
	}
	return text
}

// refused reports whether the last request failed in a way that may go away
// with another shape.
func (p *preflight) refused(err error) bool {
	switch engines.ClassOf(err) {
	case engines.Rejected, engines.EngineError, engines.Protocol:
		return p.status != http.StatusUnauthorized && p.status != http.StatusForbidden
	}
	return false
}

// settle finds which optional fields a server refuses: with all of them, with
// none, then, if none works and all do not, one more at a time.
func (p *preflight) settle(ctx context.Context, s shape) (shape, engines.Reply, []refusal, error) {
	reply, err := p.try(ctx, s, 1)
	if err == nil || !p.refused(err) {
		return s, reply, nil, err
	}
	bare := s
	for _, f := range s.optional() {
		if s.sends(f.name) {
			bare = bare.without(f.name)
		}
	}
	if reply, err = p.try(ctx, bare, 1); err != nil {
		return s, reply, nil, err
	}
	var refused []refusal
	settled := bare
	for _, f := range s.optional() {
		if !s.sends(f.name) {
			continue
		}
		more := settled
		more.drop = slices.DeleteFunc(slices.Clone(settled.drop), func(name string) bool { return name == f.name })
		got, err := p.try(ctx, more, 1)
		switch {
		case err == nil:
			settled, reply = more, got
		case p.refused(err):
			refused = append(refused, refusal{f, err})
		default:
			return s, reply, nil, err
		}
	}
	return settled, reply, refused, nil
}

// check compares a reply with what was asked for.
func (p *preflight) check(s shape, reply engines.Reply) {
	if reply.Counted != "" && reply.Tokens > 1 {
		p.warn("one token was asked for and %d came: the server does not heed the limit", reply.Tokens)
	}
	if n := len(preflightTokens); !s.text && reply.PromptTokens > 0 && reply.PromptTokens != n {
		p.warn("%d prompt tokens were sent and the engine counts %d: it changes prompts", n, reply.PromptTokens)
	}
	p.info.Warnings = append(p.info.Warnings, reply.Warnings...)
}

// countEvents looks for the best source of tokens per event. Ids are exact and
// short. Where they do not come, usage on every event is asked for, and
// believed when it stands on several events of a longer reply: on a reply of
// one event it may be the total.
func (p *preflight) countEvents(ctx context.Context, s shape, reply engines.Reply) (shape, engines.Reply) {
	if reply.Counted == countedIDs {
		return s, reply
	}
	if s.sends("return_token_ids") {
		s = s.without("return_token_ids") // taken, to no effect
	}
	if !s.sends("stream_options") {
		return s, reply
	}
	running := s.with("stream_options", `{"include_usage":true,"continuous_usage_stats":true}`)
	longer, err := p.try(ctx, running, 4)
	if err == nil && len(longer.Events) > 1 && longer.Events[0].Tokens > 0 {
		return running, longer
	}
	for i := range reply.Events {
		reply.Events[i].Tokens = 0
	}
	return s, reply
}

// forces reports whether the server gives exactly as many tokens as asked for.
func (p *preflight) forces(ctx context.Context, s shape) bool {
	switch p.engine.force {
	case "yes":
		return true
	case "no":
		return false
	}
	for _, name := range forcing {
		if s.sends(name) && (p.info.Server == "llama.cpp" || p.reads(ctx, s, name)) {
			return true // llama.cpp reads ignore_eos and passes over nonsense in it
		}
	}
	p.warn("the number of output tokens can't be forced: the server refuses or ignores %s (?force=yes if it does heed them)", strings.Join(forcing, " and "))
	return false
}

// reads reports whether the server reads a field at all: many take unknown
// fields in silence, but one that reads a field refuses nonsense in it.
func (p *preflight) reads(ctx context.Context, s shape, name string) bool {
	_, err := p.try(ctx, s.with(name, `{}`), 1)
	return err != nil && p.refused(err)
}

// try sends one request for n tokens and keeps the exchange.
func (p *preflight) try(ctx context.Context, s shape, n int) (engines.Reply, error) {
	body, err := s.encode(engines.Request{Tokens: preflightTokens, Text: preflightText, OutputTokens: n, Salt: "preflight"})
	if err != nil {
		return engines.Reply{}, err
	}
	reply, exchange, err := p.engine.cfg.Ask(ctx, p.slot, p.engine, engines.Message{ID: p.id.String(), Body: body})
	p.id.Index++
	if p.status = exchange.Status; p.status != 0 {
		p.exchanges = append(p.exchanges, exchange)
	}
	return reply, err
}
