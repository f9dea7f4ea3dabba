//go:build unix

package enginebench

import (
	"fmt"
	"syscall"
)

// spareFiles is what a process opens beside its slots: streams, results, the
// canary's and the preflight's connections.
const spareFiles = 32

// enoughFiles refuses a cell whose slots could not all be dialled, before the
// cells that come first are measured in vain. A replay's server lives in a
// process of its own and has the same limit.
func enoughFiles(slots int) error {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return nil
	}
	if need := uint64(slots + spareFiles); uint64(limit.Cur) < need {
		return fmt.Errorf("%d slots need %d open files and %d are allowed: raise the limit (ulimit -n), or lower -concurrency", slots, need, limit.Cur)
	}
	return nil
}
