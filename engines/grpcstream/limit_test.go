package grpcstream

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"enginebench/engines"
	"enginebench/engines/capture"
)

func TestAReplyWithoutEndIsOversize(t *testing.T) {
	response := string(make([]byte, 1<<20))
	slot := dialTo(t, &Config{Address: serve(t, func(_ []byte, s grpc.ServerStream) error {
		for {
			if err := say(s, response); err != nil {
				return err
			}
		}
	})})
	captures := capture.New(1, 1<<12, 8)
	capture.Limit(captures, 0)
	err := slot.Send(t.Context(), engines.Message{}, captures[0])
	require.Equal(t, engines.Oversize, engines.ClassOf(err), "%v", err)
	require.ErrorContains(t, err, "-capture-memory")
	require.Less(t, len(captures[0].Data), 64<<20)
	require.False(t, captures[0].Trailer.Clean)
}
