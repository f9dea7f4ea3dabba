package enginebench

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSelectsAsPackageTestingDoes(t *testing.T) {
	const name = "engine=vllm/concurrency=32"
	for pattern, want := range map[string]bool{
		".":                                     true,
		"Serve":                                 true,
		"Serve/engine=vllm":                     true,
		"Serve/engine=triton":                   false,
		"Serve/engine=(triton|vllm)":            true,
		"Serve/./concurrency=3":                 true, // unanchored
		"Serve/./concurrency=3$":                false,
		"Serve/engine=vllm/concurrency=(1|32)$": true,
		"Other|Serve/engine=v":                  true,
		"Serve/[x/y]":                           false,
		"Serve/[x/e]":                           true,
		"Serve//concurrency=32$":                true,
	} {
		require.Equal(t, want, selects(pattern, name), pattern)
	}
}
