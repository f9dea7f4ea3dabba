//go:build !linux

// Servers brings up real serving engines on this machine. It needs Linux: that
// is what the engines are built for.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "servers: the servers are Linux programs: start them on a Linux machine, and measure them from here")
	os.Exit(2)
}
