// Slowdown makes recordings of an engine that is slower than the recorded one,
// so that a gate can be tried on a regression whose size is known.
//
//	go tool slowdown -by=12% -o=slow fixtures/recordings
//	go test -bench=. -replay=$PWD/slow
//
// Exit codes: 0 written, 2 not.
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

const usage = `Usage: go tool slowdown -by=12% -o=DIR [flags] RECORDINGS

Writes the recordings in the directory RECORDINGS into DIR, slower by so much.

  go tool slowdown -by=12% -o=slow fixtures/recordings
  go tool slowdown -by=12% -cell=vllm/concurrency=8 -o=slow fixtures/recordings
  go test -bench=. -replay=$PWD/slow

`

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("slowdown", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // its errors are printed once, below
	by := flags.String("by", "", "how much longer replies take, as `12%`")
	out := flags.String("o", "", "`directory` to write into")
	cell := flags.String("cell", "", "slow only this `engine/cell` down, as vllm/concurrency=8, and copy the others")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(stdout)
		fmt.Fprint(stdout, usage)
		flags.PrintDefaults()
		return 0
	}
	if err != nil {
		err = fmt.Errorf("%w; -h shows all flags", err)
	} else {
		err = slowdown(*by, *out, *cell, flags.Args(), stdout)
	}
	if err != nil {
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
	if same(out, dirs[0]) {
		return fmt.Errorf("-o=%s is where the recordings are: want another directory", out)
	}
	all, err := fixtures.LoadDir(os.DirFS(dirs[0]))
	if err != nil {
		return err
	}
	slowed := 0
	for i, rec := range all {
		if cell == "" || cell == rec.Header.Engine+"/"+rec.Header.Cell {
			if all[i], err = fault.Slow(rec, 1+percent/100); err != nil {
				return err
			}
			slowed++
		}
	}
	switch {
	case len(all) == 0:
		return fmt.Errorf("%s holds no recording", dirs[0])
	case slowed == 0:
		return fmt.Errorf("%s holds no recording of -cell=%s", dirs[0], cell)
	}
	for _, rec := range all {
		path, err := fixtures.Write(out, rec)
		if err != nil {
			return err
		}
		fmt.Fprintln(stdout, path)
	}
	return nil
}

// same reports whether two names are of one directory that is there.
func same(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
