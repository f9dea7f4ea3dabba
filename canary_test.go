package enginebench

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/fixtures/script"
	"enginebench/workload"
	"enginebench/workload/truth"
)

// fake is a prober that finds what it is told to, again and again.
type fake struct {
	finds  []workload.Canary
	failAt int // the probe that fails, from 1; 0: none
	probes int
	pace   time.Duration // of a probe
	closed bool
}

func (f *fake) probe(context.Context) (*workload.Canary, error) {
	f.probes++
	time.Sleep(f.pace)
	if f.probes == f.failAt {
		return nil, errors.New("the server is gone")
	}
	if len(f.finds) == 0 {
		return &workload.Canary{Streams: 4}, nil
	}
	return &f.finds[(f.probes-1)%len(f.finds)], nil
}

func (f *fake) Close() error { f.closed = true; return nil }

// of is a canary whose probers are the given ones, one after the other.
func of(probers ...*fake) *canary {
	return &canary{probers: map[truth.Protocol]prober{}, open: func(truth.Protocol) (prober, error) {
		if len(probers) == 0 {
			return nil, errors.New("no program")
		}
		s := probers[0]
		probers = probers[1:]
		return s, nil
	}}
}

var errOfTheRun = errors.New("of the run")

func TestTheCanaryRunsBeforeAndAfterAFewSlots(t *testing.T) {
	f := &fake{}
	before := 0
	found, warning, err := of(f).around(t.Context(), truth.HTTP, canaryBeside-1, func() error { before = f.probes; return errOfTheRun })
	require.ErrorIs(t, err, errOfTheRun)
	require.Empty(t, warning)
	require.Equal(t, 4, found.Streams)
	require.Equal(t, 1, before)
	require.Equal(t, 2, f.probes)
}

func TestTheCanaryRunsBesideManySlotsUntilTheyEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{pace: time.Second}
		start := time.Now()
		_, warning, err := of(f).around(t.Context(), truth.HTTP, canaryBeside, func() error {
			time.Sleep(3500 * time.Millisecond)
			return errOfTheRun
		})
		require.ErrorIs(t, err, errOfTheRun)
		require.Empty(t, warning)
		require.Equal(t, 4, f.probes) // the fourth, from 3 s to 4 s, is awaited
		require.Equal(t, 4*time.Second, time.Since(start))
	})
}

func TestARunThatIsShorterThanAProbeHasOneBesideIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{pace: time.Second}
		found, _, err := of(f).around(t.Context(), truth.HTTP, canaryBeside, func() error { return nil })
		require.NoError(t, err)
		require.Equal(t, 4, found.Streams)
		require.Equal(t, 1, f.probes)
	})
}

func TestACanaryThatFailsIsAWarningAndNotTriedAgain(t *testing.T) {
	for _, test := range []struct {
		name        string
		concurrency int
		failAt      int
		found       bool
	}{
		{"before a few slots", 1, 1, false},
		{"after a few slots", 1, 2, true},
		{"beside many slots", canaryBeside, 1, false},
		{"beside many slots, later", canaryBeside, 3, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bad, good := &fake{failAt: test.failAt}, &fake{}
				c := of(bad, good)
				found, warning, err := c.around(t.Context(), truth.GRPC, test.concurrency, func() error {
					synctest.Wait() // until the probe beside it blocks or ends: one without end would never
					return errOfTheRun
				})
				require.ErrorIs(t, err, errOfTheRun)
				require.Equal(t, "the canary (grpc) failed, so that nothing shows the client's own error: the server is gone", warning)
				require.Equal(t, test.found, found != nil)
				require.Equal(t, test.failAt, bad.probes)
				require.True(t, bad.closed)

				found, warning, err = c.around(t.Context(), truth.GRPC, 1, func() error { return nil })
				require.NoError(t, err)
				require.Empty(t, warning, "the next cell has another canary")
				require.NotNil(t, found)
				require.Equal(t, 2, good.probes)
			})
		})
	}
}

func TestACanaryThatCantBeOpenedIsAWarning(t *testing.T) {
	for _, concurrency := range []int{1, canaryBeside} {
		found, warning, err := of().around(t.Context(), truth.HTTP, concurrency, func() error { return nil })
		require.NoError(t, err)
		require.Nil(t, found)
		require.Contains(t, warning, "no program")
	}
}

func TestAnInterruptIsTheRunsToTell(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, warning, err := of(&fake{failAt: 2}).around(ctx, truth.HTTP, 1, func() error { cancel(); return errOfTheRun })
	require.ErrorIs(t, err, errOfTheRun)
	require.Empty(t, warning)
}

func TestWithoutACanaryTheRunIsMadeAlone(t *testing.T) {
	var none *canary
	found, warning, err := none.around(t.Context(), truth.HTTP, 1, func() error { return errOfTheRun })
	require.ErrorIs(t, err, errOfTheRun)
	require.Empty(t, warning)
	require.Nil(t, found)
	none.close()
}

func TestTheWorstProbeIsKept(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		name          string
		before, after workload.Canary
		want          int // 0: before, 1: after
	}{
		{"late and later", workload.Canary{TTFT: 100 * ms, TTFTError: ms}, workload.Canary{TTFT: 100 * ms, TTFTError: 2 * ms}, 1},
		{"early counts as late does", workload.Canary{TTFT: 100 * ms, TTFTError: -2 * ms}, workload.Canary{TTFT: 100 * ms, TTFTError: ms}, 0},
		{"gaps count as the first token does", workload.Canary{TTFT: 100 * ms, TTFTError: 2 * ms}, workload.Canary{TPOT: 10 * ms, TPOTError: -ms}, 1},
		{"a token lost and late", workload.Canary{TokensError: -1}, workload.Canary{TTFT: 100 * ms, TTFTError: 9 * ms}, 0},
		{"late and a token too many", workload.Canary{TTFT: 100 * ms, TTFTError: 9 * ms}, workload.Canary{TokensError: 1}, 1},
		{"one token and two", workload.Canary{TokensError: 1, TTFT: 100 * ms, TTFTError: 9 * ms}, workload.Canary{TokensError: -2}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			finds := []workload.Canary{test.before, test.after}
			found, _, err := of(&fake{finds: finds}).around(t.Context(), truth.HTTP, 1, func() error { return nil })
			require.NoError(t, err)
			require.Equal(t, finds[test.want], *found)
		})
	}
}

func TestTheWorstGapsAreKeptOfEitherProbe(t *testing.T) {
	const ms, us = time.Millisecond, time.Microsecond
	late := workload.Canary{TTFT: 100 * ms, TTFTError: ms, ITLError: 100 * us, ITLErrorAt: "p99"}
	jumpy := workload.Canary{TTFT: 100 * ms, TTFTError: us, ITLError: 5 * ms, ITLErrorAt: "max"}
	for _, finds := range [][]workload.Canary{{late, jumpy}, {jumpy, late}} {
		found, _, err := of(&fake{finds: finds}).around(t.Context(), truth.HTTP, 1, func() error { return nil })
		require.NoError(t, err)
		require.Equal(t, workload.Canary{TTFT: 100 * ms, TTFTError: ms, ITLError: 5 * ms, ITLErrorAt: "max"}, *found)
	}
}

func TestEachProtocolHasAProberOfItsOwn(t *testing.T) {
	opened := map[truth.Protocol]int{}
	var all []*fake
	c := &canary{probers: map[truth.Protocol]prober{}, open: func(p truth.Protocol) (prober, error) {
		opened[p]++
		all = append(all, &fake{})
		return all[len(all)-1], nil
	}}
	for _, p := range []truth.Protocol{truth.GRPC, truth.GRPC, truth.HTTP} {
		_, _, err := c.around(t.Context(), p, 1, func() error { return nil })
		require.NoError(t, err)
	}
	require.Equal(t, map[truth.Protocol]int{truth.GRPC: 1, truth.HTTP: 1}, opened)
	require.Equal(t, 4, all[0].probes)
	require.Equal(t, 2, all[1].probes)
	c.close()
	require.True(t, all[0].closed && all[1].closed)
}

func TestTheStreamsOfEachProtocolAreKnownAndEnoughForAP99(t *testing.T) {
	c := newCanary(t.Context())
	t.Cleanup(c.close)
	for _, p := range truth.Protocols {
		t.Run(string(p), func(t *testing.T) {
			found, warning, err := c.around(t.Context(), p, 1, func() error { return nil })
			require.NoError(t, err)
			require.Empty(t, warning)
			require.Equal(t, 4, found.Streams)
			require.Equal(t, 4*26, found.Tokens)
			require.Zero(t, found.TokensError)
			require.InEpsilon(t, 100*time.Millisecond, found.TTFT, 0.5)
			require.InEpsilon(t, 10*time.Millisecond, found.TPOT, 0.5)
			require.Equal(t, "p99", found.ITLErrorAt) // the 99th of 4 x 25 gaps
			require.Equal(t, p, truth.ProtocolOf(c.probers[p].(*stage).Recording.Header.Info))
		})
	}
}

// A server that hangs stops in the middle of a reply.
func TestAServerThatHangsEndsTheProbe(t *testing.T) {
	for _, p := range truth.Protocols {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			s, err := openStage(t.Context(), script.Script{Dialect: p.Dialect(), Stall: time.Hour}, 10*time.Second)
			require.NoError(t, err)
			s.limit = 50 * time.Millisecond
			c := &canary{probers: map[truth.Protocol]prober{p: s}}
			_, warning, err := c.around(t.Context(), p, 1, func() error { return nil })
			require.NoError(t, err)
			require.Contains(t, warning, "it took longer than 50ms")
			require.Empty(t, c.probers)
		})
	}
}

func TestADeadServerIsAWarning(t *testing.T) {
	s, err := openStage(t.Context(), script.Script{Dialect: truth.HTTP.Dialect()}, 10*time.Second)
	require.NoError(t, err)
	require.NoError(t, s.Server.Close())
	c := &canary{probers: map[truth.Protocol]prober{truth.HTTP: s}}
	_, warning, err := c.around(t.Context(), truth.HTTP, canaryBeside, func() error { return nil })
	require.NoError(t, err)
	require.Contains(t, warning, "the server is closed")
}

func TestALineSaysWhoseTruthItIs(t *testing.T) {
	c := &workload.Canary{Streams: 129, TTFT: 100 * time.Millisecond, TTFTError: time.Millisecond,
		TPOT: 10 * time.Millisecond, TPOTError: -time.Microsecond, ITLError: 21 * time.Microsecond, ITLErrorAt: "max"}
	const same = ": 129 streams with known times read a TTFT of 101.000 ms where 100.000 ms are true (+1.000 %), a TPOT of 9.999 ms where 10.000 ms are true, gaps within 21 us (max)"
	require.Equal(t, "canary"+same, canaryLine(c, false))
	require.Equal(t, "replay truth"+same, canaryLine(c, true))
}
