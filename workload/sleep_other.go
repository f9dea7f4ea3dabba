//go:build !linux

package workload

import "time"

func preciseSleep() func(time.Duration) { return time.Sleep }
