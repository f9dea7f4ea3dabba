//go:build !tokenizers

package tokenizer

import "fmt"

// Open reads a tokenizer.json. This program was built without the library for it: the error is ErrNotBuilt.
func Open(path string, _ ...Option) (Tokenizer, error) {
	return nil, fmt.Errorf("open tokenizer %s: %w", path, ErrNotBuilt)
}
