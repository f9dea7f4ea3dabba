package workload

import (
	"testing"

	"github.com/stretchr/testify/require"

	"enginebench/engines"
	"enginebench/engines/capture"
	"enginebench/fixtures"
)

// recordingOf is a closed loop of one slot whose requests ended as errs say.
func recordingOf(errs ...error) *fixtures.Recording {
	rec := &fixtures.Recording{Header: fixtures.Header{Engine: "vllm", Cell: "concurrency=1", Load: "closed", Concurrency: 1, OutputTokens: 4}}
	for i, err := range errs {
		rec.Requests = append(rec.Requests, fixtures.Request{Cell: "concurrency=1", Index: i, Measured: i > 0,
			Asked: fixtures.Asked{OutputTokens: 4, PromptTokens: 3}, Capture: &capture.Capture{Err: err}})
	}
	return rec
}

func TestARecordedRunThatWasGivenUpSaysSo(t *testing.T) {
	run, err := FromRecording(recordingOf(nil, engines.Errorf(engines.Reset, "gone"), nil))
	require.NoError(t, err)
	require.NoError(t, run.Stopped)

	run, err = FromRecording(recordingOf(nil, engines.Errorf(engines.Cancelled, "interrupted"), nil))
	require.NoError(t, err)
	require.ErrorContains(t, run.Stopped, "interrupted")
}

func TestAPlanOfAnImpossibleRecordingIsAnError(t *testing.T) {
	rec := recordingOf(nil, nil)
	rec.Requests[1].Asked.PromptTokens = 1 << 60
	_, err := PlanOf(rec, "")
	require.ErrorContains(t, err, "request 1 has a prompt of 1152921504606846976 tokens")
	_, err = PlanOf(recordingOf(), "")
	require.ErrorContains(t, err, "no requests of its cell")
}

func TestATokenizersCountFailsNoRequest(t *testing.T) {
	p := mustPlan(Shape{Concurrency: 1, Requests: 1, OutputTokens: 4})
	reply := engines.Reply{Events: []engines.Event{{Arrival: 1}}, Tokens: 3, Counted: "usage", CachedTokens: -1}
	s := NewSample(p, 1, &capture.Capture{}, reply, engines.Info{ForcesOutput: true})
	require.Equal(t, engines.WrongCount, s.Class)

	reply.Counted = CountedByTokenizer
	s = NewSample(p, 1, &capture.Capture{}, reply, engines.Info{ForcesOutput: true})
	require.Equal(t, OK, s.Status)
	require.Equal(t, 3, *s.Tokens)
}
