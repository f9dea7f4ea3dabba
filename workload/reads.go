package workload

import "enginebench/engines/capture"

// Reads is how the bytes of a run came, which tells of a path that hands on
// whole blocks.
type Reads struct {
	Chunks int
	Blocks int // chunks whose size is a multiple of blockSize
}

// blockSize divides the sizes in which clients, proxies and pages buffer: 512
// (a common read size of HTTP libraries), 1024, 4096 (a memory page; nginx).
const blockSize = 512

func (r *Reads) add(c *capture.Capture) {
	start := 0
	for _, chunk := range c.Chunks {
		r.Chunks++
		if size := chunk.End - start; size > 0 && size%blockSize == 0 {
			r.Blocks++
		}
		start = chunk.End
	}
}
