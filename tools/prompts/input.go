package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
)

// maxRecord bounds what one record may hold in memory. The longest conversation of ShareGPT has about 1 MB.
const maxRecord = 16 << 20

var errTooLong = fmt.Errorf("a record is longer than %d MiB", maxRecord>>20)

// kind is a way of finding records in a file.
type kind interface {
	// scan reads a file to its end and calls found for every record, in order. The errors say where in the file.
	scan(r io.Reader, found func(extent, candidate, reason)) error
	// parse returns the candidate of a record that scan found.
	parse(record []byte, ordinal int) (candidate, reason)
	String() string
	records() string // what the file holds, for people: a plural
}

// extent says where a record lies in its file.
type extent struct {
	offset  int64
	length  int32 // at most maxRecord
	ordinal int32 // from 1
}

// candidate is a prompt without tokens.
type candidate struct{ id, text string }

// found is a candidate as it is kept until it is tried.
type found struct {
	order uint64 // of trying
	extent
}

// orderOf says when a candidate is tried: in an order that looks random, is the same for the same seed, and does not depend on
// what else is in the file.
func orderOf(seed uint64, id string) uint64 {
	b := binary.LittleEndian.AppendUint64(nil, seed)
	sum := sha256.Sum256(append(b, id...))
	return binary.BigEndian.Uint64(sum[:])
}

func compareFound(a, b found) int {
	return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.offset, b.offset))
}

// readerAt is a file that is read once from its beginning, and then here and there.
type readerAt interface {
	io.Reader
	io.ReaderAt
}

// input is a file of prompts.
type input struct {
	kind  kind
	file  readerAt
	path  string
	size  int64
	hash  hash.Hash // of all that was read
	cut   *cutError // set by the user of an input whose cut is accepted
	tally tally
	buf   []byte
}

// open opens the file that the flags name.
func (c *config) open() (*input, error) {
	var (
		k    kind = sharegpt{}
		path      = c.sharegpt
	)
	if c.text != "" {
		k, path = text{paragraphs: c.split == "blank"}, c.text
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the %s file: %w", k, err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = fmt.Errorf("read %s: not a regular file: the chosen records are read a second time where they lie", path)
	case info.Size() == 0:
		err = fmt.Errorf("read %s: the file is empty", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return newInput(k, f, path, info.Size()), nil
}

func newInput(k kind, f readerAt, path string, size int64) *input {
	return &input{kind: k, file: f, path: path, size: size, hash: sha256.New()}
}

func (in *input) close() {
	if c, ok := in.file.(io.Closer); ok {
		c.Close() // it was only read
	}
}

// identity says which file it is, by its content.
func (in *input) identity() string { return fmt.Sprintf("sha256:%x", in.hash.Sum(nil)) }

// scan returns the candidates of the file. With a cutError it returns those that were whole.
func (in *input) scan(seed uint64, p *progress) ([]found, error) {
	var out []found
	err := in.kind.scan(io.TeeReader(in.file, in.hash), func(e extent, c candidate, why reason) {
		in.tally.read++
		if why != "" {
			in.tally.leave(why)
		} else {
			out = append(out, found{orderOf(seed, c.id), e})
		}
		p.show("reading: %d of %d MB, %d %s", e.offset>>20, in.size>>20, in.tally.read, in.kind.records())
	})
	return out, err
}

// fetch reads a candidate again.
func (in *input) fetch(e extent) (candidate, error) {
	if cap(in.buf) < int(e.length) {
		in.buf = make([]byte, e.length)
	}
	record := in.buf[:e.length]
	if _, err := in.file.ReadAt(record, e.offset); err != nil && !errors.Is(err, io.EOF) {
		return candidate{}, fmt.Errorf("read %s at byte %d: %w", in.path, e.offset, err)
	}
	c, why := in.kind.parse(record, int(e.ordinal))
	if why != "" {
		return candidate{}, fmt.Errorf("read %s at byte %d: the file changed while it was read", in.path, e.offset)
	}
	return c, nil
}

// cutError says that a file ends in the middle.
type cutError struct {
	at    int64 // the file's length in bytes
	whole int   // records before that
	end   int64 // where the last of them ends
}

func (e *cutError) Error() string {
	return fmt.Sprintf("cut off at byte %d: the %d conversations up to byte %d are whole", e.at, e.whole, e.end)
}

// recordReader counts what it reads and refuses to read more than maxRecord beyond the beginning of a record: a decoder
// would otherwise hold all of a file that is one string.
type recordReader struct {
	r     io.Reader
	n     int64 // bytes read
	begin int64 // of the record
}

func (r *recordReader) Read(p []byte) (int, error) {
	if r.n-r.begin > maxRecord {
		return 0, errTooLong
	}
	n, err := r.r.Read(p)
	r.n += int64(n)
	return n, err
}

// checkText says why a text cannot be a prompt at all.
func checkText(s []byte) reason {
	switch {
	case len(bytes.TrimSpace(s)) == 0:
		return blank
	case bytes.IndexByte(s, 0) >= 0:
		return holdsNUL
	}
	return ""
}
