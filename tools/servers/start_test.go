//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStartTwiceStartsOnce(t *testing.T) {
	dir, s := testDir(t), fakeServer(t)
	require.NoError(t, start(t.Context(), dir, s, io.Discard))
	first, err := dir.load("fake")
	require.NoError(t, err)

	var out bytes.Buffer
	require.NoError(t, start(t.Context(), dir, s, &out))
	second, err := dir.load("fake")
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.Contains(t, out.String(), "fake runs already")
}

func TestStartWithOtherSettingsIsRefusedWhileTheServerRuns(t *testing.T) {
	dir, s := testDir(t), fakeServer(t)
	require.NoError(t, start(t.Context(), dir, s, io.Discard))
	s.Variant = "-delay=7ms"
	require.ErrorContains(t, start(t.Context(), dir, s, io.Discard), "servers stop fake")
}

func TestStopEndsTheServerAndItsChildren(t *testing.T) {
	dir, s := testDir(t), fakeServer(t)
	require.NoError(t, start(t.Context(), dir, s, io.Discard))
	st, err := dir.load("fake")
	require.NoError(t, err)
	pids, err := st.Process.session()
	require.NoError(t, err)
	require.Len(t, pids, 2, "the server and its child")

	require.NoError(t, stop(dir, "fake", io.Discard))
	for _, pid := range pids {
		stat, err := readStat(pid)
		require.True(t, err != nil || stat.state == 'Z' || stat.session != st.Process.PID, "process %d is still there", pid)
	}
	st, err = dir.load("fake")
	require.NoError(t, err)
	require.Nil(t, st)
}

func TestStopEndsTheChildrenOfAServerThatEndedByItself(t *testing.T) {
	dir, s := testDir(t), fakeServer(t)
	require.NoError(t, start(t.Context(), dir, s, io.Discard))
	st, err := dir.load("fake")
	require.NoError(t, err)
	server, err := os.FindProcess(st.Process.PID)
	require.NoError(t, err)
	require.NoError(t, server.Kill())
	eventually(t, "the server is gone", func() bool { return !st.Process.alive() })
	pids, err := st.Process.session()
	require.NoError(t, err)
	require.Len(t, pids, 1, "the child")

	require.NoError(t, stop(dir, "fake", io.Discard))
	pids, err = st.Process.session()
	require.NoError(t, err)
	require.Empty(t, pids)
}

func TestStopLeavesAProcessAloneThatGotTheSamePid(t *testing.T) {
	dir, s := testDir(t), fakeServer(t)
	require.NoError(t, start(t.Context(), dir, s, io.Discard))
	st, err := dir.load("fake")
	require.NoError(t, err)
	real := *st

	for name, change := range map[string]func(*process){
		"other start time": func(p *process) { p.StartTicks-- },
		"other boot":       func(p *process) { p.Boot = "another" },
	} {
		stale := real
		change(&stale.Process)
		require.NoError(t, dir.save(&stale))
		require.NoError(t, stop(dir, "fake", io.Discard), name)
		require.True(t, real.Process.alive(), name)
	}
	require.NoError(t, dir.save(&real)) // for the cleanup
}

func TestServerThatEndsBeforeItAnswersIsReportedWithTheEndOfItsLog(t *testing.T) {
	dir, s := testDir(t), fakeServer(t)
	s.Env = []string{fakeVar + "=fail"}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := start(ctx, dir, s, io.Discard)
	require.ErrorContains(t, err, "it ended before it answered (exit status 3)")
	require.ErrorContains(t, err, dir.log("fake"))
	require.ErrorContains(t, err, "line 29 of the log")
	require.NotContains(t, err.Error(), "line 9 of the log", "20 lines are enough")
	st, err := dir.load("fake")
	require.NoError(t, err)
	require.Nil(t, st)
}

func TestServerThatNeverAnswersIsEnded(t *testing.T) {
	dir, s := testDir(t), fakeServer(t)
	s.Ready[0].Body = "a text that it never says"
	ctx, cancel := context.WithCancelCause(t.Context())
	var pid int
	go func() {
		eventually(t, "the server was started", func() bool {
			st, err := dir.load("fake")
			if err != nil || st == nil {
				return false
			}
			pid = st.Process.PID
			return st.Ready[0].ask(t.Context()) != nil
		})
		cancel(errors.New("waited long enough"))
	}()
	err := start(ctx, dir, s, io.Discard)
	require.ErrorContains(t, err, "waited long enough")
	_, err = readStat(pid)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestTakenPortIsNamedWithTheFlagThatChangesIt(t *testing.T) {
	dir, s := testDir(t), fakeServer(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	s.Ports["fake-port"] = l.Addr().(*net.TCPAddr).Port
	require.ErrorContains(t, start(t.Context(), dir, s, io.Discard), "choose another with -fake-port")
}

func TestServersSeeNoCredentials(t *testing.T) {
	t.Setenv("VLLM_API_KEY", "a secret")
	for _, variable := range baseEnv() {
		require.NotContains(t, variable, "a secret")
	}
}
