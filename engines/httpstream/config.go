package httpstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"

	"enginebench/engines"
)

// Config is what slots and clients of one engine share. Make it with
// [NewConfig]; do not change it while it is in use.
type Config struct {
	Base    *url.URL    // scheme, host and path prefix
	Path    string      // of the streaming endpoint, below Base
	Header  http.Header // sent with every request
	APIKey  string      // sent as a bearer token
	TLS     *tls.Config // nil: plain HTTP
	KeyName string      // the environment variable that holds APIKey, for error texts

	// Proxy names the proxy to go through, as [http.Transport] takes it; nil
	// goes to the engine directly.
	Proxy func(*http.Request) (*url.URL, error)
	// DialContext makes connections, to the engine or to the proxy; nil is a
	// plain dial.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

// NewConfig reads what every HTTP dialect takes from a spec. scheme is "http"
// or "https", the spec's own without the dialect's prefix.
func NewConfig(spec engines.Spec, scheme, path string) (*Config, error) {
	base := *spec.URL
	base.Scheme = scheme
	if base.Path == "" {
		base.Path = "/" // JoinPath would make a relative path of an empty one
	}
	c := &Config{Base: &base, Path: path, Header: spec.Header, APIKey: spec.APIKey, KeyName: engines.KeyVariable(spec.Name)}
	if spec.Options.Get(Proxy.Name) == "environment" {
		c.Proxy = http.ProxyFromEnvironment
	}
	if scheme == "https" {
		roots, err := Roots(spec.CAFile)
		if err != nil {
			return nil, err
		}
		c.TLS = &tls.Config{RootCAs: roots, NextProtos: []string{"http/1.1"}}
	}
	return c, nil
}

// Roots is the system's trusted certificates and those of file; nil, which
// means the system's, where file is "".
func Roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read certificates to trust: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read certificates to trust: no PEM certificate in %s", file)
	}
	return roots, nil
}

// URL is Base with path below it.
func (c *Config) URL(path string) *url.URL { return c.Base.JoinPath(path) }

func (c *Config) header() http.Header {
	h := c.Header.Clone()
	if h == nil {
		h = http.Header{}
	}
	if c.APIKey != "" {
		h.Set("Authorization", "Bearer "+c.APIKey)
	}
	if h.Get("User-Agent") == "" {
		h.Set("User-Agent", "enginebench")
	}
	return h
}

func hostPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	return net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
}
