package prompts

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the goldens in testdata")

// list returns n prompts of 4, 5, 6, … tokens.
func list(n int) []Prompt {
	ps := make([]Prompt, n)
	for i := range ps {
		p := Prompt{ID: fmt.Sprintf("p%d", i), Text: fmt.Sprintf("text %d <&> \u2028", i)}
		for j := range 4 + i {
			p.Tokens = append(p.Tokens, int32(1000*i+j))
		}
		ps[i] = p
	}
	return ps
}

func written(t testing.TB, ps []Prompt) string {
	t.Helper()
	var b bytes.Buffer
	_, err := Write(&b, map[string]string{"seed": "42", "from": "ShareGPT"}, ps)
	require.NoError(t, err)
	return b.String()
}

// The format is read by programs of other versions: its bytes, and so the hashes, must not change.
func TestFileGolden(t *testing.T) {
	path := filepath.Join("testdata", "three.jsonl")
	got := written(t, list(3))
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)

	pool, err := Load(path)
	require.NoError(t, err)
	require.Equal(t, list(3), pool.prompts)
	require.Equal(t, 3, pool.Len())
	require.Equal(t, int32(2005), pool.MaxToken())
	require.Contains(t, strings.SplitN(got, "\n", 2)[0], `"hash":"`+pool.Hash()+`"`)
	// 4, 5 and 6 tokens: mean (4+5+6)/3
	require.Equal(t, Lengths{Min: 4, Max: 6, Median: 5, Mean: 5}, pool.Lengths())
	require.Equal(t, "3 prompts, 4 to 6 tokens (median 5, mean 5.0), hash "+pool.Hash(), pool.Describe())
}

func TestFileSpellingDoesNotMatter(t *testing.T) {
	file := written(t, list(3))
	want, err := Read(strings.NewReader(file))
	require.NoError(t, err)
	for _, same := range []string{
		strings.ReplaceAll(file, "\n", "\r\n"),
		strings.ReplaceAll(file, `":`, `": `),
		strings.ReplaceAll(file, "<", `\u003c`),
		strings.TrimSuffix(file, "\n"),
		strings.Replace(file, `"from":"ShareGPT",`, "", 1),
	} {
		got, err := Read(strings.NewReader(same))
		require.NoError(t, err)
		require.Equal(t, want.Hash(), got.Hash())
	}
}

func TestReadNamesTheLineThatIsWrong(t *testing.T) {
	lines := strings.SplitAfter(written(t, list(4)), "\n")[:5] // a header and four prompts
	edit := func(f func(l []string) []string) string { return strings.Join(f(slices.Clone(lines)), "") }
	replace := func(i int, old, new string) string {
		require.Contains(t, lines[i], old)
		return edit(func(l []string) []string { l[i] = strings.Replace(l[i], old, new, 1); return l })
	}
	whole := strings.Join(lines, "")
	for _, c := range []struct{ name, file, want string }{
		{"empty", "", "line 1: the file is empty"},
		{"no header", strings.Join(lines[1:], ""), "line 1: not the header of a prompts.jsonl"},
		{"not JSON", "hello\n", "line 1: not the header"},
		{"another version", replace(0, "prompts 1", "prompts 2"), `line 1: format "enginebench prompts 2": this program reads "enginebench prompts 1"`},
		{"no prompts", replace(0, `"count":4`, `"count":0`), "line 1: the header has a count of 0 prompts"},
		{"header's hash edited", replace(0, `"hash":"`, `"hash":"0`), "line 1: the header has hash"},
		{"broken line", replace(2, `"tokens":`, `"tokens"`), "line 3: not a prompt (invalid character"},
		{"wrong type", replace(2, `"id":"p1"`, `"id":1`), "line 3: not a prompt (json: cannot unmarshal number"},
		{"token edited", replace(2, "1001", "1009"), `line 3: prompt "p1" was changed`},
		{"text edited", replace(4, "text 3", "text 4"), `line 5: prompt "p3" was changed`},
		{"sum gone", replace(1, `"sum"`, `"mus"`), `line 2: prompt "p0" was changed`},
		{"line missing", edit(func(l []string) []string { return slices.Delete(l, 2, 3) }), `line 3: prompt "p2" was changed, or moved, or lines before it are missing`},
		{"lines swapped", edit(func(l []string) []string { l[1], l[2] = l[2], l[1]; return l }), `line 2: prompt "p1" was changed, or moved`},
		{"blank line", edit(func(l []string) []string { return slices.Insert(l, 3, " \n") }), "line 4: an empty line"},
		{"two files joined", whole + whole, "line 6: prompt \"\" was changed"},
		{"cut between lines", strings.Join(lines[:3], ""), "line 4: the file ends after 2 of 4 prompts, it was cut"},
		{"cut in a line", whole[:len(whole)-30], "line 5: cut off in the middle, after"},
		{"count too small", replace(0, `"count":4`, `"count":3`), "line 5: one more than the 3 prompts of the header"},
		{"too long", lines[0] + strings.Repeat("x", maxLine+1), "line 2: longer than 16 MiB"},
		{"header too long", strings.Repeat("x", maxLine+1), "line 1: longer than 16 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read(strings.NewReader(c.file))
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

// A cut anywhere is found: nothing that is left of a file passes for a whole one.
func TestEveryCutIsFound(t *testing.T) {
	file := strings.TrimSuffix(written(t, list(3)), "\n")
	for n := range len(file) {
		_, err := Read(strings.NewReader(file[:n]))
		require.Error(t, err, "after %d bytes", n)
	}
}

func TestReadErrorOfTheFileIsKept(t *testing.T) {
	file := written(t, list(3))
	_, err := Read(io.MultiReader(strings.NewReader(file[:len(file)-1]), errReader{}))
	require.ErrorIs(t, err, errBroken)
}

var errBroken = fmt.Errorf("the disk broke")

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errBroken }

func TestLoadOfNoFileSaysHowToMakeOne(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "prompts.jsonl"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "go tool prompts")
}

func TestUnsendablePromptsAreRefused(t *testing.T) {
	good := Prompt{ID: "a", Tokens: []int32{1, 2}, Text: "x"}
	for _, c := range []struct {
		want string
		ps   []Prompt
	}{
		{"a pool of no prompts", nil},
		{"prompt 1: it has no id", []Prompt{{Tokens: []int32{1}, Text: "x"}}},
		{`prompt 2: prompt "b" has no tokens`, []Prompt{good, {ID: "b", Text: "x"}}},
		{`prompt "b" has no text`, []Prompt{good, {ID: "b", Tokens: []int32{1}}}},
		{`prompt "b" is not valid UTF-8`, []Prompt{good, {ID: "b", Tokens: []int32{1}, Text: "\xff"}}},
		{`prompt "b" has the token id -7`, []Prompt{good, {ID: "b", Tokens: []int32{1, -7}, Text: "x"}}},
		{`prompt 2: the id "a" is there twice`, []Prompt{good, {ID: "a", Tokens: []int32{3}, Text: "y"}}},
		{`prompt "b" has the same tokens as "a"`, []Prompt{good, {ID: "b", Tokens: []int32{1, 2}, Text: "y"}}},
	} {
		_, err := New(c.ps)
		require.ErrorContains(t, err, c.want)
		var b bytes.Buffer
		_, err = Write(&b, nil, c.ps)
		require.ErrorContains(t, err, c.want)
		require.Zero(t, b.Len(), "nothing is written of prompts that are refused")
	}
}

// The example in the package comment is a file.
func TestManualsFileLoads(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	var file strings.Builder
	for l := range strings.Lines(string(doc)) {
		if body, ok := strings.CutPrefix(l, "//\t{"); ok {
			file.WriteString("{" + body)
		}
	}
	pool, err := Read(strings.NewReader(file.String()))
	require.NoError(t, err)
	require.Equal(t, 2, pool.Len())
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(written(f, list(3))))
	f.Add([]byte(`{"format":"enginebench prompts 1","count":1,"hash":""}` + "\n{}"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		pool, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		var again bytes.Buffer
		hash, err := Write(&again, nil, pool.prompts)
		require.NoError(t, err)
		require.Equal(t, pool.Hash(), hash, "what was read is written with the same hash")
		back, err := Read(&again)
		require.NoError(t, err)
		require.Equal(t, pool.prompts, back.prompts)
	})
}
