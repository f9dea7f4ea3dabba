package engines

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTransportClassesByHowFarAReplyCame(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	known := Errorf(Oversize, "too large")
	for _, test := range []struct {
		err     error
		started bool
		want    Class
	}{
		{refused, false, Dial},
		{io.EOF, false, Conn},
		{syscall.ECONNRESET, false, Conn},
		{fmt.Errorf("read: %w", syscall.ECONNRESET), true, Reset},
		{syscall.EPIPE, true, Reset},
		{io.ErrUnexpectedEOF, true, Truncated},
		{io.EOF, true, Truncated},
		{os.ErrDeadlineExceeded, true, RequestTimeout},
		{errors.New("invalid byte in chunk length"), true, Protocol},
		{fmt.Errorf("read: %w", known), true, Oversize},
	} {
		require.Equal(t, test.want, Transport(t.Context(), test.err, test.started).Class, "%v, started %v", test.err, test.started)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(Errorf(IdleTimeout, "silence"))
	require.Equal(t, IdleTimeout, Transport(ctx, io.EOF, true).Class, "the cause of the context wins")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	require.Equal(t, Cancelled, Transport(ctx, io.EOF, true).Class)
}

func TestAdviceIsForWhatThisSideLacks(t *testing.T) {
	require.Contains(t, Advice(fmt.Errorf("socket: %w", syscall.EMFILE)), "ulimit -n")
	require.Contains(t, Advice(&net.OpError{Op: "dial", Err: syscall.EADDRNOTAVAIL}), "ip_local_port_range")
	require.Empty(t, Advice(syscall.ECONNREFUSED))
}
