package enginebench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"enginebench/engines"
	"enginebench/engines/catalog"
	"enginebench/fixtures"
	"enginebench/fixtures/replay"
	"enginebench/workload"
)

// recordingsAt reads what -replay names: the recordings of a directory, or one
// recording.
func recordingsAt(path string) ([]*fixtures.Recording, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("-replay=%s: there is no such directory: name one that make record wrote, or one of its files", path)
	case err != nil:
		return nil, fmt.Errorf("-replay: %w", err)
	case info.IsDir():
		return fixtures.LoadDir(os.DirFS(path))
	}
	rec, err := fixtures.Load(os.DirFS(filepath.Dir(path)), filepath.Base(path))
	if err != nil {
		return nil, fmt.Errorf("-replay: %w", err)
	}
	return []*fixtures.Recording{rec}, nil
}

// startReplay starts the server that plays recordings, which were found in
// from, and makes their engines the targets.
func (s *session) startReplay(ctx context.Context, from string, all []*fixtures.Recording) error {
	if len(all) == 0 {
		return fmt.Errorf("replay: there is no recording to play in %s; make some with make record, or measure live engines with -tags=live", from)
	}
	all, err := s.wanted(all)
	if err != nil {
		return err
	}
	if err := alike(all); err != nil {
		return err
	}
	// It outlives an interrupt, which ends requests, to say what it had played.
	if s.server, err = replay.Start(context.WithoutCancel(ctx), all, replay.Options{}); err != nil {
		return err
	}
	for _, rec := range all {
		t := s.target(rec.Header.Engine)
		if t == nil {
			if t, err = s.replayed(ctx, rec); err != nil {
				return err
			}
			s.targets = append(s.targets, t)
		}
		p, err := workload.PlanOf(rec, s.invocation)
		if err != nil {
			return err
		}
		if n := p.Missing(); n > 0 {
			return fmt.Errorf("replay: %s lacks %d of %d requests, since its run was given up: record the cell again", fixtures.FileName(&rec.Header), n, len(p.Requests))
		}
		t.cells = append(t.cells, cell{name: rec.Header.Cell, shape: p.Shape, recorded: rec})
	}
	return nil
}

// wanted are the recordings at the levels that -concurrency names, if it does.
// Each must be recorded, of one engine at least.
func (s *session) wanted(all []*fixtures.Recording) ([]*fixtures.Recording, error) {
	if !s.set["concurrency"] {
		return all, nil
	}
	var levels []int
	for _, r := range all {
		levels = append(levels, r.Header.Concurrency)
	}
	slices.Sort(levels)
	levels = slices.Compact(levels)
	for _, level := range s.plan.levels {
		if !slices.Contains(levels, level) {
			return nil, fmt.Errorf("-concurrency: level %d is not recorded, only %s are: name some of them, or measure live engines with -tags=live",
				level, strings.ReplaceAll(strings.Trim(fmt.Sprint(levels), "[]"), " ", ", "))
		}
	}
	return slices.DeleteFunc(all, func(r *fixtures.Recording) bool {
		return !slices.Contains(s.plan.levels, r.Header.Concurrency)
	}), nil
}

// alike refuses to put recordings of different workloads into one result.
func alike(all []*fixtures.Recording) error {
	conditions := func(h fixtures.Header) [4]string {
		return [4]string{h.Load, h.Prompts, strconv.Itoa(h.OutputTokens), strconv.FormatUint(h.Seed, 10)}
	}
	first, engine := all[0].Header, map[string]fixtures.Header{}
	for _, r := range all {
		h := r.Header
		if _, err := catalog.Decoder(h.Info.Dialect); err != nil {
			return fmt.Errorf("replay %s: %w", fixtures.FileName(&h), err)
		}
		if one, ok := engine[h.Engine]; ok && (one.Info.Version != h.Info.Version || one.Info.Model != h.Info.Model || one.Info.Dialect != h.Info.Dialect) {
			return fmt.Errorf("replay: %s and %s are of two versions, models or dialects: replay them one by one", fixtures.FileName(&one), fixtures.FileName(&h))
		}
		engine[h.Engine] = h
		if conditions(h) != conditions(first) {
			return fmt.Errorf("replay: %s and %s were recorded under different conditions (load, prompts, output tokens or seed): replay them one by one",
				fixtures.FileName(&first), fixtures.FileName(&h))
		}
	}
	return nil
}

func (s *session) target(name string) *target {
	for _, t := range s.targets {
		if t.name == name {
			return t
		}
	}
	return nil
}

// replayed is a target whose server is the replay. It is opened as a live one
// is, preflight and all.
func (s *session) replayed(ctx context.Context, rec *fixtures.Recording) (*target, error) {
	name := rec.Header.Engine
	spec, err := engines.ParseSpec(name + "=" + s.server.URL(name))
	if err != nil {
		return nil, err
	}
	t := &target{name: name, spec: spec}
	if err := t.open(ctx); err != nil {
		return nil, err
	}
	for _, warning := range rec.Header.Info.Warnings {
		if !slices.Contains(t.info.Warnings, warning) {
			t.info.Warnings = append(t.info.Warnings, warning)
		}
	}
	t.info.Warnings = append(t.info.Warnings, "replayed from recordings: these are the recorded engine's times, not a live one's")
	return t, nil
}
