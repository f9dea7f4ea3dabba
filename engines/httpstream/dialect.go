package httpstream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"enginebench/engines"
	"enginebench/engines/capture"
)

// Option is an option of a dialect, as a URL's query gives it, and its help.
type Option struct{ Name, Help string }

// Proxy is the option that [NewConfig] reads for every dialect.
var Proxy = Option{"proxy", "environment: go through the proxy that the environment names"}

// CheckOptions refuses an option of spec that is not in known. dialect says
// whose they are, for the error's text.
func CheckOptions(spec engines.Spec, dialect string, known []Option) error {
	var names []string
	for _, o := range known {
		names = append(names, o.Name)
	}
	for name := range spec.Options {
		if !slices.Contains(names, name) {
			return fmt.Errorf("open engine %s: unknown option %q; %s takes %s", spec.Name, name, dialect, strings.Join(names, ", "))
		}
	}
	if v := spec.Options.Get(Proxy.Name); v != "" && v != "environment" {
		return fmt.Errorf("open engine %s: unknown proxy=%s; known is environment, the proxy that HTTP_PROXY and HTTPS_PROXY name", spec.Name, v)
	}
	return nil
}

// Ask sends one request of a preflight through a slot, as the run will send
// its own, and decodes the reply. The exchange has status 0 if no reply began.
// The error is that of the slot or of the reply; a reply without a token is
// none, since a model may end at once.
func (c *Config) Ask(ctx context.Context, slot engines.Slot, d engines.Decoder, m engines.Message) (engines.Reply, engines.Exchange, error) {
	captures := capture.New(1, 64<<10, 64)
	capture.Limit(captures, 0)
	into := captures[0]
	sent := slot.Send(ctx, m, into)
	exchange := engines.Exchange{Method: "POST " + c.Path, Status: into.Head.Status,
		Type: http.Header(into.Head.Header).Get("Content-Type"), Body: into.Data, Asked: m.Body}
	reply := d.Decode(into)
	switch {
	case sent != nil:
		return reply, exchange, sent
	case reply.Err != nil && reply.Err.Class != engines.Empty:
		return reply, exchange, reply.Err
	}
	return reply, exchange, nil
}

// Preflight asks an engine for one token, as a run asks it for many, so that
// what is wrong shows before anything is measured.
func (c *Config) Preflight(ctx context.Context, e engines.Engine) (engines.Exchange, error) {
	slot, err := e.Dial(ctx)
	if err != nil {
		return engines.Exchange{}, err
	}
	defer slot.Close()
	m, err := e.Encode(engines.Request{ID: engines.RequestID{Invocation: strconv.FormatUint(rand.Uint64(), 36), Cell: engines.PreflightCell},
		Text: "Count from one to ten: one, two, three,", OutputTokens: 1})
	if err != nil {
		return engines.Exchange{}, err
	}
	_, exchange, err := c.Ask(ctx, slot, e, m)
	return exchange, err
}
