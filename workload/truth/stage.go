package truth

import (
	"context"
	"fmt"

	"enginebench/engines"
	"enginebench/engines/catalog"
	"enginebench/fixtures"
	"enginebench/fixtures/replay"
	"enginebench/fixtures/script"
	"enginebench/workload"
)

// Stage is a server that plays a script, and the client's engine to measure it
// with. A program that opens one must call replay.MaybeServe first of all.
type Stage struct {
	Server    *replay.Server
	Engine    engines.Engine
	Recording *fixtures.Recording
}

// Open starts a script's server, and asks it what a client asks an engine.
func Open(ctx context.Context, s script.Script, o replay.Options) (*Stage, error) {
	rec, err := s.Recording()
	if err != nil {
		return nil, fmt.Errorf("stage a script: %w", err)
	}
	st := &Stage{Recording: rec}
	if st.Server, err = replay.Start(ctx, []*fixtures.Recording{rec}, o); err != nil {
		return nil, fmt.Errorf("stage a script: %w", err)
	}
	name := rec.Header.Engine
	spec, err := engines.ParseSpec(name + "=" + st.Server.URL(name))
	if err == nil {
		st.Engine, err = catalog.Open(spec)
	}
	if err == nil {
		_, err = st.Engine.Describe(ctx)
	}
	if err != nil {
		st.Close()
		return nil, fmt.Errorf("stage a script: %w", err)
	}
	return st, nil
}

// Close ends the server.
func (s *Stage) Close() error { return s.Server.Close() }

// Play runs the script's cell once and compares, tokens with those that the
// script asked for. The runner must be for the stage's engine. The error says
// which request failed, or why the run was given up. If ctx ends meanwhile the
// stage is closed: its server may hang, and then nothing else ends the wait.
func (s *Stage) Play(ctx context.Context, r *workload.Runner) (*workload.Run, Comparison, error) {
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	run, c, err := s.play(ctx, r)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // of which the rest only follows
	}
	return run, c, err
}

func (s *Stage) play(ctx context.Context, r *workload.Runner) (*workload.Run, Comparison, error) {
	p, err := workload.PlanOf(s.Recording, "stage")
	if err != nil {
		return nil, Comparison{}, err
	}
	if _, err := s.Server.Report(); err != nil { // what came before is not of this run
		return nil, Comparison{}, err
	}
	run, err := r.Run(ctx, p)
	if err != nil {
		return nil, Comparison{}, err
	}
	if run.Stopped != nil {
		return run, Comparison{}, run.Stopped
	}
	report, err := s.Server.Report()
	if err != nil {
		return run, Comparison{}, err
	}
	c, err := Compare(run, s.Engine, s.Recording, report)
	c.Tokens.True = 0
	for i := range p.Requests {
		c.Tokens.True += p.Requests[i].Request.OutputTokens
	}
	return run, c, err
}
