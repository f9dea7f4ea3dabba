// Slowdown makes recordings of an engine that is slower than the recorded one,
// so that a gate can be tried on a regression whose size is known.
//
//	go run ./tools/slowdown -by=12% -o slow fixtures/recordings
//	go test -bench=. -replay=slow
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"enginebench/fixtures"
	"enginebench/fixtures/fault"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("slowdown", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, "usage: slowdown -by=12% -o DIR RECORDINGS\n\nWrites the recordings in the directory RECORDINGS into DIR, slower by so much.\n\n")
		flags.PrintDefaults()
	}
	by := flags.String("by", "", "how much longer replies take, as `12%`")
	out := flags.String("o", "", "`directory` to write into")
	cell := flags.String("cell", "", "slow only this `engine/cell` down, as vllm/concurrency=8, and copy the others")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if err := slowdown(*by, *out, *cell, flags.Args(), stdout); err != nil {
		fmt.Fprintf(stderr, "slowdown: %v\n", err)
		return 2
	}
	return 0
}

func slowdown(by, out, cell string, dirs []string, stdout io.Writer) error {
	percent, err := strconv.ParseFloat(strings.TrimSuffix(by, "%"), 64)
	if err != nil || !strings.HasSuffix(by, "%") {
		return fmt.Errorf("-by=%s: want a share, as 12%%", by)
	}
	if out == "" || len(dirs) != 1 {
		return errors.New("want -o DIR and one directory of recordings")
	}
	all, err := fixtures.LoadDir(os.DirFS(dirs[0]))
	if err != nil {
		return err
	}
	slowed := 0
	for _, rec := range all {
		if cell == "" || cell == rec.Header.Engine+"/"+rec.Header.Cell {
			if rec, err = fault.Slow(rec, 1+percent/100); err != nil {
				return err
			}
			slowed++
		}
		path, err := fixtures.Write(out, rec)
		if err != nil {
			return err
		}
		fmt.Fprintln(stdout, path)
	}
	if slowed == 0 {
		return fmt.Errorf("%s holds no recording of %q", dirs[0], cell)
	}
	return nil
}
