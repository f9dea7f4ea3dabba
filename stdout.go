package enginebench

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
)

// stdoutIsClosed reports whether the caller closed stdout. Go's runtime then
// puts the null device in its place, open for reading too, as no redirection to
// it is, and every write succeeds.
func stdoutIsClosed() bool {
	out, err := os.Stdout.Stat()
	if err != nil {
		return true
	}
	if null, err := os.Stat(os.DevNull); err != nil || !os.SameFile(out, null) {
		return false
	}
	_, err = os.Stdout.Read(make([]byte, 1))
	return errors.Is(err, io.EOF)
}

// somewhereToPutResults refuses a run of which nothing would be left. Programs
// exist that give their children a null device which looks like a closed
// stdout: with -samples or -record they lose nothing.
func (s *session) somewhereToPutResults() error {
	if s.samples == "" && s.record == "" && stdoutIsClosed() {
		return errors.New("stdout is closed, and results would be lost: give it a file, or -samples=directory")
	}
	return nil
}

// writeHeader writes what stands before the results, and finds out in time
// whether stdout takes any.
func (s *session) writeHeader() error {
	var text bytes.Buffer
	s.header(&text)
	if _, err := os.Stdout.Write(text.Bytes()); err != nil {
		return fmt.Errorf("write the lines before the results: %w; nothing was measured", err)
	}
	return nil
}

// lastWordLost reports whether stdout is a file that does not end in the last
// word of package testing, which tells nobody when a write fails. Where that
// can't be known, since the file can't be read or -cover has words of its own,
// none is lost.
func lastWordLost() bool {
	if testing.CoverMode() != "" {
		return false
	}
	if info, err := os.Stdout.Stat(); err != nil || !info.Mode().IsRegular() {
		return false
	}
	end, err := os.Stdout.Seek(0, io.SeekCurrent)
	if err != nil {
		return false
	}
	f, err := os.Open("/dev/fd/1")
	if err != nil {
		return false
	}
	defer f.Close()
	last := make([]byte, len("PASS\n"))
	if _, err := f.ReadAt(last, max(0, end-int64(len(last)))); err != nil && !errors.Is(err, io.EOF) {
		return false
	}
	return string(last) != "PASS\n" && string(last) != "FAIL\n"
}
