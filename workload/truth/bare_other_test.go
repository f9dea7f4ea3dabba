//go:build !linux

package truth_test

// bareLoops are the clients that the client is held against.
var bareLoops = map[string]bareDialer{"bare": dialGoroutines}
