package triton_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"enginebench/engines"
	"enginebench/engines/capture"
	"enginebench/engines/triton"
	pb "enginebench/engines/triton/inference"
)

func TestAnErrorMessageIsFoundByAScanOfBytes(t *testing.T) {
	holds := func(responses ...*pb.ModelStreamInferResponse) bool {
		c := new(capture.Capture)
		for _, r := range responses {
			message, err := proto.Marshal(r)
			require.NoError(t, err)
			c.Append(message, 1, 1)
		}
		var e engines.ErrorScanner = new(triton.Engine)
		return e.HasError(c)
	}
	token := &pb.ModelStreamInferResponse{InferResponse: &pb.ModelInferResponse{Id: "a", RawOutputContents: [][]byte{[]byte(`"error":{}`)}}}
	require.False(t, holds(token, token))
	require.False(t, holds())
	require.True(t, holds(token, &pb.ModelStreamInferResponse{ErrorMessage: "boom"}))
	require.True(t, holds(&pb.ModelStreamInferResponse{ErrorMessage: "boom", InferResponse: &pb.ModelInferResponse{Id: "a"}}))
}
