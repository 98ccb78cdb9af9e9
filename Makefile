# make test is all that must pass before a change lands; it installs what it
# needs if it may (see scripts/setup).

GO ?= go
FUZZ_RUNS ?= 20000

.PHONY: build test quick check setup poison many fuzz bench soak pgo update

build:
	$(GO) build -o tomoscrape ./cmd/tomoscrape

test: check fuzz poison many
	$(GO) test -race -count=1 -timeout 30m ./...

# The inner loop, in less than a minute where nothing else runs.
quick:
	$(GO) vet ./...
	$(GO) test -short ./...
	@echo "quick: left out are the race detector, fuzzing, poisoned memory, staticcheck, real servers (Zipkin, Cassandra, Jaeger, OpenTelemetry) and what takes seconds: make test has them"

check: setup
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then \
		echo "not formatted, run gofmt -w:" $$unformatted >&2; exit 1; fi
	$(GO) vet ./...
	GOOS=darwin $(GO) vet ./...
	$(GO) tool staticcheck ./...

setup:
	@scripts/setup

# The tests of what lends and borrows memory, with garbage written over all that is
# given back (internal/poison): what was kept of it shows at once. Real servers and
# the longest tests would tell nothing more.
poison: setup
	TOMOSCRAPE_REQUIRE_SERVERS= $(GO) test -tags poison -count=1 -short \
		./internal/poison ./internal/source ./parser ./tracejson ./assemble ./internal/follow ./internal/record ./internal/replay ./internal/tail ./export ./export/terminal ./export/zipkinhttp ./cmd/tomoscrape

# What would take minutes with the race detector.
many: setup
	$(GO) test -count=1 -run 'TestReplayAndTailGiveOneAnswer/ten_thousand' ./internal/tail

# Each fuzz test for a fixed number of executions, so that a run means the same
# on every machine.
fuzz: setup
	@set -e; for file in $$(git ls-files '*_test.go' | xargs grep -l '^func Fuzz'); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\).*/\1/p' $$file); do \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZ_RUNS)x ./$$(dirname $$file); \
		done; \
	done

# Speed and memory against the targets, beside other programs, in about ten
# minutes; the results are kept in docs/bench. BENCH_… in the environment change
# sizes and counts: see bench/main.go.
bench: setup
	@bench/setup
	$(GO) run ./bench

# Live logs in each way in which logrotate rotates them, under stalls, kills and
# outages: SOAK_ROTATIONS of each log, SOAK_KILLS kills, SOAK_RATE lines a second of
# each log. Each line it prints says what became of one log.
# With these lengths it takes about three minutes.
SOAK_ROTATIONS ?= 50
SOAK_KILLS ?= 25
SOAK_RATE ?= 1000
soak: setup
	SOAK_ROTATIONS=$(SOAK_ROTATIONS) SOAK_KILLS=$(SOAK_KILLS) SOAK_RATE=$(SOAK_RATE) $(GO) test -count 1 -timeout 24h -run 'TestRotations|TestSoak' -v ./soak

# The profile that the compiler optimises by (docs/bench/README.md).
pgo:
	$(GO) test -trimpath -run '^$$' -bench Replay -benchtime 60x -o bench.test -cpuprofile cmd/tomoscrape/default.pgo ./bench
	rm bench.test

# Rewrites what the tests of export and of the command line expect: read the
# difference before you commit it.
update:
	$(GO) test ./export ./export/terminal ./export/zipkinhttp ./cmd/tomoscrape -update
