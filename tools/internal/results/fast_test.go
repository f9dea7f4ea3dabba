package results

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"enginebench/engines"
	"enginebench/workload"

	"github.com/stretchr/testify/require"
)

// full is a sample with every field set, by reflection, so that a field added
// to workload.Sample is in it.
func full(t testing.TB) workload.Sample {
	var s workload.Sample
	for v, i := reflect.ValueOf(&s).Elem(), 0; i < v.NumField(); i++ {
		field := v.Field(i)
		if field.Kind() == reflect.Pointer {
			field.Set(reflect.New(field.Type().Elem()))
			field = field.Elem()
		}
		switch field.Kind() {
		case reflect.String:
			field.SetString(v.Type().Field(i).Name)
		case reflect.Int, reflect.Int64:
			field.SetInt(int64(1000 + i))
		case reflect.Bool:
			field.SetBool(true)
		}
	}
	s.Class, s.Gaps, s.GapTokens = engines.Reset, []time.Duration{1, 2, -3}, []int{4, 5}
	return s
}

func TestEveryFieldOfASampleIsDecodedFast(t *testing.T) {
	want := full(t)
	line, err := json.Marshal(map[string]any{"sample": want})
	require.NoError(t, err)
	var got workload.Sample
	s := scanner{rest: line, ok: true}
	s.sample(&got, &workload.Sample{})
	require.True(t, s.ok, "%d bytes left: %.40s", len(s.rest), s.rest)
	require.Equal(t, want, got)
}

func TestUnusualLinesAreDecodedSlowly(t *testing.T) {
	for _, line := range []string{
		`{ "sample": {"index": 7} }`,
		`{"sample":{"index":7,"error":"a \"quoted\" ü"}}`,
		`{"sample":{"index":7,"new-field":{"a":[1]}}}`,
		`{"sample":{"index":7,"gaps-ns":null}}`,
		`{"sample":{"index":7,"intended-ns":-9223372036854775808}}`,
	} {
		var got workload.Sample
		require.NoError(t, decodeSample([]byte(line), &got), line)
		require.Equal(t, 7, got.Index, line)
	}
	require.Error(t, decodeSample([]byte(`{"sample":{"index":07}}`), &workload.Sample{}))
	require.Error(t, decodeSample([]byte(`{"sample":{"index":1}`), &workload.Sample{}))
}

func FuzzDecodeSample(f *testing.F) {
	line, err := json.Marshal(map[string]any{"sample": full(f)})
	require.NoError(f, err)
	f.Add(line)
	f.Add([]byte(`{"sample":{"index":-1,"gaps-ns":[],"gap-tokens":[10,0],"cell":""}}`))
	f.Add([]byte(`{"sample":{"index":1.5}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var fast, slow workload.Sample
		errFast, errSlow := decodeSample(line, &fast), decodeSlow(line, &slow)
		require.Equal(t, errSlow == nil, errFast == nil, "fast %v, slow %v", errFast, errSlow)
		if errSlow != nil {
			return
		}
		for _, s := range []*workload.Sample{&fast, &slow} { // an empty list is no list
			if len(s.Gaps) == 0 {
				s.Gaps = nil
			}
			if len(s.GapTokens) == 0 {
				s.GapTokens = nil
			}
		}
		require.Equal(t, slow, fast)
	})
}
