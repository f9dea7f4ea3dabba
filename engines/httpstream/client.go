package httpstream

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"

	"enginebench/engines"
)

// maxAnswer bounds what a preflight reads of one answer. A /metrics page of a
// busy server is the largest, with some 100 KB.
const maxAnswer = 8 << 20

// Client asks the small questions of a preflight. It keeps each answer, so
// that a recording can give it again. It is not for the hot path.
type Client struct {
	cfg       *Config
	link      *link
	Exchanges []engines.Exchange
}

// NewClient makes a client; Close it.
func (c *Config) NewClient() *Client { return &Client{cfg: c, link: c.newLink()} }

// Close ends the client's connection.
func (c *Client) Close() { c.link.close() }

// Get asks for a path below the base URL. The error is an *[engines.Error]; an
// answer with a status other than 200 is one, and the body comes with it.
func (c *Client) Get(ctx context.Context, path string) ([]byte, error) {
	return c.do(ctx, http.MethodGet, path, nil)
}

// Post sends body, which is JSON, and is otherwise as [Client.Get].
func (c *Client) Post(ctx context.Context, path string, body []byte) ([]byte, error) {
	return c.do(ctx, http.MethodPost, path, body)
}

// GetJSON is [Client.Get] with the answer decoded into v.
func (c *Client) GetJSON(ctx context.Context, path string, v any) error {
	body, err := c.Get(ctx, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return engines.Errorf(engines.Protocol, "get %s: the answer is not the JSON that was expected: %w", c.cfg.URL(path), err)
	}
	return nil
}

func (c *Client) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	resp, again, failure := c.ask(ctx, method, path, body)
	if again {
		resp, _, failure = c.ask(ctx, method, path, body)
	}
	if failure != nil {
		return nil, failure
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	resp.Body.Close()
	c.link.rest(resp, err == nil && len(answer) < maxAnswer)
	if err != nil {
		return nil, engines.Transport(ctx, err, true)
	}
	c.Exchanges = append(c.Exchanges, engines.Exchange{Method: method + " " + path, Status: resp.StatusCode,
		Type: resp.Header.Get("Content-Type"), Body: answer, Asked: body})
	if resp.StatusCode != http.StatusOK {
		return answer, c.cfg.statusError(resp.StatusCode, resp.Header, answer)
	}
	return answer, nil
}

// ask returns when the answer's head has come. again says that the connection
// was kept and ended instead: a question, unlike a request that is measured,
// may then be sent again though it was written.
func (c *Client) ask(ctx context.Context, method, path string, body []byte) (resp *http.Response, again bool, failure *engines.Error) {
	req, err := http.NewRequestWithContext(ctx, method, c.cfg.URL(path).String(), bytes.NewReader(body))
	if err != nil {
		return nil, false, engines.Errorf(engines.Rejected, "ask %s: %w", path, err)
	}
	req.Header = c.cfg.header()
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	took, err := c.link.ready(ctx, idleLimit)
	if err != nil {
		return nil, false, engines.Transport(ctx, err, false)
	}
	resp, sent, err := c.link.roundTrip(req)
	if err == nil {
		return resp, false, nil
	}
	c.link.rest(nil, false)
	failure = c.link.unanswered(req, err)
	return nil, took == 0 && failure.Class == engines.Conn || unwritten(failure, sent, took), failure
}
