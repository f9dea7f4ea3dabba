package triton

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"enginebench/engines"
	"enginebench/engines/capture"
	"enginebench/engines/grpcstream"
	pb "enginebench/engines/triton/inference"
)

// Where token counts come from, as Reply.Counted says it.
const (
	countedIDs    = "token ids"
	countedTensor = "num_output_tokens"
)

// Decoder gives the decoder of a dialect, for captures that are played without
// a server. All five are read alike: a response names its tensors and their
// datatypes, and the rest is found out from the reply.
func Decoder(dialect string) (engines.Decoder, bool) {
	if !slices.Contains(Dialects, dialect) {
		return nil, false
	}
	return &decoder{}, true
}

type decoder struct {
	blockTokens int // tokens in a block of the KV cache; 0 unknown
}

// Decode implements [engines.Decoder]. A reply is whole when a response came
// with triton_final_response and the stream ended well; the call's status is
// OK for failed requests too, so it says nothing by itself
// (src/grpc/stream_infer_handler.cc).
func (d *decoder) Decode(c *capture.Capture) engines.Reply {
	r := &reading{c: c, blocks: -1}
	for i := range c.Chunks {
		if r.err = r.message(i); r.err != nil {
			break
		}
	}
	reply := r.reply()
	if d.blockTokens > 0 && r.blocks >= 0 {
		reply.CachedTokens = r.blocks * d.blockTokens
	} else if r.blocks == 0 {
		reply.CachedTokens = 0
	}
	reply.Err = r.verdict(&reply)
	return reply
}

// reading is a reply while its responses are read.
type reading struct {
	c         *capture.Capture
	responses []response // that carried text or tokens
	ids       []int32
	final     bool
	prompt    int
	blocks    int // reused blocks of the KV cache; -1: not given
	finish    string
	ttft      time.Duration
	err       *engines.Error
}

// response is what one response says of tokens.
type response struct {
	chunk   int
	tokens  int    // how many it carried
	counted string // by what; "": not known
	text    string
}

// message reads chunk i, one ModelStreamInferResponse.
func (r *reading) message(i int) *engines.Error {
	var m pb.ModelStreamInferResponse
	if err := proto.Unmarshal(r.c.Chunk(i), &m); err != nil {
		return engines.Errorf(engines.Protocol, "read response %d: %w", i, err)
	}
	final, said := m.GetInferResponse().GetParameters()["triton_final_response"]
	if m.ErrorMessage != "" {
		return engines.Errorf(r.errorClass(m.ErrorMessage, said), "the server says: %s", oneLine(m.ErrorMessage))
	}
	if m.InferResponse == nil {
		return engines.Errorf(engines.Protocol, "read response %d: it is empty", i)
	}
	if r.final {
		return engines.Errorf(engines.Protocol, "read response %d: it came after the final one", i)
	}
	r.final = final.GetBoolParam()
	return r.outputs(i, m.InferResponse)
}

func (r *reading) outputs(i int, m *pb.ModelInferResponse) *engines.Error {
	now := response{chunk: i}
	var arrived, first int64
	for j, out := range m.Outputs {
		if j >= len(m.RawOutputContents) {
			return engines.Errorf(engines.Protocol, "read response %d: output %s has no contents", i, out.Name)
		}
		raw := m.RawOutputContents[j]
		var err error
		switch out.Name {
		case "output_ids":
			before := len(r.ids)
			if r.ids, err = decodeInts(r.ids, out.Datatype, raw); err == nil {
				now.tokens, now.counted = len(r.ids)-before, countedIDs
			}
		case "num_output_tokens":
			// Of this response alone (TRT-LLM's fillTritonResponse, the vLLM
			// backend's create_response), one for each sequence. Ids are the
			// better count where both come.
			var n int
			if n, err = total(out.Datatype, raw); err == nil && now.counted == "" {
				now.tokens, now.counted = n, countedTensor
			}
		case "text_output":
			now.text, err = decodeText(out.Datatype, raw)
		case "finish_reason":
			var reason string
			if reason, err = decodeText(out.Datatype, raw); reason != "" && reason != "None" {
				r.finish = reason
			}
		case "num_input_tokens":
			r.prompt, err = total(out.Datatype, raw)
		case "kv_cache_reused_blocks":
			r.blocks, err = total(out.Datatype, raw)
		case "arrival_time_ns":
			arrived, err = one(out.Datatype, raw)
		case "first_token_time_ns":
			first, err = one(out.Datatype, raw)
		}
		if err != nil {
			return engines.Errorf(engines.Protocol, "read response %d: output %s: %w", i, out.Name, err)
		}
	}
	if arrived > 0 && first > arrived {
		r.ttft = time.Duration(first - arrived)
	}
	if now.tokens > 0 || now.text != "" {
		r.responses = append(r.responses, now)
	}
	return nil
}

// one is the first element of an integer tensor; 0 if it has none.
func one(datatype string, raw []byte) (int64, error) {
	var buf [4]int64
	all, err := decodeInts(buf[:0], datatype, raw)
	if err != nil || len(all) == 0 {
		return 0, err
	}
	return all[0], nil
}

// maxCount bounds a count that a server gives, so that sums stay in range.
const maxCount = 1 << 30

// total is the sum of an integer tensor that counts things.
func total(datatype string, raw []byte) (int, error) {
	var buf [4]int64
	all, err := decodeInts(buf[:0], datatype, raw)
	sum := int64(0)
	for _, n := range all {
		if n < 0 || n > maxCount || sum > maxCount {
			return 0, fmt.Errorf("%d is no count", n)
		}
		sum += n
	}
	return int(sum), err
}

// reply puts together what was read.
func (r *reading) reply() engines.Reply {
	reply := engines.Reply{PromptTokens: r.prompt, CachedTokens: -1, Finish: r.finish, IDs: r.ids, ServerTTFT: r.ttft}
	running := cumulative(r.responses)
	var all strings.Builder
	shown := ""
	for _, now := range r.responses {
		fresh := now.text
		if running {
			fresh = strings.TrimPrefix(now.text, shown)
			shown, fresh = settled(now.text), settled(fresh)
		}
		all.WriteString(fresh)
		if now.counted != "" {
			reply.Counted = now.counted
			reply.Tokens += now.tokens
		}
		if now.tokens > 0 || now.counted == "" && fresh != "" {
			reply.Events = append(reply.Events, engines.Event{Arrival: r.c.Chunks[now.chunk].Arrival, Tokens: now.tokens, Chunk: now.chunk})
		}
	}
	reply.Text = all.String()
	return reply
}

// cumulative tells text that is repeated with each response, as llmapi and a
// BLS model with accumulate_tokens give it, from text that only adds: each
// begins with the one before, and it grows.
func cumulative(responses []response) bool {
	before, grew := "", false
	for _, now := range responses {
		if now.text == "" {
			continue
		}
		if !strings.HasPrefix(now.text, before) {
			return false
		}
		grew = grew || before != "" && len(now.text) > len(before)
		before = settled(now.text)
	}
	return grew
}

// settled is text without the replacement characters at its end, which stand
// for a character whose last bytes are still to come.
func settled(s string) string { return strings.TrimRight(s, "\uFFFD") }

// verdict is the reply's error. What the bytes say comes before how the
// transport ended, except that a good reply needs a good end.
func (r *reading) verdict(reply *engines.Reply) *engines.Error {
	var known *engines.Error
	t := r.c.Trailer
	switch {
	case r.err != nil:
		return r.err
	case errors.As(r.c.Err, &known):
		return known
	case r.c.Err != nil:
		return &engines.Error{Class: engines.Protocol, Err: r.c.Err}
	case t.Status != 0:
		code := codes.Code(t.Status)
		return engines.Errorf(grpcstream.StatusClass(code, len(r.c.Chunks) > 0), "the server answered %s: %s", code, oneLine(t.Message))
	case !t.Clean:
		return engines.Errorf(engines.Truncated, "the stream ended without its status, after %d responses", len(r.c.Chunks))
	case !r.final:
		return engines.Errorf(engines.Incomplete, "the stream ended without a final response, after %d responses", len(r.c.Chunks))
	case len(reply.Events) == 0:
		return engines.Errorf(engines.Empty, "the reply is whole and has no token")
	}
	return nil
}

// errorClass tells by whom and why a request failed. Once tokens came it is
// the engine. Before that, the server refuses without saying
// triton_final_response, and the engine by words alone.
func (r *reading) errorClass(message string, said bool) engines.Class {
	low := strings.ToLower(message)
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(low, w) })
	}
	switch {
	case len(r.responses) > 0:
		return engines.EngineError
	case has("queue size", "queue full", "queue is full", "too many requests"):
		return engines.Throttled
	case has("stopping", "shutting down", "unavailable", "not ready", "not live"):
		return engines.EngineError
	case !said, has("unknown", "not found", "invalid", "expect", "exceed", "missing", "must ", "outside", "unsupported", "not supported", "too long", "larger than", "longer than"):
		return engines.Rejected
	}
	return engines.EngineError
}

// maxErrorText bounds what of a server's words goes into one line.
const maxErrorText = 300

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxErrorText {
		s = strings.ToValidUTF8(s[:maxErrorText], "") + "…"
	}
	return s
}
