package capture_test

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"enginebench/engines/capture"
)

func TestCommitMarksWhatWasReadIntoRoom(t *testing.T) {
	c := capture.New(1, 64, 4)[0]
	copy(c.Room(), "hello")
	c.Commit(5, 10, 12)
	copy(c.Room(), "world!")
	c.Commit(6, 20, 21)
	require.Equal(t, "hello", string(c.Chunk(0)))
	require.Equal(t, "world!", string(c.Chunk(1)))
	require.Equal(t, []capture.Chunk{{Arrival: 10, Seen: 12, End: 5}, {Arrival: 20, Seen: 21, End: 11}}, c.Chunks)
}

func TestCapturesOfOneBlockDoNotTouchEachOther(t *testing.T) {
	captures := capture.New(2, 8, 1)
	for range 10 { // far beyond the 8 bytes and 1 chunk that were asked for
		captures[0].Append(make([]byte, 1000), 1, 1)
		captures[1].Append([]byte("b"), 1, 1)
	}
	require.Equal(t, "bbbbbbbbbb", string(captures[1].Data))
	require.Equal(t, make([]byte, 10000), captures[0].Data)
}

func TestResetKeepsTheMemoryAndNothingElse(t *testing.T) {
	c := capture.New(1, 100, 10)[0]
	c.Append([]byte("x"), 1, 1)
	c.Send, c.Done, c.Err, c.Stamp, c.Late = 5, 9, io.EOF, capture.Kernel, 1
	c.Progressed(7)
	before := cap(c.Data)
	c.Reset()
	require.Empty(t, c.Data)
	require.Empty(t, c.Chunks)
	require.Zero(t, c.Send)
	require.Zero(t, c.Done)
	require.Zero(t, c.Progress())
	require.Zero(t, c.Late)
	require.NoError(t, c.Err)
	require.Equal(t, capture.User, c.Stamp)
	require.Equal(t, before, cap(c.Data))
}

func TestRebaseMovesOnlyTimesThatAreSet(t *testing.T) {
	c := capture.New(1, 100, 10)[0]
	c.Send, c.Done = 1100, 1300
	c.Head = capture.Head{Arrival: 1200, Seen: 1210}
	c.Append([]byte("x"), 1250, 1260)
	c.Rebase(1000)
	require.Equal(t, time.Duration(100), c.Send)
	require.Equal(t, time.Duration(300), c.Done)
	require.Equal(t, capture.Head{Arrival: 200, Seen: 210}, c.Head)
	require.Zero(t, c.Intended)
	require.Zero(t, c.Trailer)
	require.Equal(t, capture.Chunk{Arrival: 250, Seen: 260, End: 1}, c.Chunks[0])
}

func TestUserStampsAreThoseOfTheWholeCapture(t *testing.T) {
	c := capture.New(1, 100, 10)[0]
	c.Stamp = capture.Kernel
	c.Head = capture.Head{Arrival: 100, Seen: 110, Status: 200}
	c.Append([]byte("x"), 200, 210)
	c.Trailer = capture.Trailer{Arrival: 300, Seen: 310, Clean: true}
	c.UserStamps()
	require.Equal(t, capture.User, c.Stamp)
	require.Equal(t, capture.Head{Arrival: 110, Seen: 110, Status: 200}, c.Head)
	require.Equal(t, []capture.Chunk{{Arrival: 210, Seen: 210, End: 1}}, c.Chunks)
	require.Equal(t, capture.Trailer{Arrival: 310, Seen: 310, Clean: true}, c.Trailer)

	old := &capture.Capture{Stamp: capture.Kernel, Head: capture.Head{Arrival: 100}} // and no trailer
	old.UserStamps()
	require.Equal(t, capture.Head{Arrival: 100}, old.Head, "when it was seen is not known")
	require.Zero(t, old.Trailer)
}

func TestRecentIsWhatCameTogether(t *testing.T) {
	const us = time.Microsecond
	for name, test := range map[string]struct {
		waits []time.Duration // before a write of 10 bytes each
		want  int
	}{
		"one":                 {[]time.Duration{0}, 10},
		"far apart":           {[]time.Duration{0, 20000 * us, 20000 * us}, 10},
		"together":            {[]time.Duration{0, 20000 * us, 300 * us, 300 * us}, 30},
		"at the bound":        {[]time.Duration{0, 1000 * us}, 20},
		"beyond it":           {[]time.Duration{0, 1001 * us}, 10},
		"in small steps":      {[]time.Duration{0, 900 * us, 900 * us, 900 * us, 900 * us}, 20},
		"in very small steps": {[]time.Duration{0, 400 * us, 400 * us, 400 * us, 400 * us, 400 * us, 400 * us}, 40}, // two more than within the bound
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := net.Pipe()
				defer client.Close()
				go func() {
					defer server.Close()
					for _, wait := range test.waits {
						time.Sleep(wait)
						server.Write(make([]byte, 10))
					}
				}()
				conn := capture.Wrap(client)
				_, err := io.Copy(io.Discard, conn)
				require.NoError(t, err)
				require.Equal(t, test.want, conn.Recent())
			})
		})
	}
}

// fill reads n bytes a chunk into a capture until it is full or holds most of
// them.
func fill(c *capture.Capture, n, most int) {
	for len(c.Data) < most && c.Fits(n) {
		c.Commit(min(n, len(c.Room())), 1, 1)
	}
}

func TestALimitedCaptureStopsGrowing(t *testing.T) {
	const mib = 1 << 20
	for name, test := range map[string]struct{ chunk, spare, least, most int }{
		"little is spared":    {8 << 10, 0, 17 * mib, 64 * mib},
		"much is spared":      {8 << 10, 2 << 30, 64 * mib, 128 * mib},
		"a chunk is one byte": {1, 0, mib, 4 * mib}, // its mark takes 24
	} {
		t.Run(name, func(t *testing.T) {
			captures := capture.New(1, 100, 10)
			capture.Limit(captures, test.spare)
			c := captures[0]
			fill(c, test.chunk, 1<<30)
			require.Empty(t, c.Room())
			require.GreaterOrEqual(t, len(c.Data), test.least)
			require.LessOrEqual(t, len(c.Data), test.most)
			require.Len(t, c.Data, c.Chunks[len(c.Chunks)-1].End)
		})
	}
}

func TestLimitedCapturesShareWhatIsSpared(t *testing.T) {
	captures := capture.New(20, 100, 10)
	capture.Limit(captures, 128<<20) // each may have 64 MiB
	held := func() (all int) {
		for _, c := range captures {
			fill(c, 64<<10, 10<<20)
			all += cap(c.Data)
		}
		return all
	}
	require.LessOrEqual(t, held(), 129<<20)
	for _, c := range captures {
		c.Reset()
	}
	require.LessOrEqual(t, held(), 129<<20, "memory that is used again is not asked for again")
}

// pair is two ends of a loopback connection.
func pair(tb testing.TB) (client, server net.Conn) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	require.NoError(tb, err)
	server, err = l.Accept()
	require.NoError(tb, err)
	tb.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// On loopback the write itself delivers, so that a kernel's arrival falls into
// it, and the program, which is late on purpose, sees it later. A pause of this
// process may move one reading; it does not move most of a hundred.
func TestArrivalLiesBetweenTheWriteAndTheRead(t *testing.T) {
	const rounds = 100
	client, server := pair(t)
	conn := capture.Wrap(client)
	buf := make([]byte, 16)
	nearer := 0
	for range rounds {
		before := capture.Now()
		_, err := server.Write([]byte("token"))
		require.NoError(t, err)
		time.Sleep(100 * time.Microsecond)
		n, err := conn.Read(buf)
		require.NoError(t, err)
		require.Equal(t, "token", string(buf[:n]))
		arrival, seen := conn.Last()
		require.LessOrEqual(t, before, arrival)
		require.LessOrEqual(t, arrival, seen)
		require.LessOrEqual(t, seen, capture.Now())
		if arrival-before < seen-arrival {
			nearer++
		}
	}
	if conn.Stamp() == capture.Kernel {
		require.Greater(t, nearer, rounds/2, "arrivals are nearer to the write than to the late read")
	} else {
		require.Zero(t, nearer, "arrivals are when the program saw them")
	}
}

func TestKernelStampsComeFromTheFirstReadOn(t *testing.T) {
	for range 20 { // fresh connections are the ones that miss stamps
		client, server := pair(t)
		conn := capture.Wrap(client)
		if conn.Stamp() == capture.User {
			t.Skip("this system does not stamp received data")
		}
		conn.Arm()
		_, err := server.Write([]byte("x"))
		require.NoError(t, err)
		_, err = conn.Read(make([]byte, 1))
		require.NoError(t, err)
		require.Equal(t, capture.Kernel, conn.Stamp())
	}
}

// Over TLS a record's end rarely is a read's, and what came in one packet must
// not look as if it had come one after the other.
func TestReadsOfOnePacketHaveOneArrival(t *testing.T) {
	client, server := pair(t)
	conn := capture.Wrap(client)
	if conn.Stamp() == capture.User {
		t.Skip("this system does not stamp received data")
	}
	packet := make([]byte, 200)
	_, err := server.Write(packet)
	require.NoError(t, err)
	arrivals := map[time.Duration]bool{}
	for range packet {
		_, err := conn.Read(make([]byte, 1))
		require.NoError(t, err)
		arrival, _ := conn.Last()
		arrivals[arrival] = true
	}
	require.Len(t, arrivals, 1)
}

func TestSendIsTheFirstWriteSinceArm(t *testing.T) {
	client, server := pair(t)
	go io.Copy(io.Discard, server)
	conn := capture.Wrap(client)
	_, ok := conn.Sent()
	require.False(t, ok)
	before := capture.Now()
	conn.Write([]byte("head"))
	first, ok := conn.Sent()
	require.True(t, ok)
	require.GreaterOrEqual(t, first, before)
	conn.Write([]byte("body"))
	again, _ := conn.Sent()
	require.Equal(t, first, again)
	conn.Arm()
	_, ok = conn.Sent()
	require.False(t, ok)
}

func TestReadReportsTheEndAndDeadlinesAsAnyConnection(t *testing.T) {
	client, server := pair(t)
	conn := capture.Wrap(client)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(-time.Second)))
	_, err := conn.Read(make([]byte, 1))
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout())
	require.NoError(t, conn.SetReadDeadline(time.Time{}))
	server.Close()
	_, err = conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}

func TestAChunkAllocatesNothing(t *testing.T) {
	client, server := pair(t)
	conn := capture.Wrap(client)
	into := capture.New(1, 1<<20, 4096)[0]
	event := make([]byte, 256)
	allocs := testing.AllocsPerRun(1000, func() {
		server.Write(event)
		n, _ := conn.Read(into.Room())
		arrival, seen := conn.Last()
		into.Commit(n, arrival, seen)
		into.Progressed(seen)
	})
	require.Zero(t, allocs)
}

func BenchmarkChunk(b *testing.B) {
	for _, kind := range []string{"plain", "stamped"} {
		b.Run(kind, func(b *testing.B) {
			client, server := pair(b)
			conn := net.Conn(client)
			if kind == "stamped" {
				conn = capture.Wrap(client)
			}
			into := capture.New(1, 1<<20, 1<<12)[0]
			event := make([]byte, 256)
			b.ReportAllocs()
			for b.Loop() {
				server.Write(event)
				n, _ := conn.Read(into.Room())
				into.Commit(n, 0, 0)
				if len(into.Chunks) == 1<<12 {
					into.Reset()
				}
			}
		})
	}
}
