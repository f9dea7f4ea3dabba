package prompts

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Bounds of synthetic prompts. See the package comment for where the default ids come from.
const (
	defaultLow, defaultHigh = 1000, 29999
	maxIn                   = 1 << 20
	// version changes when the same seed no longer gives the same prompts, so that hashes differ too.
	version = "synthetic 1"
)

// The index of a synthetic prompt says where it is used: whether it warms up, in which pass, and the how-many-eth it is
// there. So the parts cannot overlap.
const (
	passShift = 40
	maxPasses = 1 << 20
	warmBit   = 1 << 62
)

// synthetic is the rule of a pool without a list.
type synthetic struct {
	in   interval // tokens a prompt
	ids  interval
	seed uint64
	key  uint64 // from all of the above
}

// interval is a range of numbers, both ends included.
type interval struct{ low, high int }

func (r interval) size() uint64 { return uint64(r.high-r.low) + 1 }

func (r interval) String() string {
	if r.low == r.high {
		return strconv.Itoa(r.low)
	}
	return fmt.Sprintf("%d-%d", r.low, r.high)
}

func parseInterval(s string) (interval, error) {
	low, high, isRange := strings.Cut(s, "-")
	if !isRange {
		high = low
	}
	a, err := strconv.Atoi(low)
	if err != nil {
		return interval{}, fmt.Errorf("%q is not a number, nor a range as in 64-256", s)
	}
	b, err := strconv.Atoi(high)
	if err != nil || a > b {
		return interval{}, fmt.Errorf("%q is not a number, nor a range as in 64-256", s)
	}
	return interval{a, b}, nil
}

// Synthetic returns an unbounded pool of made-up prompts. The spec is in=N or in=LOW-HIGH, tokens a prompt, and
// optionally &ids=LOW-HIGH, the ids they are drawn from. The same spec and seed give the same prompts, always.
func Synthetic(spec string, seed uint64) (*Pool, error) {
	s := &synthetic{ids: interval{defaultLow, defaultHigh}, seed: seed}
	for part := range strings.SplitSeq(spec, "&") {
		key, value, _ := strings.Cut(part, "=")
		r, err := parseInterval(value)
		switch key {
		case "in":
			s.in = r
		case "ids":
			s.ids = r
		default:
			err = fmt.Errorf("want in=128 or in=64-256, and optionally ids=%d-%d", defaultLow, defaultHigh)
		}
		if err != nil {
			return nil, fmt.Errorf("synthetic prompts: %q: %w", part, err)
		}
	}
	if s.ids.low < 0 || s.ids.high > math.MaxInt32 || s.ids.size() < 2 {
		return nil, fmt.Errorf("synthetic prompts: ids=%s: want at least two ids, from 0 to %d", s.ids, math.MaxInt32)
	}
	least := max(digits(s.ids.size()), digits(uint64(len(words))))
	if s.in.low < least || s.in.high > maxIn {
		return nil, fmt.Errorf("synthetic prompts: in=%s: want %d to %d tokens, for a shorter prompt would begin like another one", s.in, least, maxIn)
	}
	sum := sha256.Sum256([]byte(version + " " + s.String()))
	s.key = binary.LittleEndian.Uint64(sum[8:])
	return &Pool{
		rule:    s,
		hash:    fmt.Sprintf("%x", sum[:6]),
		highest: int32(s.ids.high),
		lengths: Lengths{
			Min: s.in.low, Max: s.in.high,
			Median: (s.in.low + s.in.high) / 2,
			Mean:   float64(s.in.low+s.in.high) / 2,
		},
	}, nil
}

// String is the rule in full: two rules with the same String make the same prompts.
func (s *synthetic) String() string {
	return fmt.Sprintf("synthetic:in=%s&ids=%s, seed %d", s.in, s.ids, s.seed)
}

// prompt makes the prompt of an index. No other index has the same first tokens or the same first words.
func (s *synthetic) prompt(index uint64) Prompt {
	unique := mix(index ^ s.key) // mix is a bijection: no two indexes give the same
	random := stream(unique)
	n := s.in.low + int(random.below(s.in.size()))
	p := Prompt{ID: idOf(index), Tokens: make([]int32, n)}
	for i, id := range draw(n, s.ids.size(), unique, &random) {
		p.Tokens[i] = int32(s.ids.low) + int32(id)
	}
	chosen := make([]string, n)
	for i, word := range draw(n, uint64(len(words)), unique, &random) {
		chosen[i] = words[word]
	}
	p.Text = strings.Join(chosen, " ")
	return p
}

// draw returns n numbers below base. The first of them are the digits of unique, so that they differ where it does, each
// shifted by the one before, for the highest digit alone takes few values. The others are random.
func draw(n int, base, unique uint64, random *stream) []uint64 {
	out := make([]uint64, n)
	previous := uint64(0)
	for i := range out {
		if i < digits(base) {
			previous = (unique%base + previous) % base
			out[i], unique = previous, unique/base
		} else {
			out[i] = random.below(base)
		}
	}
	return out
}

// idOf names an index: s2-17 is the eighteenth measured prompt of pass 2, w2-17 the eighteenth of its warm-up.
func idOf(index uint64) string {
	part := "s"
	if index&warmBit != 0 {
		part = "w"
	}
	pass := index &^ warmBit >> passShift
	return fmt.Sprintf("%s%d-%d", part, pass+1, index&(1<<passShift-1))
}

// digits returns how many digits to the base tell 2⁶⁴ numbers apart.
func digits(base uint64) int {
	n := 0
	for rest := uint64(math.MaxUint64); rest > 0; rest /= base {
		n++
	}
	return n
}

// stream is SplitMix64 (Steele, Lea, Flood 2014): a counter through a bijection. It is spelled out here because the
// prompts of a seed must never change, whatever a library does.
type stream uint64

func (s *stream) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	return mix(uint64(*s))
}

// below returns a number in [0, n), by the high half of a product: a bias of n/2⁶⁴.
func (s *stream) below(n uint64) uint64 {
	high, _ := bits.Mul64(s.next(), n)
	return high
}

// mix is SplitMix64's finalizer, a bijection of 64 bits (variant 13 of Stafford's).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
