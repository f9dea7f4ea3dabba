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

# $(call passes,COUNT,OUT,command) runs a test binary COUNT times, a whole pass
# each, and puts lines and samples into OUT and its .samples. They are written
# beside, since a run that comes to nothing must not cost an earlier one: a
# pass in .pass, whole passes in .part. A pass that was interrupted, or could
# not do what was asked (exit code 2), ends the run. What such a run has
# measured becomes OUT only where there is none.
define passes
	[[ '$(1)' =~ ^[1-9][0-9]*$$ ]] || { echo 'make: COUNT=$(1): want a number of passes, at least 1' >&2; exit 2; }
	out='$(2)' samples='$(basename $(2)).samples' whole=0 failed=0 stop=
	mkdir -p "$$(dirname "$$out")"
	rm -rf "$$out.part" "$$samples.part"
	trap 'stop=130' INT TERM
	for pass in $$(seq $(1)); do
		rm -rf "$$out.pass" "$$samples.pass"
		code=0
		$(3) | tee -i "$$out.pass" || code=$$?
		[ $$code = 0 ] || failed=$$code
		[ $$code -le 1 ] || { stop=$$code; break; }
		sed '/^# command: /s/\.samples\.pass/.samples/' "$$out.pass" >> "$$out.part"
		[ ! -d "$$samples.pass" ] || { mkdir -p "$$samples.part"; find "$$samples.pass" -type f -exec mv {} "$$samples.part" ';'; }
		rm -rf "$$out.pass" "$$samples.pass"
		whole=$$pass
		[ -z "$$stop" ] || [ $$pass = $(1) ] || { failed=$$stop; break; }
	done
	[ $$whole != $(1) ] || stop=
	[ -s "$$out.pass" ] || rm -rf "$$out.pass" "$$samples.pass"
	[ ! -e "$$out.pass" ] || echo "make: pass $$pass was cut short: what it had measured is in $$out.pass" >&2
	if ! grep -qsE '^Benchmark[^[:space:]]+[[:space:]]+[0-9]+[[:space:]]' "$$out.part"; then
		[ ! -e "$$out" ] || echo "make: no whole pass has a result: $$out and its samples are as they were" >&2
	elif [ -n "$$stop" ] && [ -e "$$out" ]; then
		echo "make: $$whole of $(1) passes are whole, in $$out.part and $$samples.part; $$out and its samples are as they were" >&2
	else
		[ -z "$$stop" ] || echo "make: $$whole of $(1) passes are whole, in $$out" >&2
		rm -rf "$$samples"
		[ ! -d "$$samples.part" ] || mv "$$samples.part" "$$samples"
		mv "$$out.part" "$$out"
	fi
	[ $$failed = 0 ] || exit $$failed
endef

# $(call report,RUN.txt,DIRECTORY,flags) reports a run with the samples beside
# it. What can't be reported does not cost the report that is there, and no
# plot of an earlier one stays. It is tried first and not moved into place, as a
# report names the command that wrote it.
define report
	set -- $(3) '$(1)'
	[ ! -d '$(basename $(1)).samples' ] || set -- -samples='$(basename $(1)).samples' "$$@"
	go tool report "$$@" > /dev/null
	rm -rf '$(2)'
	go tool report -o='$(2)' "$$@"
endef

.PHONY: bench
bench: ## replay the recordings, print the benchmark lines, write results/report
	@mkdir -p results
	go test -c -o results/recorded.test .
	$(call passes,1,results/bench.txt,./results/recorded.test -test.bench=. -samples=results/bench.samples.pass $(FLAGS))
	$(call report,results/bench.txt,results/report,) > /dev/null
	echo "report: results/report/report.html and report.md" >&2

.PHONY: test
test: ## all tests
	go test ./...

.PHONY: live
live: ## measure live engines: OUT=run.txt COUNT=6 ENGINES="vllm=http://… triton=grpc://…" PROMPTS=prompts.jsonl FLAGS=…
	@mkdir -p results
	go test -c -tags=live -o results/live.test .
	$(call passes,$(COUNT),$(OUT),./results/live.test -test.bench='$(BENCH)' $(foreach e,$(ENGINES),-engine='$(e)') \
		-prompts='$(PROMPTS)' -pass=$$pass/$(COUNT) -samples=$(basename $(OUT)).samples.pass $(RECORDING) $(FLAGS))

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
report: ## write a report of IN=run.txt to run.report
	@[ -n "$(IN)" ] || { echo 'make report: say IN=run.txt' >&2; exit 2; }
	$(call report,$(IN),$(basename $(IN)).report,$(FLAGS))

.PHONY: tokenizers
tokenizers: ## build the tokenizer library from its module's source, with cargo
	go run ./tools/tokenizer/build

.PHONY: servers servers-stop
servers: ## start a real vLLM and a real Triton on this machine (7 GB, no GPU)
	go tool servers install vllm triton
	go tool servers start vllm triton
servers-stop: ## stop what make servers started
	go tool servers stop

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
calibrate: ## find out how many chunks a second this machine's client takes; FLAGS=-print shows it
	go tool calibrate $(FLAGS)
proto: ## generate the code of Triton's messages
	./engines/triton/inference/generate.sh
