package prompts

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Prompt is one request's input. Its Tokens are shared between everybody who holds it: read only.
type Prompt struct {
	ID     string  `json:"id"`     // unique in its pool
	Tokens []int32 `json:"tokens"` // as sent, special tokens included; at least one
	Text   string  `json:"text"`   // what the tokens stand for, without special tokens; for synthetic prompts unrelated to them
}

// Unbounded is the Len of a pool that does not end.
const Unbounded = math.MaxInt

// Options say how a Cursor deals out a pool.
type Options struct {
	Reuse bool // start again where the pool ends, with a warning
	Pass  Pass // which part of the pool is this process's; the zero value is the whole
}

// A Pass says which of several passes over the same servers a process makes.
type Pass struct {
	Index int // from 1
	Of    int
}

// whole is the pass that the zero Pass stands for.
func (p Pass) whole() Pass {
	if p == (Pass{}) {
		return Pass{1, 1}
	}
	return p
}

// ParsePass parses "2/6", the second of six.
func ParsePass(s string) (Pass, error) {
	index, of, ok := strings.Cut(s, "/")
	i, errIndex := strconv.Atoi(index)
	n, errOf := strconv.Atoi(of)
	if !ok || errIndex != nil || errOf != nil || i < 1 || i > n || n > maxPasses {
		return Pass{}, fmt.Errorf("pass=%s: want K/N with 1 ≤ K ≤ N ≤ %d, as in 2/6", s, maxPasses)
	}
	return Pass{i, n}, nil
}

// A Pool is where prompts come from: a list of them, or a rule that makes them. It is safe for concurrent use. The
// Options may be changed before a Cursor is made.
type Pool struct {
	Options

	prompts []Prompt   // of a list
	rule    *synthetic // else
	hash    string
	lengths Lengths
	highest int32
}

// Open returns the pool that the value of the flag -prompts names: see the package comment for its forms. The seed
// matters to synthetic pools only.
func Open(value string, seed uint64) (*Pool, error) {
	var (
		pool *Pool
		opts []string
		err  error
	)
	if spec, ok := strings.CutPrefix(value, "synthetic:"); ok {
		var own []string
		for _, o := range splitOptions(spec) {
			if key, _, _ := strings.Cut(o, "="); key == "reuse" || key == "pass" {
				opts = append(opts, o)
			} else {
				own = append(own, o)
			}
		}
		pool, err = Synthetic(strings.Join(own, "&"), seed)
	} else {
		path, query, _ := strings.Cut(value, "?")
		opts = splitOptions(query)
		if path == "" || path == "synthetic" {
			return nil, fmt.Errorf("prompts %q: want FILE.jsonl, or synthetic:in=128", value)
		}
		pool, err = Load(path)
	}
	if err != nil {
		return nil, err
	}
	for _, o := range opts {
		if err := pool.Options.set(o); err != nil {
			return nil, fmt.Errorf("prompts %q: %w", value, err)
		}
	}
	return pool, nil
}

// splitOptions splits at both separators, so that a script can append ?pass=2/6 to any value.
func splitOptions(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == '?' || r == '&' })
}

func (o *Options) set(option string) (err error) {
	switch key, value, _ := strings.Cut(option, "="); key {
	case "reuse":
		if value != "ok" {
			return fmt.Errorf("reuse=%s: want reuse=ok", value)
		}
		o.Reuse = true
	case "pass":
		o.Pass, err = ParsePass(value)
	default:
		err = fmt.Errorf("unknown option %q: there are reuse=ok and pass=K/N", option)
	}
	return err
}

// New returns the pool of these prompts, which it keeps. A prompt without an id, tokens or text, and one that is there
// twice, is an error.
func New(ps []Prompt) (*Pool, error) {
	if len(ps) == 0 {
		return nil, errors.New("a pool of no prompts")
	}
	c := newChecker()
	chain := newChain()
	for i, p := range ps {
		if err := c.check(p); err != nil {
			return nil, fmt.Errorf("prompt %d: %w", i+1, err)
		}
		chain.add(p)
	}
	return newPool(ps, chain), nil
}

// newPool returns the pool of at least one prompt, each of which was checked and is in the chain.
func newPool(ps []Prompt, c *chain) *Pool {
	pool := &Pool{prompts: ps, hash: c.hash(), lengths: lengthsOf(ps)}
	for _, p := range ps {
		pool.highest = max(pool.highest, slices.Max(p.Tokens))
	}
	return pool
}

// Hash identifies the prompts, in twelve hexadecimal digits: those of a list by their content, those of a rule by the
// rule and its seed. Options and file names have no part in it.
func (p *Pool) Hash() string { return p.hash }

// Len returns how many prompts there are, or Unbounded.
func (p *Pool) Len() int {
	if p.rule != nil {
		return Unbounded
	}
	return len(p.prompts)
}

// Lengths summarizes how many tokens the prompts have.
func (p *Pool) Lengths() Lengths { return p.lengths }

// MaxToken returns the highest id of any prompt: a model whose vocabulary is not larger cannot take the pool.
func (p *Pool) MaxToken() int32 { return p.highest }

// Describe says for a person what the pool is, without any path.
func (p *Pool) Describe() string {
	what := fmt.Sprintf("%d prompts", len(p.prompts))
	if p.rule != nil {
		what = p.rule.String()
	}
	s := fmt.Sprintf("%s, %s, hash %s", what, p.lengths, p.hash)
	if pass := p.Pass.whole(); pass.Of > 1 {
		s += fmt.Sprintf(", pass %d of %d", pass.Index, pass.Of)
	}
	if p.Reuse {
		s += ", reuse=ok"
	}
	return s
}

// Lengths summarizes the numbers of tokens of the prompts of a pool.
type Lengths struct {
	Min, Max int
	Median   int // nearest rank
	Mean     float64
}

// String is "4 to 998 tokens (median 57, mean 103.2)".
func (l Lengths) String() string {
	if l.Min == l.Max {
		return fmt.Sprintf("%d tokens each", l.Min)
	}
	return fmt.Sprintf("%d to %d tokens (median %d, mean %.1f)", l.Min, l.Max, l.Median, l.Mean)
}

func lengthsOf(ps []Prompt) Lengths {
	sorted := make([]int, len(ps))
	sum := 0
	for i, p := range ps {
		sorted[i] = len(p.Tokens)
		sum += len(p.Tokens)
	}
	slices.Sort(sorted)
	n := len(sorted)
	return Lengths{Min: sorted[0], Max: sorted[n-1], Median: sorted[(n-1)/2], Mean: float64(sum) / float64(n)}
}

// checker finds prompts that cannot be sent, or were there already.
type checker struct {
	ids    map[string]bool
	tokens map[[sha256.Size]byte]string // id by hash of the tokens
	buf    []byte
}

func newChecker() *checker {
	return &checker{ids: map[string]bool{}, tokens: map[[sha256.Size]byte]string{}}
}

func (c *checker) check(p Prompt) error {
	switch {
	case p.ID == "":
		return errors.New("it has no id")
	case len(p.Tokens) == 0:
		return fmt.Errorf("prompt %q has no tokens", p.ID)
	case p.Text == "":
		return fmt.Errorf("prompt %q has no text", p.ID)
	case !utf8.ValidString(p.ID) || !utf8.ValidString(p.Text):
		return fmt.Errorf("prompt %q is not valid UTF-8: JSON would change it", p.ID)
	case slices.Min(p.Tokens) < 0:
		return fmt.Errorf("prompt %q has the token id %d: ids are not negative", p.ID, slices.Min(p.Tokens))
	case c.ids[p.ID]:
		return fmt.Errorf("the id %q is there twice", p.ID)
	}
	c.buf = appendTokens(c.buf[:0], p.Tokens)
	key := sha256.Sum256(c.buf)
	if twin, ok := c.tokens[key]; ok {
		return fmt.Errorf("prompt %q has the same tokens as %q: a prefix cache would answer it", p.ID, twin)
	}
	c.ids[p.ID] = true
	c.tokens[key] = p.ID
	return nil
}

// appendTokens appends each id as four bytes, little end first.
func appendTokens(b []byte, tokens []int32) []byte {
	for _, t := range tokens {
		b = binary.LittleEndian.AppendUint32(b, uint32(t))
	}
	return b
}
