package distribution

import (
	"math"
	"math/bits"
	"slices"
	"time"

	"enginebench/workload"
)

// Point is a point of a cumulative distribution: a share of Share (0 … 1] of
// the values is at most Value.
type Point struct {
	Value time.Duration
	Share float64
}

// Times is durations, one a request, kept exactly. The zero value is ready.
type Times struct {
	values []time.Duration
	sorted bool
}

func (t *Times) add(d time.Duration) {
	t.values = append(t.values, d)
	t.sorted = false
}

func (t *Times) merge(o *Times) {
	t.values = append(t.values, o.values...)
	t.sorted = false
}

func (t *Times) sort() []time.Duration {
	if !t.sorted {
		slices.Sort(t.values)
		t.sorted = true
	}
	return t.values
}

// Sorted is all of them in ascending order; the caller must not change it.
func (t *Times) Sorted() []time.Duration { return t.sort() }

// N is how many there are.
func (t *Times) N() int { return len(t.values) }

// Quantile is the nearest-rank quantile q. ok is false where there are too few
// values to have one: fewer than put a value above it with 95 % probability
// (5 for the median, 29 for p90, 299 for p99), so that the maximum never stands
// in for a percentile.
func (t *Times) Quantile(q float64) (d time.Duration, ok bool) {
	if !enough(q, len(t.values)) {
		return 0, false
	}
	return workload.Quantile(t.sort(), q)
}

// Least is how many values have a quantile q, see [Times.Quantile].
func Least(q float64) int {
	n := 1
	for !enough(q, n) {
		n++
	}
	return n
}

func enough(q float64, n int) bool { return n > 0 && 1-math.Pow(q, float64(n)) >= 0.95 }

// Moments are mean and (population) standard deviation, smallest and largest;
// ok is false without values.
func (t *Times) Moments() (mean, std float64, least, most time.Duration, ok bool) {
	if len(t.values) == 0 {
		return 0, 0, 0, 0, false
	}
	sorted := t.sort()
	for _, v := range sorted {
		mean += float64(v)
	}
	mean /= float64(len(sorted))
	for _, v := range sorted {
		std += (float64(v) - mean) * (float64(v) - mean)
	}
	return mean, math.Sqrt(std / float64(len(sorted))), sorted[0], sorted[len(sorted)-1], true
}

// CDF is the cumulative distribution in at most points+1 points.
func (t *Times) CDF(points int) []Point {
	sorted := t.sort()
	n := len(sorted)
	if n == 0 {
		return nil
	}
	cdf := []Point{{sorted[0], 1 / float64(n)}}
	for i := 1; i <= points; i++ {
		if k := (n*i+points-1)/points - 1; k > 0 {
			if p := (Point{sorted[k], float64(k+1) / float64(n)}); p != cdf[len(cdf)-1] {
				cdf = append(cdf, p)
			}
		}
	}
	return cdf
}

// Bins counts durations in bins 1/1024 of their value wide, exact below 1024
// ns. The zero value is ready.
type Bins struct {
	octaves [64]*[1024]uint64
	n       int
	sum     float64
	squares float64
	least   time.Duration
	most    time.Duration
}

// Add counts one duration; a negative one counts as 0.
func (b *Bins) Add(d time.Duration) {
	d = max(d, 0)
	octave, slot := place(d)
	if b.octaves[octave] == nil {
		b.octaves[octave] = new([1024]uint64)
	}
	b.octaves[octave][slot]++
	if b.n == 0 || d < b.least {
		b.least = d
	}
	b.most = max(b.most, d)
	b.n++
	b.sum += float64(d)
	b.squares += float64(d) * float64(d)
}

// place is the bin of a duration: octave 0 holds 0 … 1023 one by one, octave k
// the values of k more bits, by the ten bits below the highest.
func place(d time.Duration) (octave, slot int) {
	if d < 1024 {
		return 0, int(d)
	}
	octave = bits.Len64(uint64(d)) - 10
	return octave, int(uint64(d)>>(octave-1)) & 1023
}

// middle is the value that stands for a bin.
func middle(octave, slot int) time.Duration {
	if octave == 0 {
		return time.Duration(slot)
	}
	low := (uint64(slot) | 1024) << (octave - 1)
	return time.Duration(low + uint64(1)<<(octave-1)/2)
}

func (b *Bins) merge(o *Bins) {
	if o.n == 0 {
		return
	}
	for i, octave := range o.octaves {
		if octave == nil {
			continue
		}
		if b.octaves[i] == nil {
			b.octaves[i] = new([1024]uint64)
		}
		for slot, n := range octave {
			b.octaves[i][slot] += n
		}
	}
	if b.n == 0 || o.least < b.least {
		b.least = o.least
	}
	b.most = max(b.most, o.most)
	b.n, b.sum, b.squares = b.n+o.n, b.sum+o.sum, b.squares+o.squares
}

// N is how many durations were counted.
func (b *Bins) N() int { return b.n }

// Quantile is the nearest-rank quantile q within 0.05 %; see [Times.Quantile].
func (b *Bins) Quantile(q float64) (d time.Duration, ok bool) {
	if !enough(q, b.n) {
		return 0, false
	}
	want := uint64(math.Ceil(q * float64(b.n))) // as workload.Quantile counts
	b.walk(func(value time.Duration, below, upto uint64) bool {
		d = value
		return upto < want
	})
	return d, true
}

// walk visits the bins in ascending order with how many values lie below and
// up to each, until visit returns false.
func (b *Bins) walk(visit func(value time.Duration, below, upto uint64) bool) {
	total := uint64(0)
	for octave, slots := range b.octaves {
		if slots == nil {
			continue
		}
		for slot, n := range slots {
			if n == 0 {
				continue
			}
			value := min(max(middle(octave, slot), b.least), b.most)
			if !visit(value, total, total+n) {
				return
			}
			total += n
		}
	}
}

// Moments are as of [Times.Moments].
func (b *Bins) Moments() (mean, std float64, least, most time.Duration, ok bool) {
	if b.n == 0 {
		return 0, 0, 0, 0, false
	}
	n := float64(b.n)
	mean = b.sum / n
	return mean, math.Sqrt(max(0, b.squares/n-mean*mean)), b.least, b.most, true
}

// CDF is the cumulative distribution in at most points+1 points.
func (b *Bins) CDF(points int) []Point {
	var cdf []Point
	next := uint64(0)
	b.walk(func(value time.Duration, _, upto uint64) bool {
		if upto >= next {
			cdf = append(cdf, Point{value, float64(upto) / float64(b.n)})
			next = upto + max(1, uint64(b.n/points))
		}
		return true
	})
	if n := len(cdf); n > 0 && cdf[n-1].Share < 1 {
		cdf = append(cdf, Point{b.most, 1})
	}
	return cdf
}

// Counts is token counts, one a request.
type Counts struct {
	Values []int32
	Sum    int64
}

// add counts n, or, where the engine counted, what it counted.
func (c *Counts) add(n, engine int) {
	if engine > 0 {
		n = engine
	}
	c.Values = append(c.Values, int32(n))
	c.Sum += int64(n)
}

func (c *Counts) merge(o *Counts) {
	c.Values = append(c.Values, o.Values...)
	c.Sum += o.Sum
}
