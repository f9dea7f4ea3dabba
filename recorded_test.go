//go:build !live

package enginebench_test

import (
	"embed"

	"enginebench"
)

//go:embed fixtures/recordings
var recordings embed.FS

// source is real engines' recorded streams, replayed over the real protocols.
func source() enginebench.Source { return enginebench.Recorded(recordings, "fixtures/recordings") }
