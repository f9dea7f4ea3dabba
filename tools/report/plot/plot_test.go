package plot_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"enginebench/tools/report/plot"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write golden files")

func series(names ...string) []plot.Series {
	var list []plot.Series
	for i, name := range names {
		s := plot.Series{Name: name, Color: i}
		for k, x := range []float64{1, 2, 4, 8, 16, 32, 64} {
			y := x * float64(60-5*i-2*k)
			s.Points = append(s.Points, plot.Point{X: x, Label: fmt.Sprint(x), Y: y, Lo: y * 0.95, Hi: y * 1.05})
		}
		list = append(list, s)
	}
	return list
}

// all is every kind of figure.
func all(style plot.Style, s []plot.Series) []plot.Figure {
	return []plot.Figure{
		plot.Throughput(style, "throughput", "Throughput", "Concurrency", "tokens/s", s),
		plot.Lines(style, "ttft", "TTFT", "Concurrency", "ms", s),
		plot.Scaling(style, "scaling", "Scaling", "Concurrency", s),
		plot.Tradeoff(style, "tradeoff", "TTFT against throughput", "tokens/s", "ms", s),
		plot.CDF(style, "cdf", "TTFT", "ms", s),
		plot.Timeline(style, "timeline", "Over time", []plot.Panel{{Title: "In flight", Unit: "requests", Seconds: 64, Series: s}, {Title: "Tokens", Unit: "tokens/s", Seconds: 64, Series: s}}),
		plot.Dashboard(style, "dashboard", plot.Overview{Title: "Dashboard", Levels: "Concurrency", Throughput: s, TTFT: s, ThroughputUnit: "tokens/s", TTFTUnit: "ms",
			ThroughputTitle: "Throughput", TTFTTitle: "TTFT", Scalings: "Scaling", WinnersTitle: "Ahead", Winners: [][]string{{"c", "who"}, {"1", "vLLM +7.6%"}}}),
	}
}

func TestFiguresAreDeterministic(t *testing.T) {
	once, again := all(plot.Style{}, series("a", "b")), all(plot.Style{}, series("a", "b"))
	for i := range once {
		require.Equal(t, string(once[i].SVG()), string(again[i].SVG()), once[i].Name)
		if i > 0 && i < len(once)-1 {
			continue // drawn by the same code; pixels take their time
		}
		first, err := once[i].PNG()
		require.NoError(t, err)
		second, err := again[i].PNG()
		require.NoError(t, err)
		require.True(t, bytes.Equal(first, second), once[i].Name)
	}
}

func TestPNGIsSharp(t *testing.T) {
	f := all(plot.Style{}, series("a", "b"))[0]
	image, err := f.PNG()
	require.NoError(t, err)
	decoded, err := png.Decode(bytes.NewReader(image))
	require.NoError(t, err)
	require.Equal(t, int(f.Width.Dots(144)+0.5), decoded.Bounds().Dx())
}

func TestThroughputGolden(t *testing.T) {
	got := all(plot.Style{}, series("Triton TRT-LLM", "vLLM Server"))[0].SVG()
	path := filepath.Join("testdata", "throughput.golden.svg")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run with -update to make it")
	require.Equal(t, string(want), string(got))
}

// text collects what an SVG writes, and checks that it is well-formed.
func text(t *testing.T, svg string) (texts []string) {
	d := xml.NewDecoder(strings.NewReader(svg))
	inText := false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return texts
		}
		require.NoError(t, err)
		switch token := token.(type) {
		case xml.StartElement:
			inText = token.Name.Local == "text"
		case xml.CharData:
			if inText {
				texts = append(texts, string(token))
			}
		case xml.EndElement:
			inText = false
		}
	}
}

func TestFiguresSayWhatTheyShow(t *testing.T) {
	for _, f := range all(plot.Style{}, series("Triton <TRT> & co", "vLLM Server")) {
		texts := text(t, string(f.SVG()))
		if f.Name != "timeline" { // whose panels have one engine each
			require.Contains(t, texts, "Triton <TRT> & co", f.Name)
		}
	}
	texts := text(t, string(all(plot.Style{}, series("a", "b"))[0].SVG()))
	require.Contains(t, texts, "60.0", "the value of the first bar") // 1 × 60
	require.Contains(t, texts, "64", "a level")
	require.Contains(t, texts, "Throughput (tokens/s)")
}

func TestLogScaleWhereTheRangeAsksForIt(t *testing.T) {
	line := func(y ...float64) []plot.Series {
		s := plot.Series{Name: "a"}
		for i, v := range y {
			s.Points = append(s.Points, plot.Point{X: float64(i + 1), Label: fmt.Sprint(i + 1), Y: v, Lo: v, Hi: v})
		}
		return []plot.Series{s}
	}
	title := func(s []plot.Series) []string {
		return text(t, string(plot.Lines(plot.Style{}, "ttft", "TTFT", "c", "ms", s).SVG()))
	}
	require.Contains(t, title(line(16, 4800)), "TTFT (ms, log scale)")
	require.Contains(t, title(line(16, 400)), "TTFT (ms)")
	require.Contains(t, title(line(0, 400)), "TTFT (ms)", "0 has no logarithm")
}

func TestColors(t *testing.T) {
	svg := string(all(plot.Style{Palette: plot.Palettes["seed"]}, series("a", "b"))[0].SVG())
	require.Contains(t, svg, "#76B900")
	require.Contains(t, svg, "#FF6B6B")
	svg = string(all(plot.Style{}, series("a", "b"))[0].SVG())
	require.Contains(t, svg, "#0072B2")
	require.Contains(t, svg, "#D55E00")
}

func TestInlineFitsItsPage(t *testing.T) {
	for _, f := range all(plot.Style{Inline: true}, series("a", "b")) {
		svg := f.Inline()
		require.True(t, strings.HasPrefix(svg, "<svg "), f.Name)
		require.NotContains(t, svg, "#000000", "black is the page's colour")
		require.NotContains(t, svg, "#FFFFFF", "no background")
		head, _, _ := strings.Cut(svg, ">")
		require.Contains(t, head, "viewBox=")
		require.NotContains(t, head, "width=")
		text(t, svg)
	}
}

// Nothing, one value, zeros, many engines: no panic, and a picture.
func TestFiguresOfOddData(t *testing.T) {
	point := func(x, y float64) plot.Series {
		return plot.Series{Name: "a", Points: []plot.Point{{X: x, Label: fmt.Sprint(x), Y: y, Lo: y, Hi: y}}}
	}
	for name, s := range map[string][]plot.Series{
		"nothing": nil,
		"empty":   {{Name: "a"}},
		"one":     {point(1, 5)},
		"zero":    {point(0, 0)},
		"tiny":    {point(1, 1e-9), point(2, 1e9)},
		"many":    series("a", "b", "c", "d", "e", "f", "g", "h"),
	} {
		for _, f := range all(plot.Style{}, s) {
			text(t, string(f.SVG()))
			require.Contains(t, string(f.SVG()), "<svg", "%s %s", name, f.Name)
		}
	}
}

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{0: "0.00", 1.234: "1.23", 61.55: "61.5", 9.996: "10.0", 99.96: "100", 1349.38: "1349", 9999.4: "9999", 15264.84: "15.3k", 123456: "123k"} {
		require.Equal(t, want, plot.Short(v), v)
	}
}
