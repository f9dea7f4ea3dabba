package openai

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"enginebench/engines"
)

func TestPreflightFailuresAreOneClearLine(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	secure := httptest.NewUnstartedServer(nil)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := (&fake{models: oneModel}).start(t)
	triton := grpcServer(t)
	refusing := func(status int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, `{"error":"go away"}`, status) }))
		t.Cleanup(s.Close)
		return s.URL
	}
	posts := func(status int, why string) string {
		return (&fake{models: oneModel, status: status, refuse: func(map[string]any) string { return why }}).start(t)
	}
	for _, test := range []struct {
		name, address, query string
		class                engines.Class
		says                 string
	}{
		{"not there", closed.URL, "", engines.Dial, "no server listens on 127.0.0.1:"},
		{"TLS on a plain URL", strings.Replace(secure.URL, "https", "http", 1), "", engines.Rejected, "use https://"},
		{"plain HTTP on a TLS URL", strings.Replace(plain, "http", "https", 1), "", engines.Dial, "use http://"},
		{"an unknown certificate", secure.URL, "", engines.Dial, "-ca=FILE"},
		{"a gRPC port", triton, "", engines.Protocol, "does not answer in HTTP/1.1 (it speaks HTTP/2, as a gRPC server does: use grpc:// for Triton)"},
		{"401", refusing(401), "", engines.Rejected, "set VLLM_API_KEY"},
		{"503", refusing(503), "", engines.Throttled, "go away"},
		{"500", refusing(500), "", engines.EngineError, "go away"},
		{"401 on the request only", posts(401, "no key"), "", engines.Rejected, "set VLLM_API_KEY"},
		{"429 on the request", posts(429, "slow down"), "", engines.Throttled, "slow down"},
		{"every request refused", posts(400, "no LoRA adapter"), "", engines.Rejected, "no LoRA adapter"},
		{"no /v1/completions", posts(404, "not here"), "", engines.Rejected, "?api=chat"},
		{"a reply that is not streamed", (&fake{models: oneModel, stream: func(map[string]any, int) string { return `{"choices":[]}` }}).start(t), "", engines.Protocol, "ignored stream=true"},
		{"no finish reason ever", (&fake{models: oneModel, stream: func(map[string]any, int) string { return data(`{"choices":[{"text":"a"}]}`) }}).start(t), "", engines.Incomplete, "finish reason"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := open(t, test.address, test.query).Describe(context.Background())
			require.Error(t, err)
			t.Log(err)
			require.Equal(t, test.class, engines.ClassOf(err), err.Error())
			require.Contains(t, err.Error(), test.says)
			require.NotContains(t, err.Error(), "\n")
			require.LessOrEqual(t, strings.Count(err.Error(), "(it "), 1, "one hint is enough")
		})
	}
}

func TestAKeyThatIsRefusedIsNotTriedAgain(t *testing.T) {
	for _, status := range []int{401, 403} {
		f := &fake{models: oneModel, status: status, refuse: func(map[string]any) string { return "no" }}
		_, err := open(t, f.start(t), "").Describe(context.Background())
		require.Error(t, err)
		_, posts := f.seen()
		require.Len(t, posts, 1)
	}
}

func grpcServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := grpc.NewServer()
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return "http://" + l.Addr().String()
}
