package httpstream

import "bytes"

// lines follows the lines of a body, however chunks cut them, to tell what
// brings a reply on from what only keeps its connection alive: blank lines,
// comments, events and retry times without data. Its zero value is at the
// start of a line. Lines end in LF, with or without a CR before it.
type lines struct {
	state int8 // bytes of dataField that began the line; or one of those below
}

const dataField = "data:"

const (
	emptyField = int8(len(dataField)) // a data field, with nothing but blanks so far
	carries    = emptyField + 1       // a line with data: such a field, or a JSON object
	other      = emptyField + 2       // any other line
)

// next takes a chunk and returns where in it the first line with data ends, -1
// if none does.
func (l *lines) next(chunk []byte) (end int) {
	end = -1
	for i := 0; i < len(chunk); i++ {
		if l.state >= carries {
			n := bytes.IndexByte(chunk[i:], '\n')
			if n < 0 {
				break
			}
			if i += n; l.state == carries && end < 0 {
				end = i
			}
			l.state = 0
			continue
		}
		switch b := chunk[i]; {
		case b == '\n':
			l.state = 0
		case blank(b) && (l.state == 0 || l.state == emptyField):
		case l.state == emptyField, l.state == 0 && b == '{':
			l.state = carries
		case b == dataField[l.state]:
			l.state++
		default:
			l.state = other
		}
	}
	return end
}

// blank is white space within a line, or a byte of the mark with which an
// event stream may begin.
func blank(b byte) bool {
	switch b {
	case ' ', '\t', '\r', 0xef, 0xbb, 0xbf:
		return true
	}
	return false
}
