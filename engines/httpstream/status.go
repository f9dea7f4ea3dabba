package httpstream

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"enginebench/engines"
)

// statusError says why a server refused, in its own words where they can be
// found.
func (c *Config) statusError(status int, header http.Header, body []byte) *engines.Error {
	class, advice := StatusClass(status), ""
	switch {
	case class == engines.Throttled && header.Get("Retry-After") != "":
		advice = "; it asks to retry after " + header.Get("Retry-After") + " s"
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		advice = "; set " + c.KeyName + " or OPENAI_API_KEY in the environment"
	case status == http.StatusBadRequest && bytes.Contains(body, []byte("HTTPS")):
		advice = "; it speaks TLS: use https://" // as net/http and nginx say it
	case status >= 300 && status < 400:
		advice = "; redirects are not followed, use the address " + header.Get("Location")
	}
	return engines.Errorf(class, "%s answered %d %s: %s%s", c.Base.Host, status, http.StatusText(status), ErrorText(body), advice)
}

// StatusClass is the class of a reply with an HTTP status other than 200.
func StatusClass(status int) engines.Class {
	switch {
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return engines.Throttled
	case status < 500:
		return engines.Rejected
	}
	return engines.EngineError
}

// maxErrorText bounds what of a server's words goes into one line.
const maxErrorText = 300

// ErrorText finds the message in a server's error reply, in the spellings that
// are in use: {"error":{"message":…}}, {"error":"…"}, {"message":…},
// {"detail":…}; else it is the beginning of the body on one line.
func ErrorText(body []byte) string {
	var reply struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
		Detail  json.RawMessage `json:"detail"`
	}
	text := string(body)
	if json.Unmarshal(body, &reply) == nil {
		var nested struct {
			Message string `json:"message"`
		}
		var plain string
		switch {
		case json.Unmarshal(reply.Error, &nested) == nil && nested.Message != "":
			text = nested.Message
		case json.Unmarshal(reply.Error, &plain) == nil && plain != "":
			text = plain
		case reply.Message != "":
			text = reply.Message
		case len(reply.Detail) > 0:
			text = string(reply.Detail)
		}
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + "…"
	}
	if text == "" {
		return "(no message)"
	}
	return text
}

// spokeFirst is how net/http words that bytes came before it had asked, as a
// gRPC server's settings do.
const spokeFirst = "readLoopPeekFailLocked: %!w(<nil>)"

// foreignTexts are parts of what net/http says of a reply's head that is none
// of HTTP/1.1; textproto's errors of header lines have a type.
var foreignTexts = []string{spokeFirst, "malformed HTTP", "response headers exceeded", "transfer encoding", "Content-Length"}

// foreign reports whether a server spoke something that is not HTTP/1.1. The
// error's text then goes on with raw bytes. ended says that the connection
// ended, which makes half a header line of a good one.
func foreign(err error, ended bool) bool {
	var line textproto.ProtocolError
	return errors.As(err, &line) && !ended ||
		slices.ContainsFunc(foreignTexts, func(text string) bool { return strings.Contains(err.Error(), text) })
}

// unanswered is the error of a request to which no reply's head came.
func (l *link) unanswered(req *http.Request, err error) *engines.Error {
	failure, advice := engines.Transport(req.Context(), err, false), hint(err)
	switch {
	case failure.Class != engines.Conn || !foreign(err, l.stamps.Ended()):
		return &engines.Error{Class: failure.Class, Err: fmt.Errorf("%s %s: %w%s", strings.ToLower(req.Method), req.URL, failure.Err, advice)}
	case advice == "":
		advice = fmt.Sprintf(": %.120q", err.Error())
	}
	return engines.Errorf(engines.Protocol, "%s %s: %s does not answer in HTTP/1.1%s", strings.ToLower(req.Method), req.URL, req.URL.Host, advice)
}

// unwritten reports whether a request failed on a connection that was kept and
// of which the server had no more use, before a byte of the request was
// written: it may be sent again, over a fresh one, and still goes out once.
func unwritten(failure *engines.Error, sent, dialled time.Duration) bool {
	return sent == 0 && dialled == 0 && (failure.Class == engines.Conn || failure.Class == engines.Protocol)
}

// hint guesses what a transport's error means when the wrong protocol is
// spoken, which no library says in plain words. It belongs behind an error
// that comes straight from the transport: behind any other it would stand
// twice.
func hint(err error) string {
	var record tls.RecordHeaderError
	switch text := err.Error(); {
	case strings.Contains(text, "certificate signed by unknown authority"):
		return " (if it is to be trusted, name its certificate with -ca=FILE)"
	case errors.As(err, &record) && bytes.HasPrefix(record.RecordHeader[:], []byte("HTTP")):
		return " (it speaks plain HTTP: use http://)"
	case errors.As(err, &record), strings.Contains(text, "first record does not look like a TLS handshake"):
		return " (it does not speak TLS: use http://, or grpc:// for Triton)"
	case strings.Contains(text, `malformed HTTP response "\x15\x03`):
		return " (it speaks TLS: use https://)"
	case strings.Contains(text, spokeFirst), strings.Contains(text, `malformed HTTP response "\x00\x00`), strings.Contains(text, "malformed HTTP version \"HTTP/2"):
		return " (it speaks HTTP/2, as a gRPC server does: use grpc:// for Triton)"
	}
	return ""
}
