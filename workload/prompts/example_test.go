package prompts_test

import (
	"fmt"
	"os"

	"enginebench/workload/prompts"
)

func ExampleWrite() {
	hash, err := prompts.Write(os.Stdout, map[string]string{"from": "ShareGPT", "seed": "42"}, []prompts.Prompt{
		{ID: "a", Tokens: []int32{9906, 1917}, Text: "Hello world"},
		{ID: "b", Tokens: []int32{15339}, Text: "hello"},
	})
	fmt.Println(hash, err)
	// Output:
	// {"format":"enginebench prompts 1","count":2,"hash":"e1bdf944a1c9","made":{"from":"ShareGPT","seed":"42"}}
	// {"id":"a","tokens":[9906,1917],"text":"Hello world","sum":"bfc9561a"}
	// {"id":"b","tokens":[15339],"text":"hello","sum":"e1bdf944"}
	// e1bdf944a1c9 <nil>
}

// Every engine gets the same prompts for the same run, and a run its own.
func ExampleCursor() {
	pool, err := prompts.Open("synthetic:in=16", 42)
	if err != nil {
		fmt.Println(err)
		return
	}
	cursor := prompts.NewCursor(pool)
	for _, engine := range []string{"triton", "vllm"} {
		for range 2 { // runs
			ps, err := cursor.Take(engine, 2)
			if err != nil {
				fmt.Println(err)
				return
			}
			fmt.Println(engine, ps[0].ID, ps[1].ID, ps[0].Tokens[:3])
		}
	}
	// Output:
	// triton s1-0 s1-1 [10279 5738 26707]
	// triton s1-2 s1-3 [21811 26144 7420]
	// vllm s1-0 s1-1 [10279 5738 26707]
	// vllm s1-2 s1-3 [21811 26144 7420]
}
