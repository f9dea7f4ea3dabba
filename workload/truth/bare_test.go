package truth_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	pb "enginebench/engines/triton/inference"
	"enginebench/fixtures/replay"
	"enginebench/fixtures/script"
	"enginebench/workload/truth"
)

// bare is a client that drops what it reads: it sends requests made
// beforehand and looks for the replies' ends. What it costs is the limit.
type bare struct {
	protocol bareProtocol
	loop     bareLoop
	streams  int
	cell     string
	runs     int
}

// bareProtocol is what a bare client must know of a protocol.
type bareProtocol interface {
	greeting() []byte
	// request is the whole request of a connection's run, counted from 0.
	request(id string, run int) []byte
	// reply reads a reply; the function is given its bytes as they come, and
	// reports whether they end it.
	reply(run int) look
}

type look func(data []byte) (ended bool, err error)

// bareLoop sends each connection its request, reads the replies to their ends,
// and says how many bytes came.
type bareLoop interface {
	run(requests [][]byte, looks []look) (int64, error)
}

// bareDialer makes a loop over connections that have sent the greeting.
type bareDialer func(tb testing.TB, address *net.TCPAddr, greeting []byte, streams int) bareLoop

func dialBare(tb testing.TB, p *stage, streams int, dial bareDialer) *bare {
	u, err := url.Parse(p.Server.URL("script"))
	require.NoError(tb, err)
	address, err := net.ResolveTCPAddr("tcp", u.Host)
	require.NoError(tb, err)
	b := &bare{protocol: bareHTTP1{}, streams: streams, cell: p.Recording.Header.Cell}
	if truth.ProtocolOf(p.Recording.Header.Info) == truth.GRPC {
		b.protocol = bareHTTP2{}
	}
	b.loop = dial(tb, address, b.protocol.greeting(), streams)
	return b
}

// prepare makes the requests of the next run, and gives the run.
func (b *bare) prepare() func() (int64, error) {
	requests, looks := make([][]byte, b.streams), make([]look, b.streams)
	for i := range requests {
		requests[i] = b.protocol.request(fmt.Sprintf("bare/%s/%d", b.cell, i), b.runs)
		looks[i] = b.protocol.reply(b.runs)
	}
	b.runs++
	return func() (int64, error) { return b.loop.run(requests, looks) }
}

// goroutines is the least that a client in the usual shape of Go can do: a
// goroutine a connection that reads into a buffer.
type goroutines []net.Conn

func dialGoroutines(tb testing.TB, address *net.TCPAddr, greeting []byte, streams int) bareLoop {
	conns := make(goroutines, streams)
	for i := range conns {
		c, err := net.DialTCP("tcp", nil, address)
		require.NoError(tb, err)
		tb.Cleanup(func() { c.Close() })
		_, err = c.Write(greeting)
		require.NoError(tb, err)
		conns[i] = c
	}
	return conns
}

func (g goroutines) run(requests [][]byte, looks []look) (int64, error) {
	var wg sync.WaitGroup
	var read atomic.Int64
	failed := make([]error, len(g))
	for i, c := range g {
		wg.Go(func() {
			n, err := stream(c, requests[i], looks[i])
			read.Add(n)
			failed[i] = err
		})
	}
	wg.Wait()
	return read.Load(), errors.Join(failed...)
}

func stream(c net.Conn, request []byte, look look) (read int64, err error) {
	if _, err := c.Write(request); err != nil {
		return 0, err
	}
	buffer := make([]byte, 8<<10)
	for {
		n, err := c.Read(buffer)
		read += int64(n)
		if err != nil {
			return read, err
		}
		if ended, err := look(buffer[:n]); ended || err != nil {
			return read, err
		}
	}
}

// bareHTTP1 takes the last chunk for the end, which the server writes at once.
type bareHTTP1 struct{}

func (bareHTTP1) greeting() []byte { return nil }

func (bareHTTP1) request(id string, _ int) []byte {
	return fmt.Appendf(nil, "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nX-Request-Id: %s\r\n\r\n{}", id)
}

func (bareHTTP1) reply(int) look {
	return func(data []byte) (bool, error) { return bytes.HasSuffix(data, []byte("0\r\n\r\n")), nil }
}

// bareHTTP2 has one stream a run on a connection, and windows so large that it
// never has to widen them. It reads of a frame no more than the header.
type bareHTTP2 struct{}

const bareWindow = 1 << 30

func (bareHTTP2) greeting() []byte {
	var b bytes.Buffer
	b.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&b, nil) // to memory: can't fail
	f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: bareWindow})
	f.WriteWindowUpdate(0, bareWindow)
	return b.Bytes()
}

func streamOf(run int) uint32 { return uint32(2*run + 1) }

func (bareHTTP2) request(id string, run int) []byte {
	var block, b bytes.Buffer
	e := hpack.NewEncoder(&block)
	for _, field := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", pb.GRPCInferenceService_ModelStreamInfer_FullMethodName}, {":authority", "x"},
		{"content-type", "application/grpc"}, {"te", "trailers"}, {"x-request-id", id},
	} {
		e.WriteField(hpack.HeaderField{Name: field[0], Value: field[1], Sensitive: true}) // in no table, so that a request depends on none before
	}
	f := http2.NewFramer(&b, nil)
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: streamOf(run), BlockFragment: block.Bytes(), EndHeaders: true})
	f.WriteData(streamOf(run), true, make([]byte, 5)) // an empty message
	return b.Bytes()
}

func (bareHTTP2) reply(run int) look {
	const headerLen = 9
	var header [headerLen]byte
	have, skip := 0, 0 // of the header, and of the frame's payload still to come
	ends := false
	return func(data []byte) (bool, error) {
		for len(data) > 0 {
			if skip > 0 {
				n := min(skip, len(data))
				data, skip = data[n:], skip-n
			} else {
				n := copy(header[have:], data)
				data, have = data[n:], have+n
				if have < headerLen {
					break
				}
				have, skip = 0, int(binary.BigEndian.Uint32(header[:])>>8)
				kind, flags, stream := http2.FrameType(header[3]), http2.Flags(header[4]), binary.BigEndian.Uint32(header[5:])
				switch kind {
				case http2.FrameRSTStream, http2.FrameGoAway:
					return false, fmt.Errorf("the server sent %v", kind)
				case http2.FrameHeaders, http2.FrameData:
					ends = stream == streamOf(run) && flags.Has(http2.FlagDataEndStream)
				}
			}
			if ends && skip == 0 {
				return true, nil
			}
		}
		return false, nil
	}
}

// What the client is held against must do the whole work: each reply, to its
// end, run after run.
func TestTheBareLoopsReadWholeReplies(t *testing.T) {
	for name, dial := range bareLoops {
		for _, dialect := range []string{"openai.completions", "triton.tensorrt_llm"} {
			t.Run(name+"/"+dialect, func(t *testing.T) {
				t.Parallel()
				const streams = 4
				p := open(t, script.Script{Dialect: dialect, Load: "waves", Cell: "wave=4", Concurrency: streams, Requests: streams,
					Tokens: 64, TTFT: 5 * ms, Gap: ms}, replay.Options{})
				var content int64
				for _, r := range p.Recording.Requests {
					if r.Cell == p.Recording.Header.Cell {
						content += int64(len(r.Capture.Data))
					}
				}
				bare := dialBare(t, p, streams, dial)
				for range 2 {
					_, err := p.Server.Report() // what came before is not of this run
					require.NoError(t, err)
					read, err := bare.prepare()()
					require.NoError(t, err)
					require.Greater(t, read, content)
					report, err := p.Server.Report()
					require.NoError(t, err)
					require.Empty(t, report.Refused)
					require.Len(t, report.Requests, streams)
					for _, r := range report.Requests {
						require.Len(t, r.Chunks, len(p.Recording.Requests[len(p.Recording.Requests)-1].Capture.Chunks), "played to its end")
					}
				}
			})
		}
	}
}

// Frames come in pieces of any size.
func TestTheBareLoopFindsTheEndOfAStreamInPieces(t *testing.T) {
	var b bytes.Buffer
	f := http2.NewFramer(&b, nil)
	require.NoError(t, f.WriteSettings())
	require.NoError(t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: []byte("head"), EndHeaders: true}))
	require.NoError(t, f.WriteData(3, false, make([]byte, 300)))
	require.NoError(t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: []byte("end"), EndHeaders: true, EndStream: true}))
	whole := b.Bytes()
	for size := 1; size <= len(whole); size++ {
		look := bareHTTP2{}.reply(1)
		for from := 0; from < len(whole); from += size {
			to := min(from+size, len(whole))
			ended, err := look(whole[from:to])
			require.NoError(t, err)
			require.Equal(t, to == len(whole), ended, "%d bytes of %d, in pieces of %d", to, len(whole), size)
		}
	}
	require.NoError(t, f.WriteRSTStream(3, http2.ErrCodeCancel))
	_, err := bareHTTP2{}.reply(1)(b.Bytes()[len(whole):])
	require.ErrorContains(t, err, "RST_STREAM")
}
