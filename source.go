package enginebench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"sync"
	"time"

	"enginebench/engines"
	"enginebench/engines/catalog"
	"enginebench/fixtures"
	"enginebench/workload"
	"enginebench/workload/line"
)

// Source says which engines are measured when no flag does. The zero value is
// none: then -engine or -replay must be given.
type Source struct {
	specs      []string
	recordings fs.FS
	dir        string // of recordings
}

// Live is a source of engines that are measured if they answer: each spec is
// name=url, as -engine takes it.
func Live(specs ...string) Source { return Source{specs: specs} }

// Recorded is a source of engines that are replayed from the recordings in
// dir of fsys, which usually is embedded.
func Recorded(fsys fs.FS, dir string) Source { return Source{recordings: fsys, dir: dir} }

// target is one engine that is measured, and its cells.
type target struct {
	name   string
	url    string // of the live engine; "" when replayed
	spec   engines.Spec
	engine engines.Engine
	info   engines.Info
	cells  []cell
}

// cell is one level of a target. A recorded one is replayed.
type cell struct {
	name     string
	shape    workload.Shape
	recorded *fixtures.Recording
}

// preflightLimit bounds what one engine may take to describe itself: a model
// that is still loading, or loads on the first request.
const preflightLimit = 2 * time.Minute

// findTargets asks the engines of the flags, or else of the source. All must
// answer if they were asked for by name; of a source's those that do.
func (s *session) findTargets(ctx context.Context, source Source) error {
	if s.replay != "" {
		all, err := recordingsAt(s.replay)
		if err != nil {
			return err
		}
		return s.startReplay(ctx, s.replay, all)
	}
	if len(s.options.engines) == 0 && source.recordings != nil {
		if err := s.fixedByRecordings(); err != nil {
			return fmt.Errorf("%w; name a live engine with -engine, or build with -tags=live", err)
		}
		recordings, err := fs.Sub(source.recordings, source.dir)
		if err != nil {
			return fmt.Errorf("open the recordings: %w", err)
		}
		all, err := fixtures.LoadDir(recordings)
		if err != nil {
			return err
		}
		return s.startReplay(ctx, source.dir, all)
	}
	if err := s.openPrompts(s.plan); err != nil {
		return err
	}
	specs, must := []string(s.options.engines), true
	if len(specs) == 0 {
		specs, must = source.specs, false
	}
	if len(specs) == 0 {
		return errors.New("no engine to measure: name one with -engine=name=url, or recordings with -replay=directory")
	}
	if err := uniqueNames(specs); err != nil {
		return err
	}
	found := make([]*target, len(specs))
	failed := make([]error, len(specs))
	var wg sync.WaitGroup
	for i, spec := range specs {
		wg.Go(func() { found[i], failed[i] = s.ask(ctx, spec) })
	}
	wg.Wait()
	for i := range specs {
		switch {
		case failed[i] == nil:
			s.targets = append(s.targets, found[i])
		case must:
			return failed[i]
		default:
			s.notes = append(s.notes, fmt.Sprintf("left out: %v", failed[i]))
		}
	}
	if len(s.targets) == 0 {
		return fmt.Errorf("no engine answered: start one (make servers starts a vLLM and a Triton here), or name one with -engine=name=url; %w", line.Join(failed))
	}
	return nil
}

func uniqueNames(specs []string) error {
	seen := map[string]bool{}
	for _, spec := range specs {
		name, _, _ := strings.Cut(spec, "=")
		if seen[name] {
			return fmt.Errorf("two engines are called %s: benchmark names must tell them apart", name)
		}
		seen[name] = true
	}
	return nil
}

// hostAlone is what one writes who forgets the scheme: host and port, perhaps a
// path. Nothing in it can be a password, so that it may be shown.
var hostAlone = regexp.MustCompile(`^[A-Za-z0-9.-]+:[0-9]+(/[A-Za-z0-9/._-]*)?$`)

// ask opens one live engine and lets it describe itself.
func (s *session) ask(ctx context.Context, text string) (*target, error) {
	if name, host, _ := strings.Cut(text, "="); hostAlone.MatchString(host) {
		return nil, fmt.Errorf("-engine=%s: %q is no URL: write %s=http://%s, or grpc:// where a Triton listens", text, host, name, host)
	}
	spec, err := engines.ParseSpec(text)
	if err != nil {
		return nil, err
	}
	spec.Header, spec.CAFile, spec.APIKey = s.plan.header, s.caFile, apiKey(spec)
	t := &target{name: spec.Name, url: spec.URL.String(), spec: spec}
	if err := t.open(ctx); err != nil {
		return nil, err
	}
	if t.colocated() {
		t.info.Warnings = append(t.info.Warnings, "client and engine run on one machine and share its CPU")
	}
	if err := s.fits(t); err != nil {
		return nil, fmt.Errorf("engine %s: %w", t.name, err)
	}
	for _, c := range s.levels() {
		shape := workload.Shape{Load: s.plan.load, Concurrency: c, Requests: s.measured(c), OutputTokens: s.output, Seed: s.seed}
		t.cells = append(t.cells, cell{name: shape.Load.Cell(c), shape: shape})
		if limit := t.info.MaxConcurrency; limit > 0 && c > limit && !shape.Load.Open() {
			t.info.Warnings = append(t.info.Warnings, fmt.Sprintf("it runs %d requests at once: at %s the others wait in its queue", limit, t.cells[len(t.cells)-1].name))
		}
	}
	return t, nil
}

// open opens the target's engine and lets it describe itself.
func (t *target) open(ctx context.Context) error {
	var err error
	spec := t.spec
	if t.engine, err = catalog.Open(spec); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, preflightLimit, engines.Errorf(engines.RequestTimeout, "no answer within %v", preflightLimit))
	defer cancel()
	if t.info, err = t.engine.Describe(ctx); err != nil {
		return fmt.Errorf("engine %s at %s: %w", spec.Name, spec.URL, err)
	}
	return nil
}

// fits refuses prompts that the engine could only reject.
func (s *session) fits(t *target) error {
	lengths := s.plan.pool.Lengths()
	if most := t.info.MaxModelLen; most > 0 && lengths.Max+s.output > most {
		return fmt.Errorf("prompts of up to %d tokens and %d output tokens do not fit into its %d: make other prompts, or lower -output-tokens", lengths.Max, s.output, most)
	}
	if size := t.info.VocabSize; size > 0 && t.info.TakesTokens && int(s.plan.pool.MaxToken()) >= size {
		return fmt.Errorf("prompts hold token id %d and its vocabulary has %d: make prompts with its own tokenizer", s.plan.pool.MaxToken(), size)
	}
	return nil
}

// openSlots is how many slots an open loop has at the most.
const openSlots = 256

func (s *session) levels() []int {
	if s.plan.load.Open() {
		return []int{min(openSlots, s.measured(0))}
	}
	return s.plan.levels
}

func (s *session) measured(concurrency int) int {
	switch {
	case s.requests > 0:
		return s.requests
	case s.plan.load.Open():
		return 100
	}
	return 10 * concurrency
}

// newInvocation names this process in request ids and salts.
func newInvocation() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
