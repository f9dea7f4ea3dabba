//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process names one process for good. A pid alone does not: it is handed out
// again after its process ended, and all of them are after a reboot.
type process struct {
	PID        int    `json:"pid"`
	StartTicks uint64 `json:"start_ticks"` // clock ticks between boot and the process's start, proc_pid_stat(5) field 22
	Boot       string `json:"boot"`        // random id of the boot, /proc/sys/kernel/random/boot_id
}

// spawn starts args as the leader of a session of its own, with env as its whole
// environment and log as its output. The session is what stop ends: whatever the
// process starts belongs to it, and nothing else does.
func spawn(args, env []string, dir string, log *os.File) (process, <-chan error, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = env
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return process{}, nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	exited := make(chan error, 1)
	// Read before Wait: until then the pid is this process's, even if it has ended.
	stat, err := readStat(cmd.Process.Pid)
	if err != nil {
		_ = cmd.Process.Kill()
		return process{}, nil, errors.Join(err, cmd.Wait())
	}
	go func() { exited <- cmd.Wait() }()
	boot, err := bootID()
	return process{PID: cmd.Process.Pid, StartTicks: stat.startTicks, Boot: boot}, exited, err
}

// alive reports whether the process itself still runs.
func (p process) alive() bool {
	boot, err := bootID()
	if err != nil || boot != p.Boot {
		return false
	}
	stat, err := readStat(p.PID)
	return err == nil && stat.startTicks == p.StartTicks && stat.state != 'Z'
}

// session lists the pids that run in the session which p was started to lead, p
// among them. It is empty when p's pid now belongs to another process: a pid is
// not handed out again while a session of that number has members.
func (p process) session() ([]int, error) {
	boot, err := bootID()
	if err != nil || boot != p.Boot {
		return nil, err
	}
	if stat, err := readStat(p.PID); err == nil && stat.startTicks != p.StartTicks {
		return nil, nil
	}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		stat, err := readStat(pid)
		if err != nil { // ended in between
			continue
		}
		if stat.session == p.PID && stat.startTicks >= p.StartTicks && stat.state != 'Z' {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// stop ends p's session: it asks p with SIGTERM to end itself and its children,
// and after grace ends by SIGKILL what is left.
func (p process) stop(grace time.Duration) error {
	if p.alive() {
		if err := syscall.Kill(p.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end process %d: %w", p.PID, err)
		}
	}
	deadline := time.Now().Add(grace)
	killBy := deadline.Add(grace)
	for {
		pids, err := p.session()
		if err != nil || len(pids) == 0 {
			return err
		}
		now := time.Now()
		if now.After(killBy) {
			return fmt.Errorf("end the session of process %d: %v are still there after SIGKILL", p.PID, pids)
		}
		if now.After(deadline) || !p.alive() {
			for _, pid := range pids {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		time.Sleep(50 * time.Millisecond) // /proc has nothing to wait on for processes that are not our children
	}
}

type stat struct {
	state      byte
	session    int
	startTicks uint64
}

// readStat reads /proc/PID/stat, proc_pid_stat(5).
func readStat(pid int) (stat, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(data)
}

func parseStat(data []byte) (stat, error) {
	// The second field is the command in parentheses; it may hold spaces and parentheses.
	end := bytes.LastIndexByte(data, ')')
	if end < 0 {
		return stat{}, fmt.Errorf("parse process status %q: no command in it", data)
	}
	fields := strings.Fields(string(data[end+1:])) // field 3 onwards
	if len(fields) < 20 || len(fields[0]) != 1 {
		return stat{}, fmt.Errorf("parse process status %q: too few fields", data)
	}
	session, err := strconv.Atoi(fields[6-3])
	if err != nil {
		return stat{}, fmt.Errorf("parse process status: session: %w", err)
	}
	ticks, err := strconv.ParseUint(fields[22-3], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("parse process status: start time: %w", err)
	}
	return stat{state: fields[0][0], session: session, startTicks: ticks}, nil
}

func bootID() (string, error) {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(data)), err
}
