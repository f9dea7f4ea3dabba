//go:build linux && (amd64 || arm64)

package capture

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernelReader reads a TCP socket with recvmsg, so that each read brings the
// kernel's receive timestamp of its last byte (SO_TIMESTAMPNS; Linux commit
// 98aaa913b4ed). Everything a read needs is here and used again.
type kernelReader struct {
	raw   syscall.RawConn
	msg   unix.Msghdr
	iov   unix.Iovec
	oob   [64]byte
	recv  func(fd uintptr) bool // recvmsg, made once so that a read makes no closure
	n     int
	errno syscall.Errno
	stamp int64 // of the read before
}

// newKernelReader is nil where c is not a TCP socket or the kernel will not
// stamp it.
func newKernelReader(c net.Conn) *kernelReader {
	tcp, ok := c.(*net.TCPConn)
	if !ok || !stampsOn() {
		return nil
	}
	return stamped(tcp)
}

func stamped(tcp *net.TCPConn) *kernelReader {
	raw, err := tcp.SyscallConn()
	if err != nil || setStamps(raw) != nil {
		return nil
	}
	k := &kernelReader{raw: raw}
	k.msg.Iov = &k.iov
	k.msg.SetIovlen(1)
	k.recv = k.recvmsg
	return k
}

func setStamps(raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	})
	if err != nil {
		return err
	}
	return failed
}

// read reads into p, which is not empty. No bytes and no error is the end.
func (k *kernelReader) read(p []byte) (int, error) {
	k.iov.Base = &p[0]
	k.iov.SetLen(len(p))
	if err := k.raw.Read(k.recv); err != nil {
		return 0, err
	}
	k.iov.Base = nil
	if k.errno != 0 {
		return 0, os.NewSyscallError("recvmsg", k.errno)
	}
	return k.n, nil
}

// recvmsg reports whether the read is over: false asks the poller to wait.
// The socket does not block, so the scheduler need not know of the call.
func (k *kernelReader) recvmsg(fd uintptr) bool {
	k.msg.Control = &k.oob[0]
	k.msg.SetControllen(len(k.oob))
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&k.msg)), 0)
		switch errno {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		}
		k.n, k.errno = int(n), errno
		return true
	}
}

// kernelTime is the stamp that the last read brought, on the wall clock.
func (k *kernelReader) kernelTime() (ns int64, ok bool) {
	const headerLen = int(unsafe.Sizeof(unix.Cmsghdr{}))
	if int(k.msg.Controllen) < headerLen+16 {
		return 0, false
	}
	header := (*unix.Cmsghdr)(unsafe.Pointer(&k.oob[0]))
	if header.Level != unix.SOL_SOCKET || header.Type != unix.SO_TIMESTAMPNS {
		return 0, false
	}
	stamp := (*unix.Timespec)(unsafe.Pointer(&k.oob[headerLen]))
	return stamp.Nano(), true
}

func (c *Conn) readKernel(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	k := c.kernel
	n, err := k.read(p)
	if err != nil {
		if _, ok := err.(*os.SyscallError); ok { // what the poller says is a net.Error already
			err = &net.OpError{Op: "read", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
		}
		return 0, err
	}
	if n == 0 {
		return 0, io.EOF
	}
	now := time.Now()
	seen := now.Sub(began)
	arrival := seen
	if stamp, ok := k.kernelTime(); !ok {
		c.missed.Store(true)
	} else {
		if gap := now.UnixNano() - stamp; gap > 0 {
			// The gap is taken between two wall-clock readings microseconds
			// apart and then applied to the monotonic clock, so that a stepped
			// wall clock matters only if the step falls into the gap.
			arrival = seen - time.Duration(gap)
		}
		if stamp == k.stamp {
			// The rest of a packet. Another reading of the clocks would put it
			// nanoseconds apart from its beginning.
			arrival, _ = c.Last()
		}
		k.stamp = stamp
	}
	c.stamp(n, arrival, seen)
	return n, nil
}

// stampsOn turns the kernel's receive timestamps on and reports whether they
// come. The kernel enables them lazily for the whole host when the first
// socket asks, and in the background, so that the first packets of that socket
// go without; one socket that asks is therefore kept open for the life of the
// process, and TCP, where nothing stands in for a stamp that is missing, asked
// until one has come.
var stampsOn = sync.OnceValue(func() bool {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return false
	}
	raw, err := conn.SyscallConn()
	if err != nil || setStamps(raw) != nil || !probe() {
		conn.Close()
		return false
	}
	keepOpen = conn
	return true
})

var keepOpen *net.UDPConn

// probe sends itself bytes until some arrive stamped.
func probe() bool {
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return false
	}
	defer listener.Close()
	from, err := net.DialTCP("tcp4", nil, listener.Addr().(*net.TCPAddr))
	if err != nil {
		return false
	}
	defer from.Close()
	to, err := listener.AcceptTCP()
	if err != nil {
		return false
	}
	defer to.Close()
	k := stamped(to)
	for buf, tries := make([]byte, 1), 0; k != nil && tries < 1000; tries++ {
		if _, err := from.Write(buf); err != nil || to.SetReadDeadline(time.Now().Add(time.Second)) != nil {
			return false
		}
		if _, err := k.read(buf); err != nil {
			return false
		}
		if _, ok := k.kernelTime(); ok {
			return true
		}
		time.Sleep(10 * time.Microsecond) // the kernel is at it
	}
	return false
}
