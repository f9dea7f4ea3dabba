//go:build !linux

package truth_test

func pinBenchmarks() {}
