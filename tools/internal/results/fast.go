package results

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"

	"enginebench/engines"
	"enginebench/workload"
)

// decodeSample decodes a {"sample":…} line. Most of a line is two lists of
// integers, one item a token, which encoding/json reads at a tenth of the speed
// that a directory of a million requests asks for; so lines of the shape that
// Go's encoder writes go through the scanner below, and every other line
// through encoding/json. A fuzz test holds the two to the same answer.
func decodeSample(line []byte, into *workload.Sample) error {
	before := *into
	// The lists keep their room from an earlier line; everything else is reset.
	empty := workload.Sample{Gaps: before.Gaps[:0], GapTokens: before.GapTokens[:0]}
	*into = empty
	s := scanner{rest: line, ok: true}
	if s.sample(into, &before); s.ok {
		return nil
	}
	*into = empty
	return decodeSlow(line, into)
}

func decodeSlow(line []byte, into *workload.Sample) error {
	wrapped := struct {
		Sample *workload.Sample `json:"sample"`
	}{into}
	if err := json.Unmarshal(line, &wrapped); err != nil {
		return err
	}
	if wrapped.Sample == nil {
		return errors.New("it is null")
	}
	return nil
}

// scanner reads compact JSON of known shape. ok turns false at the first byte
// of another shape; what was read until then is worth nothing.
type scanner struct {
	rest []byte
	ok   bool
}

func (s *scanner) sample(into, before *workload.Sample) {
	s.literal(`{"sample":{`)
	for s.ok {
		key := s.quoted()
		s.literal(":")
		s.field(key, into, before)
		if !s.more('}') {
			break
		}
	}
	s.literal("}")
	s.ok = s.ok && len(s.rest) == 0
}

// field reads the value of one key. Texts that repeat from line to line are
// taken from the line before.
func (s *scanner) field(key []byte, into, before *workload.Sample) {
	switch string(key) {
	case "engine":
		into.Engine = s.text(before.Engine)
	case "cell":
		into.Cell = s.text(before.Cell)
	case "run":
		into.Run = int(s.integer())
	case "index":
		into.Index = int(s.integer())
	case "measured":
		into.Measured = s.boolean()
	case "prompt":
		into.Prompt = s.text("")
	case "status":
		into.Status = workload.Status(s.text(string(before.Status)))
	case "class":
		into.Class = engines.Class(s.text(string(before.Class)))
	case "error":
		into.Error = s.text(before.Error)
	case "intended-ns":
		into.Intended = time.Duration(s.integer())
	case "origin-ns":
		into.Origin = time.Duration(s.integer())
	case "send-ns":
		into.Send = time.Duration(s.integer())
	case "connect-ns":
		into.Connect = time.Duration(s.integer())
	case "head-ns":
		into.Head = time.Duration(s.integer())
	case "first-chunk-ns":
		into.FirstChunk = time.Duration(s.integer())
	case "first-token-ns":
		into.FirstToken = time.Duration(s.integer())
	case "last-token-ns":
		into.LastToken = time.Duration(s.integer())
	case "end-ns":
		into.End = time.Duration(s.integer())
	case "prompt-tokens":
		into.PromptLen = int(s.integer())
	case "engine-prompt-tokens":
		into.EnginePromptLen = int(s.integer())
	case "cached-tokens":
		n := int(s.integer())
		into.CachedLen = &n
	case "output-tokens-wanted":
		into.Wanted = int(s.integer())
	case "forced":
		into.Forced = s.boolean()
	case "output-tokens":
		n := int(s.integer())
		into.Tokens = &n
	case "counted":
		into.Counted = s.text(before.Counted)
	case "first-event-tokens":
		into.FirstEvent = int(s.integer())
	case "events":
		into.Events = int(s.integer())
	case "released-ns":
		into.Released = time.Duration(s.integer())
	case "first-read-events":
		into.FirstRead = int(s.integer())
	case "coalesced":
		into.Coalesced = int(s.integer())
	case "gaps-ns":
		into.Gaps = integers(s, into.Gaps[:0])
	case "gap-tokens":
		into.GapTokens = integers(s, into.GapTokens[:0])
	case "client-delay-max-ns":
		into.ClientDelayMax = time.Duration(s.integer())
	case "server-ttft-ns":
		into.ServerTTFT = time.Duration(s.integer())
	case "finish":
		into.Finish = s.text(before.Finish)
	case "output-hash":
		into.OutputHash = s.text("")
	case "stamp":
		into.Stamp = s.text(before.Stamp)
	default:
		s.ok = false // a newer writer's field
	}
}

func (s *scanner) literal(want string) {
	if !s.ok || len(s.rest) < len(want) || string(s.rest[:len(want)]) != want {
		s.ok = false
		return
	}
	s.rest = s.rest[len(want):]
}

// more reads the comma before another item, or the end of the list.
func (s *scanner) more(end byte) bool {
	if !s.ok || len(s.rest) == 0 {
		s.ok = false
		return false
	}
	next := s.rest[0]
	s.rest = s.rest[1:]
	s.ok = next == ',' || next == end
	return next == ','
}

// quoted reads a string of printable ASCII without escapes.
func (s *scanner) quoted() []byte {
	s.literal(`"`)
	if !s.ok {
		return nil
	}
	end := bytes.IndexByte(s.rest, '"')
	if end < 0 {
		s.ok = false
		return nil
	}
	text := s.rest[:end]
	for _, c := range text {
		if c < ' ' || c > '~' || c == '\\' {
			s.ok = false
			return nil
		}
	}
	s.rest = s.rest[end+1:]
	return text
}

func (s *scanner) text(before string) string {
	text := s.quoted()
	if string(text) == before {
		return before
	}
	return string(text)
}

func (s *scanner) boolean() bool {
	if bytes.HasPrefix(s.rest, []byte("true")) {
		s.literal("true")
		return true
	}
	s.literal("false")
	return false
}

// integer reads up to 18 digits, which cannot overflow.
func (s *scanner) integer() int64 {
	digits, n := s.rest, int64(0)
	negative := len(digits) > 0 && digits[0] == '-'
	if negative {
		digits = digits[1:]
	}
	i := 0
	for ; i < len(digits) && digits[i]-'0' <= 9; i++ {
		n = n*10 + int64(digits[i]-'0')
		if i >= 18 {
			s.ok = false
			return 0
		}
	}
	if i == 0 || i > 1 && digits[0] == '0' {
		s.ok = false
		return 0
	}
	s.rest = digits[i:]
	if negative {
		return -n
	}
	return n
}

func integers[T ~int | ~int64](s *scanner, into []T) []T {
	s.literal("[")
	if s.ok && len(s.rest) > 0 && s.rest[0] == ']' {
		s.rest = s.rest[1:]
		return into
	}
	for s.ok {
		into = append(into, T(s.integer()))
		if !s.more(']') {
			break
		}
	}
	return into
}
