// Package exits is a command of testscript that the tools' scripts share: it
// holds a program's exit code against the one that is wanted, where testscript
// itself tells success from failure alone.
package exits

import (
	"errors"
	"slices"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
)

// Command is the command
//
//	exits CODE [argument]…
//
// which runs the program with the arguments. Where no program is given, the
// script names it before them.
func Command(program ...string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		want, err := strconv.Atoi(args[0])
		ts.Check(err)
		words := slices.Concat(program, args[1:])
		got := 0
		var exit interface{ ExitCode() int }
		if err := ts.Exec(words[0], words[1:]...); errors.As(err, &exit) {
			got = exit.ExitCode()
		} else if err != nil {
			ts.Fatalf("%s: %v", words[0], err)
		}
		if got != want {
			ts.Fatalf("%v exits with %d, want %d\n%s%s", words, got, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
		}
	}
}
