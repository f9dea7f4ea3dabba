package httpstream_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"enginebench/engines/capture"
	"enginebench/engines/httpstream"
)

func TestErrorEventsAreFoundByAScanOfBytes(t *testing.T) {
	for data, want := range map[string]bool{
		`data: {"error":{"message":"boom"}}`:               true,
		`data: {"error": {"message":"boom"}}`:              true,
		`data: {"error":"boom","error_type":"generation"}`: true,
		`data: {"choices":[],"error":null}`:                false,
		`data: {"choices":[],"error":""}`:                  false,
		`data: {"text":"{\\"error\\":{}}"}`:                false, // said by a token, its quotes escaped
		`data: {"error":null} data: {"error":{}}`:          true,
		``: false,
	} {
		require.Equal(t, want, httpstream.HasError(&capture.Capture{Data: []byte(data)}), data)
	}
}
