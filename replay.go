package enginebench

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strconv"

	"enginebench/engines"
	"enginebench/engines/catalog"
	"enginebench/fixtures"
	"enginebench/fixtures/replay"
	"enginebench/workload"
)

// startReplay starts the server that plays fsys's recordings, and makes its
// engines the targets.
func (s *session) startReplay(ctx context.Context, fsys fs.FS) error {
	all, err := fixtures.LoadDir(fsys)
	if err != nil {
		return err
	}
	if all = s.wanted(all); len(all) == 0 {
		return fmt.Errorf("replay: there is no recording to play; make some with make record, or measure live engines with -tags=live")
	}
	if err := alike(all); err != nil {
		return err
	}
	if s.server, err = replay.Start(ctx, all, replay.Options{}); err != nil {
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
func (s *session) wanted(all []*fixtures.Recording) []*fixtures.Recording {
	if !s.set["concurrency"] {
		return all
	}
	return slices.DeleteFunc(all, func(r *fixtures.Recording) bool {
		return !slices.Contains(s.plan.levels, r.Header.Concurrency)
	})
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
