// Package faults holds no code but tests: runs of the client, over the wire,
// against servers that fail in known ways. The catalogue takes the faults one
// by one, the soak all together for as long as one likes:
//
//	go test ./workload/faults -run=Soak -timeout=0 -v -soak=10m
//
// The servers are children that replay scripts with damages (packages script,
// fault and replay), so that what each request should come to is known.
package faults
