package grpcstream

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"google.golang.org/grpc/mem"

	"enginebench/engines/capture"
)

// served is a connection whose reads are cut where the test wants.
type served struct {
	net.Conn
	data []byte
	cut  func() int // the most that the next read brings
}

func (s *served) Read(p []byte) (int, error) {
	if len(s.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), max(1, s.cut()))], s.data)
	s.data = s.data[n:]
	return n, nil
}

func (s *served) Write(p []byte) (int, error) { return len(p), nil }

// grpcMessage is a length-prefixed message of n bytes.
func grpcMessage(n int, compressed bool) []byte {
	b := make([]byte, messagePrefixLen+n)
	if compressed {
		b[0] = 1
	}
	binary.BigEndian.PutUint32(b[1:], uint32(n))
	return b
}

// mark is where in the bytes something of the stream is whole.
type mark struct {
	end  int
	what what
}

// reply writes frames as a server would and knows where things end.
type reply struct {
	bytes.Buffer
	*http2.Framer
	marks []mark
}

func newReply() *reply {
	r := new(reply)
	r.Framer = http2.NewFramer(&r.Buffer, nil)
	r.AllowIllegalWrites = true
	return r
}

func (r *reply) mark(w what) { r.marks = append(r.marks, mark{r.Len(), w}) }

// testStream is the id of the stream that the test's requests are on.
const testStream = 3

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// headers writes a header block, split over CONTINUATION frames where split.
func (r *reply) headers(w what, split bool) {
	p := http2.HeadersFrameParam{StreamID: testStream, BlockFragment: []byte{0x88, 0x80, 0x81}, EndStream: w == trailer, EndHeaders: !split}
	must(r.WriteHeaders(p))
	if split {
		must(r.WriteContinuation(testStream, false, []byte{0x82}))
		must(r.WriteContinuation(testStream, true, nil))
	}
	r.mark(w)
}

// bothWays is a reply with everything that may stand between two messages.
func bothWays() *reply {
	r := newReply()
	must(r.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 100}))
	must(r.WriteSettingsAck())
	must(r.WriteData(1, false, grpcMessage(20, false))) // left over of an older stream
	r.headers(head, true)
	must(r.WriteData(testStream, false, grpcMessage(0, false))) // an empty message
	r.mark(message)
	must(r.WriteData(testStream, false, nil))
	must(r.WriteDataPadded(testStream, false, grpcMessage(30, true), make([]byte, 7)))
	// The message is whole where the padding begins, but the frame's end is
	// what any reader waits for at the latest; the mark is the message's.
	r.marks = append(r.marks, mark{r.Len() - 7, message})
	must(r.WritePing(false, [8]byte{1}))

	three := append(append(grpcMessage(1, false), grpcMessage(200, false)...), grpcMessage(3, false)...)
	start := r.Len() + frameHeaderLen
	must(r.WriteData(testStream, false, three)) // three messages in one frame
	for _, end := range []int{6, 6 + 205, 6 + 205 + 8} {
		r.marks = append(r.marks, mark{start + end, message})
	}
	long := grpcMessage(5000, false) // one message over frames, cut inside its prefix too
	must(r.WriteData(testStream, false, long[:2]))
	must(r.WriteWindowUpdate(0, 77))
	must(r.WriteData(1, true, grpcMessage(9, false)))
	must(r.WriteDataPadded(testStream, false, long[2:3000], nil))
	must(r.WriteData(testStream, false, long[3000:]))
	r.mark(message)
	r.headers(trailer, false)
	must(r.WriteRSTStream(testStream, http2.ErrCodeNo))
	return r
}

// sniffAll reads the reply through a sniffer and returns what it found, with
// for each the index of the read that must have stamped it, and the stamps of
// all reads.
func sniffAll(t testing.TB, data []byte, cut func() int, buf int) (found []arrival, readEnds []int, stamps []time.Duration, s *sniffer) {
	conn := capture.Wrap(&served{data: data, cut: cut})
	s = newSniffer(conn, conn, 4000)
	s.arm()
	_, err := s.Write([]byte(http2.ClientPreface))
	require.NoError(t, err)
	request := newReply()
	must(request.WriteSettings())
	must(request.WriteHeaders(http2.HeadersFrameParam{StreamID: testStream, BlockFragment: []byte{0x80}, EndHeaders: true}))
	for _, b := range request.Bytes() { // byte by byte: any cut
		_, err := s.Write([]byte{b})
		require.NoError(t, err)
	}
	require.EqualValues(t, testStream, s.stream.Load())
	p, at := make([]byte, buf), 0
	for {
		n, err := s.Read(p)
		if err != nil {
			break
		}
		at += n
		_, seen := conn.Last()
		readEnds, stamps = append(readEnds, at), append(stamps, seen)
	}
	for e, ok := s.next(); ok; e, ok = s.next() {
		found = append(found, e)
	}
	return found, readEnds, stamps, s
}

func TestSnifferStampsEachMessageWithTheReadOfItsLastByte(t *testing.T) {
	r := bothWays()
	cuts := map[string]func() int{
		"whole":        func() int { return 1 << 20 },
		"bytes":        func() int { return 1 },
		"sevens":       func() int { return 7 },
		"frame header": func() int { return 9 },
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{"random a", "random b", "random c"} {
		cuts[name] = func() int { return 1 + rng.IntN(300) }
	}
	for name, cut := range cuts {
		t.Run(name, func(t *testing.T) {
			found, ends, stamps, s := sniffAll(t, r.Bytes(), cut, 1<<15)
			require.Len(t, found, len(r.marks))
			for i, m := range r.marks {
				read := 0
				for ends[read] < m.end {
					read++
				}
				require.Equal(t, m.what, found[i].what, "mark %d", i)
				require.Equal(t, stamps[read], found[i].seen, "mark %d", i)
			}
			require.True(t, s.oversize.Load(), "5000 bytes are above the limit of 4000")
			require.True(t, s.reset.Load())
		})
	}
}

func TestSnifferFollowsOnlyTheArmedStream(t *testing.T) {
	r := newReply()
	must(r.WriteSettings())
	must(r.WriteData(testStream-2, false, grpcMessage(10, false)[:8])) // cancelled in the middle of a message
	must(r.WriteData(testStream, false, grpcMessage(10, false)))
	must(r.WriteData(testStream+2, false, grpcMessage(10, false)))
	found, _, _, _ := sniffAll(t, r.Bytes(), func() int { return 5 }, 100)
	require.Len(t, found, 1)
	require.EqualValues(t, testStream, found[0].stream)
}

func TestTheSendStampIsThatOfTheRequestsHeaders(t *testing.T) {
	conn := capture.Wrap(&served{})
	s := newSniffer(conn, conn, defaultMaxMessage)
	write := func(b []byte) time.Duration {
		before := capture.Now()
		_, err := s.Write(b)
		require.NoError(t, err)
		return before
	}
	request := newReply()
	must(request.WriteHeaders(http2.HeadersFrameParam{StreamID: testStream, BlockFragment: []byte{0x80}, EndHeaders: true}))
	settings := newReply()
	must(settings.WriteSettingsAck())
	write([]byte(http2.ClientPreface))
	s.arm()
	write(settings.Bytes()) // the library's own business
	_, seen := s.stamps.Sent()
	require.True(t, seen)
	began := write(request.Bytes())
	sent, _ := s.stamps.Sent()
	require.GreaterOrEqual(t, sent, began)
	done := capture.Now()
	write(request.Bytes()) // another stream's
	sent, _ = s.stamps.Sent()
	require.LessOrEqual(t, sent, done)
}

func TestSnifferKeepsTheReasonOfAGoAway(t *testing.T) {
	r := newReply()
	must(r.WriteSettings())
	must(r.WriteGoAway(testStream, http2.ErrCodeEnhanceYourCalm, []byte("too_many_pings")))
	_, _, _, s := sniffAll(t, r.Bytes(), func() int { return 4 }, 100)
	require.Equal(t, `the server said goaway: ENHANCE_YOUR_CALM "too_many_pings"`, *s.goaway.Load())
}

func TestSnifferTellsWhatThePeerSpeaks(t *testing.T) {
	settings := newReply()
	must(settings.WriteSettings())
	for name, c := range map[string]struct {
		bytes []byte
		want  uint32
	}{
		"nothing": {nil, silent},
		"http2":   {settings.Bytes(), speaksHTTP2},
		"http1":   {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), speaksHTTP1},
		"tls":     {[]byte{0x15, 0x03, 0x01, 0, 2, 2, 0x46}, speaksTLS},
		"other":   {[]byte("220 mail ready\r\n"), speaksOther},
	} {
		t.Run(name, func(t *testing.T) {
			found, _, _, s := sniffAll(t, c.bytes, func() int { return 100 }, 100)
			require.Empty(t, found)
			require.Equal(t, c.want, s.greeting.Load())
		})
	}
}

func TestArrivalsKeepTheirOrderThroughManyBlocks(t *testing.T) {
	const n = 5*blockLen + 3
	a := newArrivals()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range n {
			a.push(arrival{at: time.Duration(i)})
		}
	}()
	for i := 0; i < n; {
		if e, ok := a.pop(); ok {
			require.EqualValues(t, i, e.at)
			i++
		}
	}
	<-done
	_, ok := a.pop()
	require.False(t, ok)
}

func TestAMessageAllocatesNothingOfOurs(t *testing.T) {
	conn := capture.Wrap(&served{})
	s := newSniffer(conn, conn, defaultMaxMessage)
	s.greeting.Store(speaksHTTP2)
	s.stream.Store(testStream)
	r := newReply()
	must(r.WriteData(testStream, false, grpcMessage(200, false)))
	frame := r.Bytes()
	var data mem.BufferSlice = []mem.Buffer{mem.SliceBuffer(frame[frameHeaderLen+messagePrefixLen:])}
	const runs = 3 * blockLen
	into := capture.New(1, 200*(runs+1), runs+1)[0]
	var to any = &receiver{conn: s, into: into}
	got := testing.AllocsPerRun(runs, func() {
		s.follow(frame)
		must(rawCodec{}.Unmarshal(data, to))
	})
	require.Zero(t, got)
	require.Len(t, into.Chunks, runs+1)
	require.Zero(t, to.(*receiver).lost)
}

func BenchmarkSnifferMessage(b *testing.B) {
	conn := capture.Wrap(&served{})
	s := newSniffer(conn, conn, defaultMaxMessage)
	s.greeting.Store(speaksHTTP2)
	s.stream.Store(testStream)
	r := newReply()
	must(r.WriteData(testStream, false, grpcMessage(200, false)))
	b.ReportAllocs()
	for b.Loop() {
		s.follow(r.Bytes())
		s.next()
	}
}

// FuzzSniffer feeds any bytes in any cuts: nothing may panic, and the cuts may
// not change what is found.
func FuzzSniffer(f *testing.F) {
	f.Add(bothWays().Bytes(), uint64(1))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), uint64(2))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		if len(data) > 0 && len(data) < 5 {
			return // what the peer speaks is told by its first five bytes
		}
		whole, _, _, _ := sniffAll(t, data, func() int { return 1 << 20 }, 1<<16)
		rng := rand.New(rand.NewPCG(seed, 0))
		cut, _, _, _ := sniffAll(t, data, func() int { return 5 + rng.IntN(64) }, 1<<16)
		require.Equal(t, len(whole), len(cut))
		for i := range whole {
			require.Equal(t, whole[i].what, cut[i].what)
		}
	})
}
