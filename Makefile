# enginebench: LLM serving engines, measured as Go benchmarks. `make help` lists what there is.
SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:

# What a run measures; each can be set on the command line.
OUT         ?= results/run.txt
COUNT       ?= 6
ENGINES     ?=
PROMPTS     ?= synthetic:in=128
FLAGS       ?=
BENCH       ?= Serve
RECORD      ?= results/recordings
TOKENIZE    ?=
TOKENIZER   ?=
SHAREGPT    ?=
# Seven levels send 1397 requests, and a tenth of the prompts is for warm-up:
# 1600 are enough for one pass, and six passes want six times as many.
N           ?= 9400
ROW         := .name /engine /concurrency /wave /rate
TABLE       := load prompts output-tokens

# The tokenizer is the one thing that needs cgo. Where its library was built,
# by make tokenizers, the tools that can use it are built with it.
LDFLAGS_TOKENIZERS = $(shell go run ./tools/tokenizer/build -print-ldflags 2>/dev/null)
WITH_TOKENIZERS    = $(if $(LDFLAGS_TOKENIZERS),CGO_ENABLED=1 CGO_LDFLAGS='$(LDFLAGS_TOKENIZERS)' go run -tags=tokenizers,go run)

.PHONY: help
help: ## list the targets
	@grep -E '^[a-z][a-z -]*:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z -]+):.*## (.*)/  \1\t\2/' | expand -t 18

.PHONY: bench
bench: ## replay the recordings, print the benchmark lines, write results/report
	@mkdir -p results
	rm -rf results/samples results/report
	go test -c -o results/recorded.test .
	./results/recorded.test -test.run='^$$' -test.bench=. -samples=results/samples $(FLAGS) | tee -i results/bench.txt
	go tool report -samples results/samples -o results/report results/bench.txt > /dev/null
	echo "report: results/report/report.html and report.md" >&2

.PHONY: test
test: ## all tests
	go test ./...

.PHONY: live
live: ## measure live engines: OUT=run.txt COUNT=6 ENGINES="vllm=http://… triton=grpc://…" PROMPTS=prompts.jsonl FLAGS=…
	@mkdir -p $(dir $(OUT)) results
	rm -rf $(basename $(OUT)).samples
	go test -c -tags=live -o results/live.test .
	: > $(OUT).part
	failed=0
	for pass in $$(seq $(COUNT)); do
		./results/live.test -test.run='^$$' -test.bench='$(BENCH)' $(foreach e,$(ENGINES),-engine='$(e)') \
			-prompts='$(PROMPTS)' -pass=$$pass/$(COUNT) -samples=$(basename $(OUT)).samples $(RECORDING) $(FLAGS) | tee -ia $(OUT).part || failed=$$?
		[ $$failed -lt 128 ] || break
	done
	mv $(OUT).part $(OUT) # also after a failure: what was measured is kept
	exit $$failed

.PHONY: record
record: ## record live engines into RECORD=directory; otherwise as live, one pass
	@$(MAKE) --no-print-directory live COUNT=1 OUT=results/record.txt RECORDING='-record=$(RECORD)'

.PHONY: prompts
prompts: ## make prompts.jsonl: SHAREGPT=file.json and TOKENIZER=tokenizer.json or TOKENIZE=http://host:8000
	@[ -n "$(SHAREGPT)" ] && [ -n "$(TOKENIZER)$(TOKENIZE)" ] || { echo 'make prompts: say SHAREGPT=file.json, and TOKENIZER=tokenizer.json or TOKENIZE=http://host:8000' >&2; exit 2; }
	$(WITH_TOKENIZERS) ./tools/prompts -sharegpt='$(SHAREGPT)' $(if $(TOKENIZER),-tokenizer='$(TOKENIZER)',-tokenize='$(TOKENIZE)') -n=$(N) $(FLAGS) -o prompts.jsonl

.PHONY: compare
compare: ## compare two runs: OLD=a.txt NEW=b.txt
	@[ -n "$(OLD)" ] && [ -n "$(NEW)" ] || { echo 'make compare: say OLD=a.txt NEW=b.txt' >&2; exit 2; }
	go tool benchstat -table '$(TABLE)' -row '$(ROW)' '$(OLD)' '$(NEW)'
	go tool gate $(FLAGS) '$(OLD)' '$(NEW)'

.PHONY: report
report: ## write a report of IN=run.txt to results/report
	@[ -n "$(IN)" ] || { echo 'make report: say IN=run.txt' >&2; exit 2; }
	go tool report $(if $(wildcard $(basename $(IN)).samples),-samples $(basename $(IN)).samples) -o results/report $(FLAGS) '$(IN)'

.PHONY: tokenizers
tokenizers: ## build the tokenizer library from its module's source, with cargo
	go run ./tools/tokenizer/build

.PHONY: servers servers-stop
servers: ## start a real vLLM and a real Triton on this machine (7 GB, no GPU)
	go run ./tools/servers install vllm triton
	go run ./tools/servers start vllm triton
servers-stop: ## stop what make servers started
	go run ./tools/servers stop

.PHONY: fmt vet race fuzz soak bench-client calibrate proto
fmt: ## fail if a file is not formatted
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not gofmt-ed: $$unformatted" >&2; exit 1; }
vet: ## vet each set of build tags
	go vet ./...
	go vet -tags=live ./...
	go vet -tags=tokenizers ./tools/...
race: ## all tests under the race detector
	go test -race ./...
FUZZTIME ?= 20s
fuzz: ## each fuzz target for FUZZTIME=20s
	@for pkg in $$(grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u); do
		for target in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]+' $$pkg/*_test.go | awk '{print $$2}'); do
			echo "$$pkg $$target"
			go test -run='^$$' -fuzz="^$$target\$$" -fuzztime=$(FUZZTIME) $$pkg
		done
	done
SOAK ?= 10m
soak: ## mixed faults at concurrency 64 for SOAK=10m
	go test ./workload/faults -run=Soak -timeout=0 -v -soak=$(SOAK)
bench-client: ## the client itself: what it reports against the ground truth, and what a chunk costs it
	go test -run='^$$' -bench='Chunk|Send|Decode' ./engines/...
	go test -run='^$$' -bench='Truth|Client' -benchtime=1x -count=3 ./workload/truth
calibrate: ## find out how many chunks a second this machine's client takes
	go tool calibrate
proto: ## generate the code of Triton's messages
	./engines/triton/inference/generate.sh
