# Pamir: build, run, check.
GO        ?= go
# Tests that need Chromium, or psql, run where there is one.
TAGS      ?= invariants$(if $(shell command -v chromium),$(comma)browser)$(if $(shell command -v psql),$(comma)psql)
comma     := ,
FUZZTIME  ?= 30s
export CGO_CFLAGS ?= -O2 -w

.PHONY: build run test race sim fuzz golden lint bench cluster clean

build:
	$(GO) build -o bin/pamir ./cmd/pamir

# A three-node cluster in one process, with data under pamir-data, a SQL shell
# and the dashboard's address.
run: build
	./bin/pamir demo --store=pamir-data

# Three processes on loopback; Ctrl-C stops them.
cluster: build
	./scripts/cluster.sh

test:
	$(GO) test -tags $(TAGS) -timeout 14m ./...

race:
	$(GO) test -race -tags $(TAGS) -timeout 60m $$($(GO) list ./... | grep -v -e sql/parse)

# Fault runs with real processes; longer than make test.
sim:
	$(GO) test -tags $(TAGS),soak -timeout 60m -count=1 ./cmd/pamir/...

fuzz:
	./scripts/fuzz.sh $(FUZZTIME)

golden:
	$(GO) test -tags $(TAGS) $$(grep -rlE 'datadriven|flag\.Bool\("rewrite"' --include=*_test.go kv raftgroup sql pkg | xargs -n1 dirname | sort -u | sed 's|^|./|') -args -rewrite

lint:
	@test -z "$$(gofmt -l cmd pkg sql kv raftgroup scripts)" || { gofmt -l cmd pkg sql kv raftgroup scripts; echo "run gofmt -w"; exit 1; }
	$(GO) vet -tags $(TAGS) ./...
	$(GO) tool staticcheck -tags $(TAGS) ./...
	$(GO) run ./scripts/lint

bench: build
	./scripts/bench.sh

clean:
	rm -rf bin pamir-data
