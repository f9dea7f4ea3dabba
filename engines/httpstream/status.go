package httpstream

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

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

// foreign reports whether a server spoke something that is not HTTP/1.1. The
// error's text then goes on with raw bytes.
func foreign(err error) bool {
	return strings.Contains(err.Error(), "malformed HTTP") || strings.Contains(err.Error(), spokeFirst)
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
