package prompts

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

const (
	format  = "enginebench prompts 1"
	maxLine = 16 << 20 // bytes; a prompt of a million tokens has about eight million

	// again is what to do about a file that is not as it was made.
	again = "make it again (go tool prompts -h)"
)

// header is the first line of a file.
type header struct {
	Format string            `json:"format"`
	Count  int               `json:"count"`
	Hash   string            `json:"hash"`
	Made   map[string]string `json:"made,omitempty"`
}

// line is every other line.
type line struct {
	Prompt
	Sum string `json:"sum"`
}

// chain is the running hash of a list of prompts: h₀ = SHA-256(format), hᵢ = SHA-256(hᵢ₋₁ ‖ id ‖ tokens ‖ text), where
// each part comes after its length (a uvarint) and a token is four bytes, little end first.
type chain struct {
	state [sha256.Size]byte
	buf   []byte
}

func newChain() *chain { return &chain{state: sha256.Sum256([]byte(format))} }

func (c *chain) add(p Prompt) {
	b := append(c.buf[:0], c.state[:]...)
	b = binary.AppendUvarint(b, uint64(len(p.ID)))
	b = append(b, p.ID...)
	b = binary.AppendUvarint(b, uint64(len(p.Tokens)))
	b = appendTokens(b, p.Tokens)
	b = binary.AppendUvarint(b, uint64(len(p.Text)))
	b = append(b, p.Text...)
	c.state, c.buf = sha256.Sum256(b), b
}

func (c *chain) sum() string  { return hex.EncodeToString(c.state[:4]) }
func (c *chain) hash() string { return hex.EncodeToString(c.state[:6]) }

// Write writes a prompts.jsonl (see the package comment) of the prompts, in their order, and returns their Hash. Made
// says how they were made, for people; it is written sorted by key and has no part in the hash. Prompts that [New]
// would refuse are refused.
//
// The hash of a list is the first 48 bits of h_n, where h₀ = SHA-256("enginebench prompts 1") and hᵢ = SHA-256(hᵢ₋₁ ‖ id ‖
// tokens ‖ text): each part after its length as a uvarint, each token as four bytes with the little end first. A line's
// `sum` is the first 32 bits of its hᵢ.
func Write(w io.Writer, made map[string]string, ps []Prompt) (hash string, err error) {
	pool, err := New(ps)
	if err != nil {
		return "", fmt.Errorf("write prompts: %w", err)
	}
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out) // ends every value with a newline
	enc.SetEscapeHTML(false)
	if err := enc.Encode(header{format, len(ps), pool.hash, made}); err != nil {
		return "", fmt.Errorf("write prompts: %w", err)
	}
	c := newChain()
	for _, p := range ps {
		c.add(p)
		if err := enc.Encode(line{p, c.sum()}); err != nil {
			return "", fmt.Errorf("write prompts: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return "", fmt.Errorf("write prompts: %w", err)
	}
	return pool.hash, nil
}

// Load reads a prompts.jsonl. See [Read] for the errors.
func Load(path string) (*Pool, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load prompts: %w: make it with go tool prompts, or use synthetic:in=128", err)
	}
	defer f.Close()
	pool, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("load prompts %s: %w", path, err)
	}
	return pool, nil
}

// Read reads a prompts.jsonl and checks it against its sums. An error names the first line that is not as it was
// made and what is wrong with it.
func Read(r io.Reader) (*Pool, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	h, err := readHeader(lines)
	if err != nil {
		return nil, fmt.Errorf("line 1: %w", err)
	}
	var (
		ps    []Prompt
		check = newChecker()
		sums  = newChain()
	)
	for lines.Scan() {
		p, err := readPrompt(lines.Bytes(), sums)
		if err == nil && len(ps) == h.Count {
			err = fmt.Errorf("one more than the %d prompts of the header: %s", h.Count, again)
		}
		if err == nil {
			err = check.check(p)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", len(ps)+2, err)
		}
		ps = append(ps, p)
	}
	switch err := scanError(lines); {
	case err != nil:
		return nil, fmt.Errorf("line %d: %w", len(ps)+2, err)
	case len(ps) < h.Count:
		return nil, fmt.Errorf("line %d: the file ends after %d of %d prompts, it was cut: %s", len(ps)+2, len(ps), h.Count, again)
	case sums.hash() != h.Hash:
		return nil, fmt.Errorf("line 1: the header has hash %q, the prompts have %q: %s", h.Hash, sums.hash(), again)
	}
	return newPool(ps, sums), nil
}

func readHeader(lines *bufio.Scanner) (header, error) {
	var h header
	if !lines.Scan() {
		if err := scanError(lines); err != nil {
			return h, err
		}
		return h, fmt.Errorf("the file is empty: %s", again)
	}
	err := json.Unmarshal(lines.Bytes(), &h)
	switch {
	case err != nil || h.Format == "":
		return h, fmt.Errorf("not the header of a prompts.jsonl ({\"format\":%q,…): %s", format, again)
	case h.Format != format:
		return h, fmt.Errorf("format %q: this program reads %q: %s", h.Format, format, again)
	case h.Count < 1:
		return h, fmt.Errorf("the header has a count of %d prompts: %s", h.Count, again)
	}
	return h, nil
}

// readPrompt decodes a line, adds it to the chain and compares its sum.
func readPrompt(text []byte, sums *chain) (Prompt, error) {
	var l line
	if len(bytes.TrimSpace(text)) == 0 {
		return Prompt{}, fmt.Errorf("an empty line: %s", again)
	}
	if err := json.Unmarshal(text, &l); err != nil {
		if err.Error() == "unexpected end of JSON input" { // a SyntaxError like others: only its words differ
			return Prompt{}, fmt.Errorf("cut off in the middle, after %d bytes: %s", len(text), again)
		}
		return Prompt{}, fmt.Errorf("not a prompt (%w): %s", err, again)
	}
	sums.add(l.Prompt)
	if got := sums.sum(); l.Sum != got {
		return Prompt{}, fmt.Errorf("prompt %q was changed, or moved, or lines before it are missing (its sum is %s, the line says %q): %s", l.ID, got, l.Sum, again)
	}
	return l.Prompt, nil
}

func scanError(lines *bufio.Scanner) error {
	err := lines.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("longer than %d MiB: %s", maxLine>>20, again)
	}
	return err
}
