package truth_test

import (
	"fmt"
	"io"
	"net"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// bareLoops are the clients that the client is held against.
var bareLoops = map[string]bareDialer{"bare": dialGoroutines, "epoll": dialEpoll}

// epollLoop is the least that any program can do that asks the kernel for each
// chunk and its stamp: one thread, one epoll_wait for all that came, and one
// recvmsg a chunk into the same buffer.
type epollLoop struct {
	poll    int
	conns   []int
	events  []unix.EpollEvent
	buffer  []byte
	control [64]byte
	vec     unix.Iovec
	msg     unix.Msghdr
}

func dialEpoll(tb testing.TB, address *net.TCPAddr, greeting []byte, streams int) bareLoop {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	require.NoError(tb, err)
	tb.Cleanup(func() { unix.Close(poll) })
	e := &epollLoop{poll: poll, events: make([]unix.EpollEvent, 256), buffer: make([]byte, 8<<10)}
	e.vec.Base = &e.buffer[0]
	e.vec.SetLen(len(e.buffer))
	e.msg.Iov = &e.vec
	e.msg.SetIovlen(1)
	to := &unix.SockaddrInet4{Port: address.Port, Addr: [4]byte(address.IP.To4())}
	for i := range streams {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(tb, err)
		tb.Cleanup(func() { unix.Close(fd) })
		require.NoError(tb, unix.Connect(fd, to))
		require.NoError(tb, unix.SetNonblock(fd, true))
		require.NoError(tb, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1))
		require.NoError(tb, unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}))
		e.conns = append(e.conns, fd)
		if len(greeting) > 0 {
			require.NoError(tb, e.write(i, greeting))
		}
	}
	return e
}

func (e *epollLoop) run(requests [][]byte, looks []look) (read int64, err error) {
	for i, request := range requests {
		if err := e.write(i, request); err != nil {
			return 0, err
		}
	}
	for left := len(e.conns); left > 0; {
		n, err := unix.EpollWait(e.poll, e.events, -1)
		if err != nil && err != unix.EINTR {
			return read, fmt.Errorf("epoll_wait: %w", err)
		}
		for i := range max(n, 0) {
			conn := e.events[i].Fd
			n, err := e.recvmsg(int(conn))
			if err != nil {
				return read, err
			}
			read += int64(n)
			ended, err := looks[conn](e.buffer[:n])
			if err != nil {
				return read, err
			}
			if ended {
				left--
			}
		}
	}
	return read, nil
}

// write expects the little that is sent here to fit into the socket.
func (e *epollLoop) write(conn int, b []byte) error {
	n, err := unix.Write(e.conns[conn], b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}

func (e *epollLoop) recvmsg(conn int) (int, error) {
	e.msg.Control = &e.control[0]
	e.msg.SetControllen(len(e.control))
	n, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(e.conns[conn]), uintptr(unsafe.Pointer(&e.msg)), 0)
	switch {
	case errno != 0:
		return 0, fmt.Errorf("recvmsg: %w", errno)
	case n == 0:
		return 0, io.ErrUnexpectedEOF
	}
	return int(n), nil
}
