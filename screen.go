package enginebench

import (
	"fmt"
	"io"
	"os"
	"time"

	"enginebench/workload"
)

// screen is the terminal, where progress goes. Stdout is data, and go test
// merges stderr into it, so neither can be used. Without a terminal there is
// no progress.
type screen struct{ tty *os.File }

func openScreen() *screen {
	tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
	if err != nil {
		return &screen{}
	}
	return &screen{tty: tty}
}

func (s *screen) close() {
	if s != nil && s.tty != nil {
		io.WriteString(s, clearLine)
		s.tty.Close()
		s.tty = nil
	}
}

const clearLine = "\r\x1b[K"

// Write implements io.Writer. A terminal that went away is no failure.
func (s *screen) Write(p []byte) (int, error) {
	if s.tty != nil {
		s.tty.Write(p)
	}
	return len(p), nil
}

// watch shows a run's progress once a second until stop is called. More often
// would be work beside the measurement.
func (s *screen) watch(label string, p *workload.Progress) (stop func()) {
	if s.tty == nil {
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	start := time.Now()
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				io.WriteString(s, clearLine)
				return
			case <-tick.C:
				fmt.Fprintf(s, "%s%s: %d of %d done, %d in flight, %d failed, %v", clearLine, label,
					p.Done.Load(), p.Total.Load(), p.InFlight.Load(), p.Failed.Load(), time.Since(start).Round(time.Second))
			}
		}
	}()
	return func() { close(done); <-ended }
}
