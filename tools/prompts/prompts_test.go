package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"enginebench/tools/tokenizer"
	"enginebench/workload"
	"enginebench/workload/prompts"
)

var update = flag.Bool("update", false, "rewrite the goldens in testdata/script")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"prompts": main})
}

// wordServer is an engine whose tokens are words, and 1 before the first. A prompt that says so breaks it.
func wordServer(t testing.TB) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /tokenize", func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Prompt  string `json:"prompt"`
			Special bool   `json:"add_special_tokens"`
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		ids := []int32{}
		if q.Special {
			ids = append(ids, 1)
		}
		for _, word := range strings.Fields(strings.ToLower(q.Prompt)) {
			h := fnv.New32a()
			h.Write([]byte(word))
			ids = append(ids, 1000+int32(h.Sum32()%20000))
		}
		if strings.Contains(q.Prompt, "breaks the engine") {
			http.Error(w, "out of memory", http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"count": len(ids), "tokens": ids})
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

// Regenerate the goldens with: go test ./tools/prompts -update
func TestScripts(t *testing.T) {
	engine := wordServer(t)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Condition: func(cond string) (bool, error) {
			if cond != "tokenizers" {
				return false, fmt.Errorf("unknown condition %s", cond)
			}
			_, err := tokenizer.Open("none")
			return !errors.Is(err, tokenizer.ErrNotBuilt), nil
		},
		Setup: func(env *testscript.Env) error {
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>hello</html>") }))
			env.Defer(web.Close)
			none := httptest.NewServer(http.NotFoundHandler())
			env.Defer(none.Close)
			gone := httptest.NewServer(nil)
			gone.Close()
			env.Setenv("ENGINE", engine)
			env.Setenv("WEBSITE", web.URL)
			env.Setenv("NOTOKENIZE", none.URL)
			env.Setenv("GONE", gone.URL)
			data, err := os.ReadFile(filepath.Join("testdata", "conversations.json"))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(env.WorkDir, "conversations.json"), data, 0o644)
		},
	})
}

// scanned is what a scan found.
type scanned struct {
	id, text string
	why      reason
}

// scanAll scans data and checks that what a scan says of a record is what reading it again gives.
func scanAll(t testing.TB, k kind, data []byte) ([]scanned, error) {
	t.Helper()
	var out []scanned
	err := k.scan(bytes.NewReader(data), func(e extent, c candidate, why reason) {
		require.LessOrEqual(t, e.offset+int64(e.length), int64(len(data)))
		again, whyAgain := k.parse(data[e.offset:e.offset+int64(e.length)], int(e.ordinal))
		require.Equal(t, why, whyAgain)
		require.Equal(t, c, again)
		out = append(out, scanned{c.id, c.text, why})
	})
	return out, err
}

func TestShareGPTRecords(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "conversations.json"))
	require.NoError(t, err)
	got, err := scanAll(t, sharegpt{}, data)
	require.NoError(t, err)
	var whys []reason
	var ids []string
	for _, r := range got {
		whys = append(whys, r.why)
		if r.why == "" {
			ids = append(ids, r.id)
		}
	}
	require.Equal(t, []string{"plain_0", "derived", "17", "#5", "accents", "twice", "short", "long", "letters"}, ids)
	require.Equal(t, []reason{"", notHumanFirst, "", "", "", "", "", "", "", notHumanFirst, blank, noConversation, oneTurn, holdsNUL, noConversation, "", noConversation}, whys)
	require.Equal(t, "Übersetze: \"Der Zug fährt um halb neun ab.\" <br> 火车 🚂 \ufffd end", got[5].text, "half a surrogate pair is U+FFFD")
}

func TestShareGPTBadInput(t *testing.T) {
	one := `{"id":"a","conversations":[{"from":"human","value":"hello"},{"from":"gpt","value":"you"}]}`
	for _, c := range []struct{ name, file, want string }{
		{"white space", " \n ", "nothing but white space"},
		{"a web page", "<html>", "not JSON: invalid character '<'"},
		{"an object", `{"a":1}`, "JSON, but not an array of conversations"},
		{"a string", `"hello"`, "JSON, but not an array of conversations"},
		{"another array", `[1,2,{"text":"x"}]`, "a JSON array of 3 elements, but none is a conversation"},
		{"an empty array", `[]`, "a JSON array of 0 elements, but none is a conversation"},
		{"two arrays", "[" + one + "][" + one + "]", "something follows the array of 1 conversations at byte 93"},
		{"no comma", "[" + one + one + "]", "not JSON, in what follows conversation 1 at byte 91"},
		{"a broken record", "[" + one + ",{id:1}]", "not JSON, in what follows conversation 1 at byte 91: invalid character 'i'"},
		{"a cut value", `"hel`, "cut off at byte 4: the 0 conversations"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := scanAll(t, sharegpt{}, []byte(c.file))
			require.ErrorContains(t, err, c.want)
		})
	}
}

// Wherever a file is cut: it is said at which byte, and no whole conversation before that is lost.
func TestEveryCutOfShareGPTIsFound(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "conversations.json"))
	require.NoError(t, err)
	data = bytes.TrimSpace(data)
	all, err := scanAll(t, sharegpt{}, data)
	require.NoError(t, err)
	for n := 1; n < len(data); n++ {
		got, err := scanAll(t, sharegpt{}, data[:n])
		var cut *cutError
		require.ErrorAs(t, err, &cut, "after %d bytes", n)
		require.Equal(t, int64(n), cut.at)
		require.Len(t, got, cut.whole)
		require.Equal(t, all[:cut.whole], append([]scanned{}, got...))
		require.LessOrEqual(t, cut.end, cut.at)
	}
}

func TestRecordThatWouldFillTheMemoryIsRefused(t *testing.T) {
	endless := func(start string) io.Reader {
		return io.MultiReader(strings.NewReader(start), repeat("x"))
	}
	nothing := func(extent, candidate, reason) {}
	require.ErrorContains(t, sharegpt{}.scan(endless(`[{"id":"`), nothing), "after 0 conversations, at byte 1: a record is longer than 16 MiB")
	require.ErrorContains(t, sharegpt{}.scan(endless(`"`), nothing), "not an array of conversations")
	require.ErrorContains(t, text{}.scan(endless("a\n"), nothing), "line 2: a record is longer than 16 MiB")
	require.ErrorContains(t, text{paragraphs: true}.scan(io.MultiReader(strings.NewReader("a\n"), repeat(strings.Repeat("x", 999)+"\n")), nothing), "a record is longer than 16 MiB")
}

// repeat reads as s, for ever.
type repeat string

func (s repeat) Read(p []byte) (int, error) {
	n := copy(p, s)
	for n < len(p) {
		n += copy(p[n:], p[:n]) // doubles what is there
	}
	return n, nil
}

func TestTextRecords(t *testing.T) {
	file := "\ufeffone\r\n\r\n two  \nthree\n \t\nbad \xff\nfour"
	for _, c := range []struct {
		k    text
		want []scanned
	}{
		{text{}, []scanned{
			{"line-1", "one", ""}, {"line-3", " two  ", ""}, {"line-4", "three", ""}, {"", "", notUTF8}, {"line-7", "four", ""},
		}},
		{text{paragraphs: true}, []scanned{
			{"line-1", "one", ""}, {"line-3", " two  \nthree", ""}, {"", "", notUTF8},
		}},
	} {
		got, err := scanAll(t, c.k, []byte(file))
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
	for _, none := range []string{"\n\n", "\xff\n", "\x00\x01\x02"} {
		_, err := scanAll(t, text{}, []byte(none))
		require.ErrorContains(t, err, "there is no text in it")
	}
}

func TestFilterBounds(t *testing.T) {
	f := filter{min: 4, max: 1024, total: 2048, output: 1100}
	require.NoError(t, f.check())
	for tokens, want := range map[int]reason{
		3: tooShort, 4: "", 948: "", // 948 + 1100 = 2048
		949: overTotal, 1024: overTotal, 1025: tooLong,
	} {
		require.Equal(t, want, f.judge(tokens), tokens)
	}
	for want, bad := range map[string]filter{
		"-min-prompt=0":                          {0, 5, 9, 1},
		"-max-prompt=3 is less":                  {4, 3, 9, 1},
		"-output-tokens=0":                       {4, 5, 9, 0},
		"-output-tokens=6 leaves no room for a ": {4, 5, 9, 6},
	} {
		require.ErrorContains(t, bad.check(), want)
	}
}

// A larger -n keeps what a smaller one chose, another seed chooses others, and no more is tokenized than is needed.
func TestChoiceIsSeededAndLazy(t *testing.T) {
	tok, err := tokenizer.Remote(wordServer(t))
	require.NoError(t, err)
	big := &generated{records: 500, answer: 10}
	pick := func(seed uint64, n int) (string, tally) {
		in := big.input()
		all, err := in.scan(seed, &progress{})
		require.NoError(t, err)
		ps, tally, err := choose(in, all, tok, filter{min: 4, max: 1024, total: 2048, output: 1}, n, &progress{})
		require.NoError(t, err)
		require.Len(t, ps, n)
		var ids []string
		for _, p := range ps {
			ids = append(ids, p.ID)
		}
		return strings.Join(ids, " "), tally
	}
	ten, tally := pick(42, 10)
	require.Equal(t, 500, tally.read)
	require.Equal(t, 10, tally.tokenized)
	twenty, _ := pick(42, 20)
	require.True(t, strings.HasPrefix(twenty, ten+" "))
	other, _ := pick(43, 10)
	require.NotEqual(t, ten, other)
}

// What differs as text and not as tokens is the same to an engine.
func TestPromptsOfTheSameTokensAreTakenOnce(t *testing.T) {
	tok, err := tokenizer.Remote(wordServer(t)) // folds case
	require.NoError(t, err)
	file := []byte("Go up the big Hill\nGO up the BIG hill\nGo up the big Hill\n")
	in := newInput(text{}, bytes.NewReader(file), "file", int64(len(file)))
	all, err := in.scan(1, &progress{})
	require.NoError(t, err)
	_, _, err = choose(in, all, tok, filter{min: 4, max: 1024, total: 2048, output: 1}, 2, &progress{})
	require.ErrorContains(t, err, "only 1 of the 3 lines read pass the filter, and -n=2 were asked for (left out: 2 there already)")
}

func TestFileThatChangesWhileReadIsAnError(t *testing.T) {
	in := (&generated{records: 5, answer: 1}).input()
	all, err := in.scan(1, &progress{})
	require.NoError(t, err)
	in.file = bytes.NewReader(make([]byte, 1<<20))
	_, err = in.fetch(all[0].extent)
	require.ErrorContains(t, err, "the file changed while it was read")
}

// generated is a ShareGPT file of any size that is not in memory: every record has the same length, so that any of it can be
// made at any time.
type generated struct {
	records, answer int // and words of each answer
	at              int64
}

func (g *generated) record(i int) string {
	r := rand.New(rand.NewPCG(uint64(i), 1))
	return fmt.Sprintf(`,{"id":"id%09d","conversations":[{"from":"human","value":"Question %09d about %09d and so on"},{"from":"gpt","value":"%s"}]}`,
		i, i, r.IntN(1e9), strings.Repeat("answer ", g.answer))
}

func (g *generated) size() int64 { return int64(len(g.record(0))*g.records) + 1 }

// ReadAt makes "[", the records without the first comma's place lost (it is a blank), and "]".
func (g *generated) ReadAt(p []byte, off int64) (int, error) {
	length := int64(len(g.record(0)))
	n := 0
	for n < len(p) {
		pos := off + int64(n)
		switch i := pos / length; {
		case pos == g.size()-1:
			p[n] = ']'
			n++
		case pos >= g.size():
			return n, io.EOF
		default:
			rec := []byte(g.record(int(i)))
			if i == 0 {
				rec[0] = '['
			}
			n += copy(p[n:], rec[pos%length:])
		}
	}
	return n, nil
}

func (g *generated) Read(p []byte) (int, error) {
	n, err := g.ReadAt(p, g.at)
	g.at += int64(n)
	return n, err
}

func (g *generated) input() *input {
	c := *g
	return newInput(sharegpt{}, &c, "generated", g.size())
}

// peakHeap scans and chooses, and returns the most that was held on the heap beyond what was before, in bytes.
func peakHeap(t testing.TB, g *generated, tok tokenizer.Tokenizer) uint64 {
	t.Helper()
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, peak := m.HeapAlloc, uint64(0)
	in := g.input()
	in.kind = watched{in.kind, func(n int) {
		if n%1000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
	}}
	all, err := in.scan(42, &progress{})
	require.NoError(t, err)
	require.Len(t, all, g.records)
	_, _, err = choose(in, all, tok, filter{min: 4, max: 1024, total: 2048, output: 1}, 100, &progress{})
	require.NoError(t, err)
	runtime.GC()
	runtime.ReadMemStats(&m)
	runtime.KeepAlive(all)
	return max(peak, m.HeapAlloc) - min(before, peak)
}

// watched calls every record's number.
type watched struct {
	kind
	every func(n int)
}

func (w watched) scan(r io.Reader, found func(extent, candidate, reason)) error {
	return w.kind.scan(r, func(e extent, c candidate, why reason) {
		found(e, c, why)
		w.every(int(e.ordinal))
	})
}

func TestLargeFileIsNotHeldInMemory(t *testing.T) {
	tok, err := tokenizer.Remote(wordServer(t))
	require.NoError(t, err)
	large := &generated{records: 8_000, answer: 560} // about 4 kB each
	require.Greater(t, large.size(), int64(30<<20))
	require.Less(t, peakHeap(t, large, tok), uint64(4<<20), "a small part of the file")
}

// BenchmarkLargeFile reads as much as the whole ShareGPT file: 670 MB in 94 thousand conversations.
func BenchmarkLargeFile(b *testing.B) {
	tok, err := tokenizer.Remote(wordServer(b))
	require.NoError(b, err)
	large := &generated{records: 94_000, answer: 1000}
	b.SetBytes(large.size())
	for b.Loop() {
		b.ReportMetric(float64(peakHeap(b, large, tok))/1e6, "peak-live-heap-MB")
	}
}

func FuzzShareGPT(f *testing.F) {
	data, err := os.ReadFile(filepath.Join("testdata", "conversations.json"))
	require.NoError(f, err)
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Add([]byte(`[{"conversation":[{"role":"user","content":"x"},{}]},null,[],{"id":{}}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := scanAll(t, sharegpt{}, data)
		if err == nil {
			require.True(t, json.Valid(data), "what is accepted is JSON")
			var all []json.RawMessage
			require.NoError(t, json.Unmarshal(data, &all))
			require.Len(t, got, len(all), "every record is accounted for")
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add([]byte("one\r\n\r\ntwo\nthree"), true)
	f.Add([]byte("\ufeff\n"), false)
	f.Fuzz(func(t *testing.T, data []byte, paragraphs bool) {
		got, err := scanAll(t, text{paragraphs}, data)
		if err != nil {
			return
		}
		for _, r := range got {
			if !paragraphs {
				require.NotContains(t, r.text, "\n")
			}
		}
	})
}

// The benchmark's levels are 1, 2, 4, … 64 in flight, each with ten requests a slot to measure, and one a slot to start
// with: 10×127 + 127 = 1397. Of 1500 prompts 1350 are not warm-up, of 1600 1440.
func TestDefaultCountIsEnoughForOneDefaultPass(t *testing.T) {
	c, err := parseFlags([]string{"-text=questions.txt"}, io.Discard)
	require.NoError(t, err)
	pool := make([]prompts.Prompt, c.n)
	for i := range pool {
		pool[i] = prompts.Prompt{ID: fmt.Sprint(i), Text: fmt.Sprint("question ", i), Tokens: []int32{int32(i)}}
	}
	p, err := prompts.New(pool)
	require.NoError(t, err)
	sent := 0
	for _, level := range []int{1, 2, 4, 8, 16, 32, 64} {
		sent += workload.Shape{Concurrency: level, Requests: 10 * level}.Total()
	}
	require.Equal(t, 1397, sent)
	require.NoError(t, prompts.NewCursor(p).Check(sent))
}
