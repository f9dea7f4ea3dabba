package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// text finds prompts in plain text: one a line, or one a paragraph, which a blank line ends.
type text struct{ paragraphs bool }

func (text) String() string { return "text" }

func (t text) records() string {
	if t.paragraphs {
		return "paragraphs"
	}
	return "lines"
}

// parse takes the line's end away, and carriage returns: a prompt is what an editor shows. The ordinal is the number of
// the record's first line.
func (text) parse(record []byte, ordinal int) (candidate, reason) {
	record = bytes.TrimPrefix(record, []byte("\ufeff")) // the mark that some editors put at the beginning of a file
	record = bytes.TrimRight(bytes.ReplaceAll(record, []byte("\r\n"), []byte("\n")), "\n")
	if !utf8.Valid(record) {
		return candidate{}, notUTF8
	}
	return candidate{fmt.Sprintf("line-%d", ordinal), string(record)}, checkText(record)
}

// scan reports every record that is not blank.
func (t text) scan(r io.Reader, found func(extent, candidate, reason)) error {
	in := &recordReader{r: r}
	lines := bufio.NewReaderSize(in, 64<<10)
	var (
		record []byte // so far
		begin  int    // its first line
		offset int64  // of the record
		any    bool
	)
	end := func() {
		if len(record) == 0 {
			return
		}
		c, why := t.parse(record, begin)
		any = any || why == ""
		found(extent{offset, int32(len(record)), int32(begin)}, c, why)
		offset += int64(len(record))
		record = record[:0]
	}
	for number := 1; ; number++ {
		in.begin = offset
		line, err := lines.ReadBytes('\n')
		switch {
		case errors.Is(err, errTooLong) || len(record)+len(line) > maxRecord:
			return fmt.Errorf("line %d: %w: is it a text file?", number, errTooLong)
		case err != nil && !errors.Is(err, io.EOF):
			return err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			end()
			offset += int64(len(line))
		} else {
			if len(record) == 0 {
				begin = number
			}
			record = append(record, line...)
			if !t.paragraphs {
				end()
			}
		}
		if err != nil {
			break
		}
	}
	end()
	if !any {
		return errors.New("there is no text in it (UTF-8, without NUL bytes)")
	}
	return nil
}
