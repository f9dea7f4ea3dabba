package engines

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Spec names an engine and says where and how to reach it.
type Spec struct {
	Name    string      // as in a benchmark's name: [a-z][a-z0-9_.]*, never ending in -digits
	URL     *url.URL    // scheme, host and path; the scheme picks the protocol
	Options url.Values  // the URL's query: model=…, api=chat, …
	Header  http.Header // sent with every request
	APIKey  string      // sent as a bearer token; never printed or recorded
	CAFile  string      // PEM file of certificates to trust beside the system's; "" none
}

var validName = regexp.MustCompile(`^[a-z][a-z0-9_.]*$`)

// ParseSpec reads "name=url" as -engine takes it. Dialect options are the
// URL's query. No error shows what could be a password.
func ParseSpec(s string) (Spec, error) {
	name, raw, ok := strings.Cut(s, "=")
	if !ok {
		return Spec{}, fmt.Errorf("parse engine %q: want name=url, for example vllm=http://localhost:8000", redacted(s))
	}
	if !validName.MatchString(name) {
		return Spec{}, fmt.Errorf("parse engine %q: the name must match [a-z][a-z0-9_.]*, since it becomes part of a benchmark's name", redacted(s))
	}
	u, err := url.Parse(raw)
	switch {
	case err == nil && u.User != nil, strings.Contains(raw, "@") && (err != nil || u.Host == ""):
		return Spec{}, fmt.Errorf("parse engine %q: credentials in a URL are not taken; set %s in the environment", name, KeyVariable(name))
	case err != nil:
		var reason *url.Error // whose own text has the whole URL in it
		if errors.As(err, &reason) {
			err = reason.Err
		}
		return Spec{}, fmt.Errorf("parse engine %q: url %q: %w", name, redacted(raw), err)
	case u.Scheme == "" || u.Host == "":
		return Spec{}, fmt.Errorf("parse engine %q: url %q needs a scheme and a host, for example grpc://localhost:8001", name, redacted(raw))
	}
	options := u.Query()
	u.RawQuery = ""
	return Spec{Name: name, URL: u, Options: options}, nil
}

// redacted is what of a URL, or of what should be one, may be shown: nothing
// before an @, where a password would stand, and no query.
func redacted(s string) string {
	if i := strings.LastIndex(s, "@"); i >= 0 {
		s = "…" + s[i:]
	}
	s, _, _ = strings.Cut(s, "?")
	return s
}

// KeyVariable is the environment variable that holds an engine's API key:
// VLLM_API_KEY for vllm.
func KeyVariable(name string) string {
	return strings.ToUpper(strings.ReplaceAll(name, ".", "_")) + "_API_KEY"
}

// RequestID names a request so that no two are alike across invocations, and
// so that a replay finds the recording of it by index, not by order of
// arrival.
type RequestID struct {
	Invocation string // one value per process; no slash
	Cell       string // the cell within the engine: "concurrency=32", "preflight", "warmup"; no slash
	Index      int    // the request's place in its run's plan
}

// String is "invocation/cell/index".
func (id RequestID) String() string {
	return id.Invocation + "/" + id.Cell + "/" + strconv.Itoa(id.Index)
}

// ParseRequestID reads what [RequestID.String] wrote.
func ParseRequestID(s string) (RequestID, error) {
	parts := strings.Split(s, "/")
	if len(parts) == 3 {
		if i, err := strconv.Atoi(parts[2]); err == nil && i >= 0 {
			return RequestID{Invocation: parts[0], Cell: parts[1], Index: i}, nil
		}
	}
	return RequestID{}, fmt.Errorf("parse request id %q: want invocation/cell/index", s)
}
