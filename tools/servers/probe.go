//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// A probe asks one endpoint whether it serves.
type probe struct {
	URL  string `json:"url,omitempty"`  // HTTP: a GET must give 200 …
	Body string `json:"body,omitempty"` // … and a body that holds this text
	GRPC string `json:"grpc,omitempty"` // gRPC: address of a grpc.health.v1 service that must say SERVING
}

// probeTimeout bounds one question; a loaded machine answers late.
const probeTimeout = 5 * time.Second

func (p probe) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if p.GRPC != "" {
		return askHealth(ctx, p.GRPC)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL, nil)
	if err != nil {
		return err
	}
	// No proxy and no kept connection: the question is about this machine, now.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	switch {
	case err != nil:
		return fmt.Errorf("get %s: %w", p.URL, err)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("get %s: status %d", p.URL, resp.StatusCode)
	case !strings.Contains(string(body), p.Body):
		return fmt.Errorf("get %s: no %q in the reply", p.URL, p.Body)
	}
	return nil
}

func askHealth(ctx context.Context, address string) error {
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	if err != nil {
		return err
	}
	defer conn.Close()
	reply, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		return fmt.Errorf("ask %s for its health: %w", address, err)
	}
	if reply.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		return fmt.Errorf("ask %s for its health: it says %s", address, reply.GetStatus())
	}
	return nil
}

// askAll returns the first refusal.
func askAll(ctx context.Context, probes []probe) error {
	for _, p := range probes {
		if err := p.ask(ctx); err != nil {
			return err
		}
	}
	return nil
}

// portFree reports an error when something listens on the port already.
func portFree(port int) error {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	return l.Close()
}
