// Package catalog is the table of all engines: which scheme of a URL is which
// protocol, and who decodes which dialect. A new protocol is a package and a
// row here.
package catalog

import (
	"fmt"
	"strings"

	"enginebench/engines"
	"enginebench/engines/ollama"
	"enginebench/engines/openai"
	"enginebench/engines/tgi"
	"enginebench/engines/triton"
)

// row is one protocol.
type row struct {
	schemes []string // of -engine URLs
	text    string   // what they are, for who names another
	open    func(engines.Spec) (engines.Engine, error)
	decoder func(dialect string) (engines.Decoder, bool)
}

var table = []row{
	{[]string{"http", "https"}, "OpenAI-compatible: vLLM, SGLang, llama.cpp, …", openai.New, openai.Decoder},
	{[]string{"tgi+http", "tgi+https"}, "text-generation-inference by its native endpoint", tgi.New, tgi.Decoder},
	{[]string{"ollama+http", "ollama+https"}, "Ollama by its native endpoint", ollama.New, ollama.Decoder},
	{[]string{"grpc", "grpcs"}, "Triton: TensorRT-LLM and its other backends", triton.New, triton.Decoder},
}

// Open makes the engine that a spec's scheme names. It asks the server
// nothing.
func Open(spec engines.Spec) (engines.Engine, error) {
	for _, r := range table {
		for _, scheme := range r.schemes {
			if spec.URL.Scheme == scheme {
				return r.open(spec)
			}
		}
	}
	return nil, fmt.Errorf("open engine %s: no protocol has the scheme %q; there are %s", spec.Name, spec.URL.Scheme, known())
}

// known is all schemes and what they are.
func known() string {
	var all []string
	for _, r := range table {
		all = append(all, fmt.Sprintf("%s (%s)", strings.Join(r.schemes, ", "), r.text))
	}
	return strings.Join(all, "; ")
}

// Decoder finds who decodes a dialect, as engines.Info names it.
func Decoder(dialect string) (engines.Decoder, error) {
	for _, r := range table {
		if d, ok := r.decoder(dialect); ok {
			return d, nil
		}
	}
	return nil, fmt.Errorf("decode the dialect %q: this build has no decoder for it", dialect)
}
