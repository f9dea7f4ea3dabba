package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"enginebench/engines"
	"enginebench/engines/catalog"
	"enginebench/fixtures"
	"enginebench/workload"
)

// file is a recording that was found and whose header is good.
type file struct {
	path    string
	header  fixtures.Header
	decoder engines.Decoder
	run     int    // which recording of its engine and cell, from 0
	group   *group // below whose header it is printed
}

// find reads the headers of all recordings that the arguments name: files, and
// the recordings at the top of directories. What is not one is an error beside
// the others.
func find(args []string) (found []*file, errs []error) {
	seen := map[string]bool{}
	runs := map[string]int{}
	for _, arg := range args {
		paths, err := expand(arg)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		var these []*file
		for _, path := range paths {
			if seen[filepath.Clean(path)] {
				errs = append(errs, fmt.Errorf("%s is named twice: its run would count twice", path))
				continue
			}
			seen[filepath.Clean(path)] = true
			f, err := open(path)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			these = append(these, f)
		}
		slices.SortStableFunc(these, compare)
		for _, f := range these {
			cell := f.header.Engine + "/" + f.header.Cell
			f.run = runs[cell]
			runs[cell]++
		}
		found = append(found, these...)
	}
	return found, errs
}

// compare orders the recordings of a directory as a benchmark runs its cells.
func compare(a, b *file) int {
	return cmp.Or(strings.Compare(a.header.Engine, b.header.Engine),
		cmp.Compare(a.header.Concurrency, b.header.Concurrency), strings.Compare(a.header.Cell, b.header.Cell))
}

func expand(arg string) ([]string, error) {
	info, err := os.Stat(arg)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s does not exist; name recordings, or a directory that a run wrote with -record", arg)
	case err != nil:
		return nil, fmt.Errorf("read recording: %w", err)
	case !info.IsDir():
		return []string{arg}, nil
	}
	entries, err := os.ReadDir(arg)
	if err != nil {
		return nil, fmt.Errorf("read recordings: %w", err)
	}
	var paths []string
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, fixtures.Extension) && !strings.HasPrefix(name, ".") { // a dot: it is being written
			paths = append(paths, filepath.Join(arg, name))
		}
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("no recording (*%s) in %s; a run writes them with -record=%s", fixtures.Extension, arg, arg)
	}
	return paths, nil
}

// open reads a recording's header and finds out whether the rest can be
// decoded.
func open(path string) (*file, error) {
	fail := func(err error) (*file, error) { return nil, fmt.Errorf("read recording %s: %w", path, err) }
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read recording: %w", err)
	}
	defer f.Close()
	reader, err := fixtures.NewReader(f)
	if err != nil {
		return fail(err)
	}
	h := reader.Header()
	if err := nameable(h); err != nil {
		return fail(err)
	}
	decoder, err := catalog.Decoder(h.Info.Dialect)
	if err != nil {
		return fail(err)
	}
	return &file{path: path, header: h, decoder: decoder}, nil
}

// nameable refuses a header that makes no benchmark's name.
func nameable(h fixtures.Header) error {
	if _, err := engines.ParseSpec(h.Engine + "=recording://" + h.Engine); err != nil {
		return err
	}
	load, err := workload.ParseLoad(h.Load)
	if err != nil {
		return err
	}
	if cell := load.Cell(h.Concurrency); h.Concurrency < 1 || cell != h.Cell {
		return fmt.Errorf("its cell is called %s, and load %s with %d slots makes %s", h.Cell, h.Load, h.Concurrency, cell)
	}
	return nil
}

// load reads a whole recording.
func (f *file) load() (*fixtures.Recording, error) {
	r, err := os.Open(f.path)
	if err != nil {
		return nil, fmt.Errorf("read recording: %w", err)
	}
	defer r.Close()
	rec, err := fixtures.Decode(r)
	if err != nil {
		return nil, fmt.Errorf("read recording %s: %w", f.path, err)
	}
	return rec, nil
}
