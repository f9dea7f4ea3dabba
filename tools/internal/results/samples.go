package results

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"enginebench/workload"
)

// Visitor is told what a -samples directory holds. Calls come one after the
// other, in the order of file names and lines: a run's record before its
// samples. A nil field skips lines of its kind without decoding them.
type Visitor struct {
	// Record gets one run. The caller may keep it.
	Record func(*workload.RunRecord) error
	// Sample gets one request. It is reused: copy what is kept.
	Sample func(*workload.Sample) error
}

// blockSize is how much of a file one worker decodes at a time: large enough
// that handing over costs nothing, small enough that memory stays a few dozen MB.
const blockSize = 1 << 20

// maxSample bounds a line of a -samples file: 64 MB, some million tokens.
const maxSample = 64 << 20

// SampleFiles lists the sample files of a -samples directory, sorted. A
// directory without one is an error.
func SampleFiles(dir string) ([]string, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("read samples: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		return nil, fmt.Errorf("read samples in %s: %w", dir, err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("read samples: no .jsonl file in %s; want a directory that a run wrote with -samples", dir)
	}
	slices.Sort(files)
	return files, nil
}

// Records reads the run records of a -samples directory and skips its samples.
func Records(dir string) ([]*workload.RunRecord, error) {
	var records []*workload.RunRecord
	_, err := Stream(dir, Visitor{Record: func(r *workload.RunRecord) error {
		records = append(records, r)
		return nil
	}})
	return records, err
}

// Stream reads every file of a -samples directory. Its notes name what was left
// out: a last line that was cut off when its writer died. Any other line that
// is not a run or a sample is an error that names file and line.
func Stream(dir string, v Visitor) (notes []string, err error) {
	files, err := SampleFiles(dir)
	if err != nil {
		return nil, err
	}
	for _, path := range files {
		note, err := streamFile(path, v)
		if err != nil {
			return notes, fmt.Errorf("read samples %s: %w", path, err)
		}
		if note != "" {
			notes = append(notes, note)
		}
	}
	return notes, nil
}

func streamFile(path string, v Visitor) (note string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()

	// One goroutine reads blocks of whole lines, the workers decode them, and
	// this one visits the decoded blocks in the order of the file. pending
	// holds the blocks under way in that order and bounds them.
	workers := runtime.GOMAXPROCS(0)
	pending := make(chan *block, 2*workers)
	work := make(chan *block)
	free := make(chan *block, 3*workers+2)
	stop := make(chan struct{})
	defer close(stop)
	for range workers {
		go func() {
			for b := range work {
				b.decode(v)
				close(b.done)
			}
		}()
	}
	go func() {
		defer close(pending)
		defer close(work)
		readBlocks(f, pending, work, free, stop)
	}()
	for b := range pending {
		<-b.done
		if b.err != nil {
			if b.cut {
				note = fmt.Sprintf("%s: the last line (%d) is cut off and left out", filepath.Base(path), b.badLine)
			} else {
				return "", b.err
			}
		}
		if err := b.visit(v); err != nil {
			return "", err
		}
		select {
		case free <- b:
		default:
		}
	}
	return note, nil
}

// block is some lines of a file on their way through the decoders.
type block struct {
	data      []byte
	firstLine int
	done      chan struct{}

	order   []bool // of the decoded lines: true for a record
	records []*workload.RunRecord
	samples []workload.Sample
	used    int // of samples
	err     error
	badLine int  // where err is
	cut     bool // err is in a last line that has no line end
}

// readBlocks cuts r into blocks of whole lines. An error of r travels in the
// last block.
func readBlocks(r io.Reader, pending, work chan<- *block, free <-chan *block, stop <-chan struct{}) {
	reader := bufio.NewReaderSize(r, blockSize)
	line := 1
	for last := false; !last; {
		var b *block
		select {
		case b = <-free:
			b.reset()
		default:
			b = &block{done: make(chan struct{})}
		}
		b.firstLine = line
		for len(b.data) < blockSize && !last {
			part, err := reader.ReadSlice('\n')
			b.data = append(b.data, part...)
			for errors.Is(err, bufio.ErrBufferFull) && len(b.data) <= maxSample {
				part, err = reader.ReadSlice('\n')
				b.data = append(b.data, part...)
			}
			if err != nil {
				last = true
				if !errors.Is(err, io.EOF) {
					b.err = fmt.Errorf("line %d: %w", line, err)
				}
			}
			line++
		}
		select {
		case pending <- b:
		case <-stop:
			return
		}
		select {
		case work <- b:
		case <-stop:
			return
		}
	}
}

func (b *block) reset() {
	*b = block{data: b.data[:0], done: make(chan struct{}), order: b.order[:0], records: b.records[:0], samples: b.samples}
}

// decode decodes the block's lines up to the first bad one.
func (b *block) decode(v Visitor) {
	if b.err != nil {
		return
	}
	n := b.firstLine
	for line := range bytes.Lines(b.data) {
		if err := b.decodeLine(bytes.TrimSpace(line), v); err != nil {
			b.err, b.badLine = fmt.Errorf("line %d: %w", n, err), n
			b.cut = !bytes.HasSuffix(line, []byte("\n"))
			return
		}
		n++
	}
}

var recordPrefix, samplePrefix = []byte(`{"run":`), []byte(`{"sample":`)

func (b *block) decodeLine(line []byte, v Visitor) error {
	switch {
	case len(line) == 0:
	case bytes.HasPrefix(line, recordPrefix):
		if v.Record == nil {
			return nil
		}
		var wrapped struct {
			Run *workload.RunRecord `json:"run"`
		}
		if err := json.Unmarshal(line, &wrapped); err != nil {
			return fmt.Errorf("decode run: %w", err)
		}
		if wrapped.Run == nil {
			return errors.New("decode run: it is null")
		}
		b.order, b.records = append(b.order, true), append(b.records, wrapped.Run)
	case bytes.HasPrefix(line, samplePrefix):
		if v.Sample == nil {
			return nil
		}
		if b.used == len(b.samples) {
			b.samples = append(b.samples, workload.Sample{})
		}
		if err := decodeSample(line, &b.samples[b.used]); err != nil {
			return fmt.Errorf("decode sample: %w", err)
		}
		b.order, b.used = append(b.order, false), b.used+1
	default:
		return fmt.Errorf("neither a run nor a sample: %.40q", line)
	}
	return nil
}

// visit hands the decoded lines on, in their order.
func (b *block) visit(v Visitor) error {
	record, sample := 0, 0
	for _, isRecord := range b.order {
		var err error
		if isRecord {
			err = v.Record(b.records[record])
			record++
		} else {
			err = v.Sample(&b.samples[sample])
			sample++
		}
		if err != nil {
			return err
		}
	}
	return nil
}
