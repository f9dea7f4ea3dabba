// Package prompts holds what is sent: a Pool of prompts, and a Cursor that deals them out so that no measured prompt
// is ever sent twice to the same server.
//
// A prompt is token ids and the text they stand for. Engines that take ids all get the same ids; the text is for
// those that take nothing else.
//
// # Pools
//
// Open reads the value of the flag -prompts:
//
//	prompts.jsonl                    a file that the command tools/prompts made from ShareGPT or from a text file
//	prompts.jsonl?reuse=ok           the same; when it runs out, it starts again (and a warning says so)
//	prompts.jsonl?pass=2/6           the second of six equal parts: see below
//	synthetic:in=128                 made up, 128 tokens each, as many as are asked for
//	synthetic:in=64-256&ids=5-999    lengths evenly spread over 64 to 256, ids from 5 to 999
//
// Options follow a `?`, each after a `?` or a `&`; so a script can append `?pass=2/6` to any value.
//
// # The file
//
// One JSON object a line, so that a person can read it and other tools can write it. The first line is a header:
//
//	{"format":"enginebench prompts 1","count":2,"hash":"e1bdf944a1c9","made":{"from":"ShareGPT","seed":"42"}}
//	{"id":"a","tokens":[9906,1917],"text":"Hello world","sum":"bfc9561a"}
//	{"id":"b","tokens":[15339],"text":"hello","sum":"e1bdf944"}
//
// `made` says how, for people. The sums are a chain: each is a hash of its own line's id, tokens and text and of the
// chain so far, and the header's hash is the end of the chain. So a line that was changed, moved, added or taken out
// is found and named by its number, and so is a file that was cut. The spelling of the JSON is not part of it.
// For the hash see [Write].
//
// # Synthetic prompts
//
// Prompt i of a seed is computed from the seed, the lengths and i alone. Ids are drawn from 1000 to 29999 unless `ids`
// says otherwise: below the vocabulary of every common model (the smallest, Llama 2's, has 32000), and above the special
// and byte tokens that lie at the low end (Llama 2: 0 to 258, Gemma: 0 to 105, BERT: 0 to 103, Mistral's Tekken: 0 to 999);
// most others have theirs at the high end. No two prompts of a seed, and no two texts, agree in their first eight
// tokens or words, so no block of a prefix cache fits two of them.
//
// # No prompt twice
//
// An engine keeps what it computed for a prompt and answers faster when the prompt comes again (its prefix cache, KV
// reuse). A benchmark that repeats its prompts, by -count or by running twice, measures that cache. Therefore:
//
//   - A Cursor keeps a position for every engine. Each starts at the same place, so engines that are asked for the
//     same runs get the same prompts.
//   - Nothing is handed out twice. A pool that is used up is an error that says how many are needed, unless reuse=ok.
//   - Warm-up prompts come from a part of their own, the last tenth of a file, and are never measured. Among
//     themselves they repeat when there are more warm-up requests than that.
//   - A process cannot know what an earlier one has sent. So several passes over one server, each a process, say which
//     of how many they are (the option pass=K/N): pass K of N takes the K-th of N equal parts of the pool (synthetic pools
//     have an own, practically endless part for every K).
//
// The passes of a run before an upgrade and one after it then pair up: pass K has the same prompts in both. An engine
// that was not restarted between the two still knows them; a salt (vLLM's cache_salt, one an invocation) keeps it from
// answering from its cache. Triton has no salt: restart it, turn KV reuse off, or take another seed or file for
// numbers that are not meant to be compared prompt by prompt.
package prompts
