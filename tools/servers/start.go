//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A server is one process to run, and how to tell that it answers.
type server struct {
	Name      string
	Label     string         // what it honestly is
	Args      []string       // the command line
	Variant   string         // settings that reach it by its files
	Env       []string       // added to the few variables that every server gets
	Dir       string         // where it runs
	Ports     map[string]int // what it listens on, by the flag that sets it
	Endpoints []string       // for people and for -engine
	Ready     []probe
	Prepare   func() error // writes the files it reads; called just before it starts
}

const (
	stopGrace = 20 * time.Second // vLLM takes a few seconds to end its engine process
	pollEvery = 200 * time.Millisecond
	logTail   = 20 // lines of the log that are shown when a server does not come up
)

// start brings one server up, or finds it up, and waits until it answers. What it
// starts in vain it ends again.
func start(ctx context.Context, dir stateDir, s server, out io.Writer) error {
	settings := strings.TrimSpace(strings.Join(s.Args, " ") + " " + s.Variant)
	old, err := dir.load(s.Name)
	if err != nil {
		return err
	}
	if old != nil && old.Process.alive() {
		if old.Settings != settings {
			return fmt.Errorf("start %s: it runs already (pid %d) with other settings; run `servers stop %s` first", s.Name, old.Process.PID, s.Name)
		}
		if err := wait(ctx, old, nil); err != nil {
			return fmt.Errorf("start %s: it runs already (pid %d): %w", s.Name, old.Process.PID, err)
		}
		fmt.Fprintf(out, "%s runs already (pid %d): %s\n", s.Name, old.Process.PID, strings.Join(old.Endpoints, " "))
		return nil
	}
	if err := stop(dir, s.Name, io.Discard); err != nil { // children that outlived it
		return err
	}
	for flag, port := range s.Ports {
		if err := portFree(port); err != nil {
			return fmt.Errorf("start %s: port %d is taken (%w); stop what listens there or choose another with -%s", s.Name, port, err, flag)
		}
	}
	if s.Prepare != nil {
		if err := s.Prepare(); err != nil {
			return fmt.Errorf("start %s: %w", s.Name, err)
		}
	}
	began := time.Now()
	st, exited, err := launch(dir, s, settings)
	if err != nil {
		return fmt.Errorf("start %s: %w", s.Name, err)
	}
	if err := wait(ctx, st, exited); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w\n%s", s.Name, err, tail(st.Log, logTail)), stop(dir, s.Name, io.Discard))
	}
	fmt.Fprintf(out, "%s answers after %.1f s (pid %d): %s\n  %s\n  log: %s\n",
		s.Name, time.Since(began).Seconds(), st.Process.PID, strings.Join(st.Endpoints, " "), st.Label, st.Log)
	return nil
}

func launch(dir stateDir, s server, settings string) (*state, <-chan error, error) {
	log, err := os.Create(dir.log(s.Name))
	if err != nil {
		return nil, nil, err
	}
	defer log.Close()
	p, exited, err := spawn(s.Args, append(baseEnv(), s.Env...), s.Dir, log)
	if err != nil {
		return nil, nil, err
	}
	st := &state{Name: s.Name, Process: p, Settings: settings, Endpoints: s.Endpoints, Label: s.Label, Log: log.Name(), Ready: s.Ready}
	if err := dir.save(st); err != nil {
		return nil, nil, errors.Join(err, p.stop(0))
	}
	return st, exited, nil
}

// baseEnv is what a server sees of the environment: no credential, and nothing
// that changes what is measured from one shell to the next.
func baseEnv() []string {
	env := []string{"LC_ALL=C.UTF-8"}
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// wait returns nil as soon as every probe is content. exited tells of the
// process's end when it is our child; it is nil when it is not.
func wait(ctx context.Context, st *state, exited <-chan error) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		refusal := askAll(ctx, st.Ready)
		if refusal == nil {
			return nil
		}
		if exited == nil && !st.Process.alive() {
			return fmt.Errorf("it ended before it answered; see %s", st.Log)
		}
		select {
		case err := <-exited:
			return fmt.Errorf("it ended before it answered (%v); see %s", err, st.Log)
		case <-ctx.Done():
			return fmt.Errorf("it does not answer (%w; last try: %v); see %s", context.Cause(ctx), refusal, st.Log)
		case <-ticker.C:
		}
	}
}

// stop ends what start started under this name, and nothing else.
func stop(dir stateDir, name string, out io.Writer) error {
	st, err := dir.load(name)
	if err != nil || st == nil {
		return err
	}
	pids, err := st.Process.session()
	if err != nil {
		return fmt.Errorf("stop %s: %w", name, err)
	}
	if err := st.Process.stop(stopGrace); err != nil {
		return fmt.Errorf("stop %s: %w", name, err)
	}
	if len(pids) == 0 {
		fmt.Fprintf(out, "%s had ended already\n", name)
	} else {
		fmt.Fprintf(out, "%s stopped (pid %d, %d processes)\n", name, st.Process.PID, len(pids))
	}
	return dir.remove(name)
}

// tail returns the last n lines of a file, for an error message.
func tail(path string, n int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}
