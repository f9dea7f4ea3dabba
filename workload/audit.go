package workload

import (
	"fmt"
	"math"
	"time"

	"enginebench/engines"
)

// The bounds from which an audit speaks up.
const (
	gapMatters      = 50 * time.Millisecond // end of stream after the last token; a clean end follows within a millisecond
	blockMatters    = 0.5                   // share of chunks of whole blocks; by chance one in blockSize is
	serverTTFTFar   = 0.10                  // share by which client and engine may differ on TTFT
	serverTTFTLeast = 2 * time.Millisecond  // and at least this much, which the network may take
	manyTokens      = 1.05                  // tokens an event
)

// Audit looks for what explains a headline: things that are true of the
// numbers and yet not of the engine's speed. Each finding is one sentence with
// its number.
func Audit(m Summary, outcomes ...Outcome) []string {
	var findings []string
	for _, look := range []func(Summary, []Sample, []Outcome) string{
		endOfStreamGap, blockBuffering, prefixCache, serverTTFT, tokensPerEvent, coldConnections, engineQueue,
	} {
		if finding := look(m, goodSamples(outcomes), outcomes); finding != "" {
			findings = append(findings, finding)
		}
	}
	return findings
}

func goodSamples(outcomes []Outcome) []Sample {
	var good []Sample
	for _, o := range outcomes {
		for _, s := range o.Samples {
			if s.Measured && s.Status == OK {
				good = append(good, s)
			}
		}
	}
	return good
}

// median is the middle value; unlike [Quantile] it also speaks for one sample.
func median[T int | time.Duration](values []T) T {
	values = sorted(values)
	return values[(len(values)-1)/2]
}

func of[T any](samples []Sample, value func(s *Sample) T) []T {
	all := make([]T, len(samples))
	for i := range samples {
		all[i] = value(&samples[i])
	}
	return all
}

// endOfStreamGap finds what made another benchmark add a second to every
// latency: the stream stays open after the last token, and a client that waits
// for its end, or for a silence, counts that as generating.
func endOfStreamGap(_ Summary, good []Sample, _ []Outcome) string {
	if len(good) == 0 {
		return ""
	}
	gap := median(of(good, func(s *Sample) time.Duration { return max(s.End-s.LastToken, 0) }))
	if gap < gapMatters {
		return ""
	}
	latency := median(of(good, func(s *Sample) time.Duration { return s.LastToken - s.Origin }))
	return fmt.Sprintf("end of stream: replies stayed open for %.0f ms after their last token (median), so a latency taken to the end of the stream would read %.1f %% more",
		ms(float64(gap)), 100*float64(gap)/float64(latency))
}

// blockBuffering finds a path that hands on whole blocks, as a 4 KiB buffer
// does: the first read then holds many events and TTFT is a block's time.
func blockBuffering(_ Summary, good []Sample, outcomes []Outcome) string {
	var reads Reads
	for _, o := range outcomes {
		reads.Chunks, reads.Blocks = reads.Chunks+o.Reads.Chunks, reads.Blocks+o.Reads.Blocks
	}
	if len(good) == 0 || reads.Chunks == 0 {
		return ""
	}
	first := median(of(good, func(s *Sample) int { return s.FirstRead }))
	share := float64(reads.Blocks) / float64(reads.Chunks)
	if first < 2 || share < blockMatters {
		return ""
	}
	return fmt.Sprintf("block buffering on the path: the first read of a reply held %d events (median) and %.0f %% of reads were multiples of %d bytes, so TTFT is the time that a block takes to fill, not the engine's",
		first, 100*share, blockSize)
}

// prefixCache finds prompts that were answered from a cache, by what replies
// say and by the engine's own counters.
func prefixCache(_ Summary, _ []Sample, outcomes []Outcome) string {
	hits, queries, source := prefixHits(outcomes...)
	if hits == 0 || queries == 0 {
		return ""
	}
	return fmt.Sprintf("prefix cache: %.1f %% of prompt tokens were answered from the engine's cache, by %s, so TTFT is that of prompts it had seen", 100*hits/queries, source)
}

// prefixHits is how many of the prompt tokens came from the engine's prefix
// cache, and who says so.
func prefixHits(outcomes ...Outcome) (hits, queries float64, source string) {
	for _, o := range outcomes {
		hits, queries = hits+o.Server[engines.PrefixHits], queries+o.Server[engines.PrefixQueries]
	}
	if queries > 0 {
		return hits, queries, "its own counters"
	}
	for _, o := range outcomes {
		cached, prompt := cachedTokens(o.Samples)
		hits, queries = hits+float64(cached), queries+float64(prompt)
	}
	return hits, queries, "its replies"
}

// serverTTFT compares the client's TTFT with the engine's own. What lies
// between them is the path and the client.
func serverTTFT(_ Summary, good []Sample, outcomes []Outcome) string {
	var own time.Duration
	source := "its own metrics"
	var sum, count float64
	for _, o := range outcomes {
		sum, count = sum+o.Server[engines.TTFTSecondsSum], count+o.Server[engines.TTFTCount]
	}
	seen := pointers(good)
	if count > 0 {
		own = time.Duration(sum / count * float64(time.Second))
		seen = nil // the engine counts the ramp too, so the client must
		for _, o := range outcomes {
			seen = append(seen, pointers(o.Samples)...)
		}
	} else {
		told := collect(pointers(good), func(s *Sample) (time.Duration, bool) { return s.ServerTTFT, s.ServerTTFT > 0 })
		if len(told) == 0 {
			return ""
		}
		own, source = time.Duration(mean(told)), "its replies"
	}
	client := meanTTFT(seen)
	gap := client - own
	if max(gap, -gap) < serverTTFTLeast || math.Abs(float64(gap)) < serverTTFTFar*float64(client) {
		return ""
	}
	if gap < 0 {
		return fmt.Sprintf("engine's own TTFT: it counts %.1f ms by %s where the client saw only %.1f ms: the two do not mean the same, or one of them is wrong", ms(float64(own)), source, ms(float64(client)))
	}
	return fmt.Sprintf("engine's own TTFT: it counts %.1f ms by %s where the client saw %.1f ms: %.1f ms lie on the path between them", ms(float64(own)), source, ms(float64(client)), ms(float64(gap)))
}

// meanTTFT counts from the write of a request's first byte: what it waited
// before, for a slot of an open loop, is no part of the engine or the path.
func meanTTFT(samples []*Sample) time.Duration {
	all := collect(samples, func(s *Sample) (time.Duration, bool) {
		_, ok := s.TTFT()
		return s.FirstToken - s.Send, ok
	})
	if len(all) == 0 {
		return 0
	}
	return time.Duration(mean(all))
}

func pointers(samples []Sample) []*Sample {
	all := make([]*Sample, len(samples))
	for i := range samples {
		all[i] = &samples[i]
	}
	return all
}

// tokensPerEvent finds events that carry several tokens: gaps between events
// are then not gaps between tokens.
func tokensPerEvent(_ Summary, good []Sample, _ []Outcome) string {
	events, tokens := 0, 0
	for i := range good {
		if s := &good[i]; s.Tokens != nil && s.Events > 0 {
			events, tokens = events+s.Events, tokens+*s.Tokens
		}
	}
	if events == 0 || float64(tokens) < manyTokens*float64(events) {
		return ""
	}
	return fmt.Sprintf("several tokens an event: %d tokens came in %d events, %.2f each, so the engine sends less often than it decodes, or decodes several at once", tokens, events, float64(tokens)/float64(events))
}

// coldConnections finds requests that had to dial first.
func coldConnections(_ Summary, good []Sample, outcomes []Outcome) string {
	cold := collect(pointers(good), func(s *Sample) (time.Duration, bool) { return s.Connect, s.Connect > 0 })
	if len(cold) == 0 {
		return ""
	}
	where := "is not in their TTFT"
	if outcomes[0].Plan.Load.Open() {
		where = "is in their TTFT, which counts from the intended send"
	}
	return fmt.Sprintf("cold connections: %d of %d requests had to dial first, which took %.1f ms (mean) and %s: their connections had rested too long or the server had closed them", len(cold), len(good), ms(mean(cold)), where)
}

// engineQueue tells how long requests waited in the engine, where it says so.
func engineQueue(m Summary, _ []Sample, outcomes []Outcome) string {
	var sum, count float64
	for _, o := range outcomes {
		sum, count = sum+o.Server[engines.QueueSecondsSum], count+o.Server[engines.QueueCount]
	}
	if count == 0 {
		return ""
	}
	wait := 1e3 * sum / count
	if ttft := m.Metrics["ttft-ms"]; ttft == 0 || wait < ttft/2 {
		return ""
	}
	return fmt.Sprintf("queueing: requests waited %.1f ms (mean) in the engine's queue, most of a TTFT of %.1f ms: more were in flight than its batch takes", wait, m.Metrics["ttft-ms"])
}
