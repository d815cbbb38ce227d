# proofbox. `make help` lists what can be made; README.md says what it is.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export PROOFBOX_BIN ?= $(CURDIR)/bin
CHECK := go tool -modfile=tools/check/go.mod
STATIC := CGO_ENABLED=0 go build -trimpath -ldflags '-s -w'

# Packages whose tests try a wall, or start boxes: they run as an ordinary user
# too. A name that is not there (yet) is passed over.
WALLS := ./internal/box/... ./internal/workspace/... ./internal/image/... ./internal/door/... \
	./internal/repository/... ./internal/debian/... ./internal/daemon/... ./internal/cli/... ./client/...

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: bin/runsc runc ## Build everything into bin/: proofbox, its helpers, runc and runsc.
	@mkdir -p bin
	@$(STATIC) -o bin/ ./cmd/proofbox ./cmd/proofbox-init ./cmd/proofbox-jail ./cmd/proofbox-attack ./cmd/proofbox-contents ./cmd/proofbox-syntax

.PHONY: runc
runc: # A host without what runc's build needs may have a runc of its own.
	@$(MAKE) -q bin/runc || scripts/build-runc

bin/runc: tools/runc/go.mod tools/runc/go.sum scripts/build-runc
	@scripts/build-runc

bin/runsc: tools/runsc/go.mod tools/runsc/go.sum scripts/build-runsc
	@scripts/build-runsc

.PHONY: base
base: build ## Make the base of microVMs, as root with the packages that it needs; else say what is missing.
	@if [ "$$(id -u)" -eq 0 ]; then bin/proofbox setup --install; else bin/proofbox setup; fi

# No test passes because of what its user has told git.
test race: export GIT_CONFIG_GLOBAL := /dev/null
test race: export GIT_CONFIG_NOSYSTEM := 1

.PHONY: test
test: build base ## Run every test; as root also the walls' tests as an ordinary user.
	go test -count=1 -timeout 14m ./...
	@scripts/test-as-user $(WALLS)

.PHONY: race
race: build ## Run every test with the race detector.
	go test -race -count=1 -timeout 30m ./...

.PHONY: fuzz
fuzz: ## Run each fuzz test for ten seconds.
	@scripts/fuzz 10s

.PHONY: check
check: ## Check format, vet, staticcheck, go fix, go mod tidy and the layers.
	@scripts/check-format
	go vet ./...
	$(CHECK) staticcheck ./...
	go fix -diff ./...
	go mod tidy -diff
	go test -count=1 -run '^Test(House|Layers|Readme)' .

.PHONY: bench
bench: build ## Measure starting, diffing and leaking, and print a table.
	go run ./internal/bench

.PHONY: demo
demo: build base ## Tell what happens in boxes, on real files: SYSTEM=6 tells one story.
	@scripts/demo/run

.PHONY: clean
clean: ## Remove what was built.
	rm -rf bin
