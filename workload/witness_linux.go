package workload

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func readSystem(r *reading) {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) == nil {
		r.cpu = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
		r.involuntary = int(usage.Nivcsw)
	}
	if stat, err := os.ReadFile("/proc/stat"); err == nil {
		r.steal, r.ticks = parseStat(stat)
	}
	if stat, err := os.ReadFile(cpuStat()); err == nil {
		r.throttled = parseThrottled(stat)
	}
}

// cpuStat is the CPU accounts of the process's own control group (version 2),
// which within a container's namespace is the root.
func cpuStat() string {
	path := "/"
	if groups, err := os.ReadFile("/proc/self/cgroup"); err == nil {
		for line := range strings.Lines(string(groups)) {
			if own, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
				path = own
			}
		}
	}
	return filepath.Join("/sys/fs/cgroup", path, "cpu.stat")
}

// parseStat reads the first line of /proc/stat: cpu user nice system idle
// iowait irq softirq steal guest guest_nice, in ticks (proc_stat(5)). Guest
// time is within user time and not added again.
func parseStat(stat []byte) (steal, total uint64) {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := bytes.Fields(line)
	for i := 1; i < len(fields) && i <= 8; i++ {
		n, err := strconv.ParseUint(string(fields[i]), 10, 64)
		if err != nil {
			return 0, 0
		}
		total += n
		if i == 8 {
			steal = n
		}
	}
	return steal, total
}

// parseThrottled reads throttled_usec of a version 2 control group.
func parseThrottled(stat []byte) time.Duration {
	for line := range bytes.Lines(stat) {
		if fields := bytes.Fields(line); len(fields) == 2 && string(fields[0]) == "throttled_usec" {
			us, _ := strconv.ParseInt(string(fields[1]), 10, 64)
			return time.Duration(us) * time.Microsecond
		}
	}
	return 0
}
