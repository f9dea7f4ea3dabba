// Package tokenizer turns text into token ids and back, the way a served model does.
//
// There are two ways to get one. Remote asks a running engine, over /tokenize and /detokenize; it needs nothing
// installed and is right by construction for the model that the engine serves. Open reads a tokenizer.json (Hugging
// Face's format) with github.com/daulet/tokenizers, which is C: it is compiled in under the build tag `tokenizers`
// only, and `make tokenizers` builds the library that the tag needs (see the command tools/tokenizer/build). In a
// program built without the tag, Open says so. New picks between the two from the values of two flags.
//
// This is the only package of the project that may use cgo, and only tools import it.
//
// # Special tokens
//
// Many tokenizers put a token before a prompt (BOS), and an engine that is sent text does that too. So a prompt's ids
// are made WithSpecial: an engine that is sent the ids then computes what one that is sent the text does. The tokens of a
// reply are counted without: that is the default.
//
// Special tokens spelled out inside a text (`<|eot_id|>`) become that special token, with both kinds, as they do in the
// engines.
package tokenizer

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// A Tokenizer encodes text to token ids and decodes ids to text. All methods but Close may be called from several
// goroutines at once; Close comes after the last of them has returned.
type Tokenizer interface {
	// Encode returns the ids of text. Text that is not valid UTF-8 or holds a NUL is ErrText: it would be encoded as
	// something else in silence. A non-empty text never gives an empty result without an error.
	Encode(text string) ([]int32, error)
	// Count returns how many ids Encode would give.
	Count(text string) (int, error)
	// Decode returns the text of ids, special tokens included. A part of a character is U+FFFD.
	Decode(ids []int32) (string, error)
	// Identity says which tokenizer this is, for a person who wants the same one: never a path or a host.
	Identity() string
	// Close releases what the tokenizer holds. It is safe to call twice.
	Close() error
}

// Errors that a caller may want to tell apart.
var (
	// ErrNotBuilt is returned by Open in a program built without the tag `tokenizers`.
	ErrNotBuilt = errors.New("this program was built without the tokenizer library: run `make tokenizers` and build " +
		"with the tag tokenizers (`make prompts` does both), or use -tokenize=http://HOST:PORT of an engine that serves the model")
	// ErrText is returned for a text that no tokenizer takes as it is: see [Tokenizer].
	ErrText = errors.New("not valid UTF-8, or holds a NUL")
)

// An Option changes how Open and Remote tokenize.
type Option func(*options)

type options struct{ special bool }

// WithSpecial has Encode and Count add the special tokens that the tokenizer puts around a prompt.
func WithSpecial() Option { return func(o *options) { o.special = true } }

func apply(opts []Option) (o options) {
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// New opens what a command's flags name: the tokenizer.json at path, or the engine at url. Exactly one of them must be
// given.
func New(path, url string, opts ...Option) (Tokenizer, error) {
	switch {
	case path != "" && url != "":
		return nil, errors.New("-tokenizer and -tokenize are both given: use one")
	case path != "":
		return Open(path, opts...)
	case url != "":
		return Remote(url, opts...)
	}
	return nil, errors.New("no tokenizer: give -tokenizer=tokenizer.json, or -tokenize=http://HOST:PORT of an engine that serves the model")
}

// checkText refuses what C strings and the tokenizers would change in silence: a C string ends at its first NUL, and
// bytes that are not UTF-8 become U+FFFD.
func checkText(text string) error {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return fmt.Errorf("encode a text of %d bytes: %w", len(text), ErrText)
	}
	return nil
}
