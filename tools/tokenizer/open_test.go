//go:build tokenizers

package tokenizer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// shipped returns the path of a tokenizer that the library's module carries for its own tests. They are other people's:
// found where go keeps the module, never copied.
func shipped(t testing.TB, name string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/daulet/tokenizers").Output()
	require.NoError(t, err)
	return filepath.Join(strings.TrimSpace(string(out)), "test", "data", name)
}

func open(t testing.TB, name string, opts ...Option) Tokenizer {
	t.Helper()
	tok, err := Open(shipped(t, name), opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tok.Close()) })
	return tok
}

const llama3 = "Meta-Llama-3-8B-Instruct.json"

func TestLlama3(t *testing.T) {
	plain, prompt := open(t, llama3), open(t, llama3, WithSpecial())
	require.True(t, strings.HasPrefix(plain.Identity(), "tokenizer.json sha256:"))

	// "Hello" is 9906 and " world" 1917 in Llama 3's ranks; <|begin_of_text|> is 128000
	ids, err := plain.Encode("Hello world")
	require.NoError(t, err)
	require.Equal(t, []int32{9906, 1917}, ids)
	ids, err = prompt.Encode("Hello world")
	require.NoError(t, err)
	require.Equal(t, []int32{128000, 9906, 1917}, ids)

	for _, text := range []string{"Hello world", "naïve 你好 🙂 12345678", "   a\n\n\tb  ", "<|eot_id|>"} {
		ids, err := plain.Encode(text)
		require.NoError(t, err)
		n, err := plain.Count(text)
		require.NoError(t, err)
		require.Equal(t, len(ids), n)
		back, err := plain.Decode(ids)
		require.NoError(t, err)
		require.Equal(t, text, back)
	}
	n, err := plain.Count("<|eot_id|>")
	require.NoError(t, err)
	require.Equal(t, 1, n, "a special token spelled out is that token")
	n, err = plain.Count("")
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestBadTextAndIDsAreErrorsNotEmptyResults(t *testing.T) {
	tok := open(t, llama3)
	for _, text := range []string{"before\x00after", "\xff"} {
		_, err := tok.Count(text)
		require.ErrorIs(t, err, ErrText)
	}
	_, err := tok.Decode([]int32{-1})
	require.ErrorContains(t, err, "negative")
	_, err = tok.Decode([]int32{1 << 30})
	require.ErrorContains(t, err, "outside its vocabulary of 128256")
	text, err := tok.Decode(nil)
	require.NoError(t, err)
	require.Empty(t, text)
}

// all-minilm-l6-v2.json asks for truncation to 128 tokens and padding to 128.
func TestLimitsInTheFileAreOff(t *testing.T) {
	tok := open(t, "all-minilm-l6-v2.json")
	for _, words := range []int{3, 500} {
		n, err := tok.Count(strings.Repeat("word ", words))
		require.NoError(t, err)
		require.Equal(t, words, n)
	}
}

func TestEncodeFromManyGoroutines(t *testing.T) {
	tok := open(t, llama3)
	var wg sync.WaitGroup
	counts := make([]int, 8)
	for i := range counts {
		wg.Go(func() { counts[i], _ = tok.Count(strings.Repeat("one two three ", 100)) })
	}
	wg.Wait()
	for _, n := range counts {
		require.Equal(t, counts[0], n)
		require.Greater(t, n, 299)
	}
}

func TestOpenRefusesWhatIsNoTokenizer(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ name, content, want string }{
		{"empty", "", "not a JSON object"},
		{"text", "hello", "not a JSON object"},
		{"config", `{"architectures":["LlamaForCausalLM"]}`, `has no "model"`},
		{"half", `{"model":{"type":"BPE"}`, "not a JSON object"},
		{"unknown model", `{"model":{"type":"XYZ"}}`, "want the tokenizer.json"},
	} {
		path := filepath.Join(dir, c.name)
		require.NoError(t, os.WriteFile(path, []byte(c.content), 0o644))
		_, err := Open(path)
		require.ErrorContains(t, err, c.want, c.name)
		require.ErrorContains(t, err, path)
		require.NotContains(t, err.Error(), "\n")
	}
	_, err := Open(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func BenchmarkCount(b *testing.B) {
	tok := open(b, llama3)
	text := strings.Repeat("The quick brown fox jumps over the lazy dog. ", 100)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := tok.Count(text); err != nil {
			b.Fatal(err)
		}
	}
}
