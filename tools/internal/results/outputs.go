package results

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"

	"enginebench/workload"
)

// Outputs keeps what each prompt was answered, cell by cell: 16 bytes a
// request. [NewOutputs] makes an empty set; sets of one process can
// be compared.
type Outputs struct {
	cells map[Cell]map[uint64]answer // by hash of the prompt's id and the wanted tokens
}

type answer struct {
	hash  uint64
	kind  byte // 'i' hash of ids, 't' hash of text
	clash bool // the same question got different answers within the set
}

// seed makes the hashes of all sets of a process comparable.
var seed = maphash.MakeSeed()

// NewOutputs is an empty set.
func NewOutputs() *Outputs { return &Outputs{cells: map[Cell]map[uint64]answer{}} }

// ReadOutputs reads the outputs of a whole -samples directory.
func ReadOutputs(dir string) (*Outputs, []string, error) {
	o := NewOutputs()
	notes, err := Stream(dir, Visitor{Sample: func(s *workload.Sample) error {
		o.Add(s)
		return nil
	}})
	return o, notes, err
}

// Add notes a request's output. Failed requests and those without an output
// hash are left out.
func (o *Outputs) Add(s *workload.Sample) {
	kind, _, ok := strings.Cut(s.OutputHash, ":")
	level, err := ParseLevel(s.Cell)
	if s.Status != workload.OK || !ok || kind == "" || err != nil {
		return
	}
	cell := Cell{Engine: s.Engine, Level: level}
	answers := o.cells[cell]
	if answers == nil {
		answers = map[uint64]answer{}
		o.cells[cell] = answers
	}
	q := maphash.Comparable(seed, struct {
		id     string
		wanted int
	}{s.Prompt, s.Wanted})
	a := answer{hash: maphash.String(seed, s.OutputHash), kind: kind[0]}
	if before, seen := answers[q]; seen && before.hash != a.hash {
		a.clash = true
	} else if seen {
		a.clash = before.clash
	}
	answers[q] = a
}

// Cells lists the cells that have outputs, sorted.
func (o *Outputs) Cells() []Cell {
	var cells []Cell
	for cell := range o.cells {
		cells = append(cells, cell)
	}
	slices.SortFunc(cells, CompareCells)
	return cells
}

// CompareCells orders cells by engine, then by level.
func CompareCells(a, b Cell) int {
	return cmp.Or(cmp.Compare(a.Engine, b.Engine), a.Level.Compare(b.Level))
}

// Share counts how many prompts two sets answered, and how many alike.
type Share struct {
	Both      int // prompts (with the same number of wanted tokens) answered in both sets, by hashes of one kind
	Identical int // of those: the outputs are the same, token for token
	Unstable  int // of those: one set alone answered it in different ways; never counted as identical
	Kinds     int // prompts in both sets, but one has a hash of ids and the other of text
}

// Percent is the share of identical outputs; ok is false where there is nothing
// to compare.
func (s Share) Percent() (percent float64, ok bool) {
	if s.Both == 0 {
		return 0, false
	}
	return 100 * float64(s.Identical) / float64(s.Both), true
}

// Add sums shares, of several cells.
func (s Share) Add(other Share) Share {
	return Share{s.Both + other.Both, s.Identical + other.Identical, s.Unstable + other.Unstable, s.Kinds + other.Kinds}
}

// SameOutputs compares one cell of each set, prompt by prompt.
func SameOutputs(old *Outputs, oldCell Cell, new *Outputs, newCell Cell) Share {
	var share Share
	answers := new.cells[newCell]
	for q, was := range old.cells[oldCell] {
		is, both := answers[q]
		switch {
		case !both:
		case was.kind != is.kind:
			share.Kinds++
		default:
			share.Both++
			if was.clash || is.clash {
				share.Unstable++
			} else if was.hash == is.hash {
				share.Identical++
			}
		}
	}
	return share
}
