package httpstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"enginebench/engines"
	"enginebench/engines/capture"
)

// Refused is the error of a capture whose status is not 200, so that its body
// is no stream; nil for all others.
func Refused(c *capture.Capture) *engines.Error {
	status := c.Head.Status
	if status == 0 || status == http.StatusOK {
		return nil
	}
	if class := StatusClass(status); engines.ClassOf(c.Err) != class {
		return engines.Errorf(class, "the server answered %d %s: %s", status, http.StatusText(status), ErrorText(c.Data))
	}
	return transport(c)
}

// End finishes the reply of a body that was decoded: it sets r.Err, where that
// is not set yet, by the rules that hold for every stream. The transport must
// have ended well; finished says that the reply's terminal event came, without
// which a clean end is no success; and there must have been a token.
func End(c *capture.Capture, r *engines.Reply, finished bool) {
	if r.Err != nil {
		return
	}
	switch r.Err = transport(c); {
	case r.Err != nil:
	case !finished && c.Trailer.Clean:
		r.Err = engines.Errorf(engines.Incomplete, "read the reply: it ended without a finish reason, after %d token events", len(r.Events))
	case !finished:
		r.Err = engines.Errorf(engines.Truncated, "read the reply: it was cut off after %d token events", len(r.Events))
	case len(r.Events) == 0 && r.Tokens > 0:
		r.Err = engines.Errorf(engines.Empty, "read the reply: the engine counts %d tokens, but no event carried any", r.Tokens)
	case len(r.Events) == 0:
		r.Err = engines.Errorf(engines.Empty, "read the reply: it ended (%s) without a token", r.Finish)
	}
}

func transport(c *capture.Capture) *engines.Error {
	var failure *engines.Error
	switch {
	case c.Err == nil:
		return nil
	case errors.As(c.Err, &failure):
		return failure
	}
	return &engines.Error{Class: engines.Protocol, Err: c.Err}
}

// NotAStream says what a body without a single event is, where the transport
// ended well: a page, a document, or an error as one. It is nil for an empty
// body.
func NotAStream(c *capture.Capture) *engines.Error {
	body := bytes.TrimSpace(c.Data)
	if len(body) == 0 || c.Err != nil {
		return nil
	}
	text := strings.ToLower(string(body[:min(len(body), 100)]))
	switch {
	case body[0] == '<' && strings.Contains(text, "html"):
		return engines.Errorf(engines.Protocol, "read the reply: a web page came, not a stream; is the URL an engine's?")
	case body[0] == '{' && IsError(body):
		return engines.Errorf(engines.EngineError, "the engine answered 200 with an error: %s", ErrorText(body))
	case body[0] == '{':
		return engines.Errorf(engines.Protocol, "read the reply: one JSON document came, not a stream; the server or something before it ignored stream=true")
	}
	return engines.Errorf(engines.Protocol, "read the reply: no event in %d bytes that begin with %.40q", len(body), body)
}

// IsError reports whether a JSON object is an error in one of the spellings
// that [ErrorText] reads.
func IsError(object []byte) bool {
	var reply struct {
		Object  string          `json:"object"`
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
		Detail  json.RawMessage `json:"detail"`
		Choices json.RawMessage `json:"choices"`
	}
	if json.Unmarshal(object, &reply) != nil {
		return false
	}
	switch string(reply.Error) {
	case "", "null", "false", `""`:
		return reply.Object == "error" || reply.Choices == nil && (reply.Message != "" || len(reply.Detail) > 0)
	}
	return true
}

// HasError implements [engines.ErrorScanner] for the dialects that stream
// JSON: an "error" key whose value is an object or a text that is not empty. In
// a token's text the quotes would be escaped.
func HasError(c *capture.Capture) bool {
	key := []byte(`"error":`)
	for rest := c.Data; ; {
		at := bytes.Index(rest, key)
		if at < 0 {
			return false
		}
		rest = bytes.TrimLeft(rest[at+len(key):], " ")
		if bytes.HasPrefix(rest, []byte("{")) || bytes.HasPrefix(rest, []byte(`"`)) && !bytes.HasPrefix(rest, []byte(`""`)) {
			return true
		}
	}
}
