//go:build tokenizers

package tokenizer

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"sync"

	"github.com/daulet/tokenizers"
)

// Open reads a tokenizer.json. Truncation and padding that the file asks for (some are shipped with a limit of 128
// tokens) are turned off: a cut or padded text would be counted wrong in silence.
func Open(path string, opts ...Option) (Tokenizer, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("open tokenizer: %w", err)
	}
	whole, err := withoutLimits(data)
	if err != nil {
		return nil, fmt.Errorf("open tokenizer %s: %w: want the tokenizer.json that lies beside the model's weights", path, err)
	}
	lib, err := tokenizers.FromBytes(whole)
	if err != nil {
		return nil, fmt.Errorf("open tokenizer %s: %w: want the tokenizer.json that lies beside the model's weights", path, err)
	}
	return &local{
		lib:      lib,
		options:  apply(opts),
		identity: fmt.Sprintf("tokenizer.json sha256:%x", sha256.Sum256(data)),
	}, nil
}

// withoutLimits returns a tokenizer.json without its truncation and padding. A file that is not one is an error: the
// library's own words for that name neither the file nor what was expected.
func withoutLimits(data []byte) ([]byte, error) {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return nil, fmt.Errorf("not a tokenizer: not a JSON object (%w)", err)
	}
	if _, ok := parts["model"]; !ok {
		return nil, fmt.Errorf("not a tokenizer: it has no \"model\"")
	}
	delete(parts, "truncation")
	delete(parts, "padding")
	return json.Marshal(parts)
}

// local is a tokenizer in this process.
type local struct {
	lib *tokenizers.Tokenizer
	options
	identity string
	closing  sync.Once
}

func (t *local) Encode(text string) ([]int32, error) {
	ids, err := t.encode(text)
	if err != nil {
		return nil, err
	}
	out := make([]int32, len(ids))
	for i, id := range ids {
		out[i] = int32(id)
	}
	return out, nil
}

func (t *local) Count(text string) (int, error) {
	ids, err := t.encode(text)
	return len(ids), err
}

func (t *local) encode(text string) ([]uint32, error) {
	if err := checkText(text); err != nil {
		return nil, err
	}
	// Encode also builds every token's string, and aborts the process at a token with a NUL in it; this does neither.
	ids := t.lib.EncodeWithOptions(text, t.special).IDs
	if len(ids) == 0 && text != "" {
		return nil, fmt.Errorf("encode a text of %d bytes: the tokenizer gave no token and no reason", len(text))
	}
	return ids, nil
}

func (t *local) Decode(ids []int32) (string, error) {
	if len(ids) == 0 {
		return "", nil
	}
	in := make([]uint32, len(ids))
	for i, id := range ids {
		if id < 0 {
			return "", fmt.Errorf("decode %d ids: id %d is negative", len(ids), id)
		}
		in[i] = uint32(id)
	}
	text := t.lib.Decode(in, false)
	if text == "" {
		return "", fmt.Errorf("decode %d ids: the tokenizer gave no text: ids outside its vocabulary of %d, or a NUL in the text", len(ids), t.lib.VocabSize())
	}
	return text, nil
}

func (t *local) Identity() string { return t.identity }

func (t *local) Close() error {
	var err error
	t.closing.Do(func() { err = t.lib.Close() })
	return err
}
