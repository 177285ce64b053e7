# The tasks of this repository. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

# Compilers at once. Each needs about 1 GB, so a machine with many cores and little memory wants fewer.
JOBS ?= $(shell nproc)
RELEASE := build/release/sandlot

export CMAKE_BUILD_PARALLEL_LEVEL := $(JOBS)

.PHONY: help
help: ## lists these tasks
	@echo 'Sandlot: a local emulator of the Novita Agent Sandbox cloud.'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

# Sandboxes are made of namespaces, mounts and cgroups, and this machine may lack packages.
.PHONY: root
root:
	@[[ $$(id -u) = 0 ]] || { echo 'make $(firstword $(MAKECMDGOALS)): needs root (namespaces, mounts, cgroups, packages). Try: sudo make $(firstword $(MAKECMDGOALS))' >&2; exit 1; }

.PHONY: deps
deps: ## installs what is missing to build and run (root; Debian 12)
	@scripts/install-deps build run

.PHONY: build
build: deps ## builds build/release/sandlot
	@cmake --preset release --log-level=WARNING
	@cmake --build --preset release

.PHONY: demo
demo: root build examples/node_modules/.package-lock.json ## runs the documentation's example in a sandbox (root)
	@$(RELEASE) exec --internet none -- node examples/demo.mjs

.PHONY: test
test: root ## every test: C++ units, namespaces, the binary, and both SDKs (root)
	@scripts/install-deps build run test lint
	@scripts/test

.PHONY: test-asan
test-asan: root ## the C++ tests under AddressSanitizer and UndefinedBehaviorSanitizer (root)
	@scripts/install-deps build run test
	@cmake --preset asan --log-level=WARNING
	@cmake --build --preset asan
	@ctest --preset asan -L unit -j $(JOBS)
	@ctest --preset asan -L root

.PHONY: fuzz
fuzz: ## libFuzzer over the parsers, with clang; FUZZ_SECONDS=60 for each target
	@scripts/install-deps build fuzz
	@cmake --preset fuzz --log-level=WARNING
	@cmake --build --preset fuzz
	@scripts/fuzz

.PHONY: sdk
sdk: root build tests/sdk/node_modules/.package-lock.json ## the SDK tests alone; FILES='pty.test.mjs ...' for some (root)
	@$(RELEASE) exec --internet fake -- node tests/sdk/run.mjs $(FILES)

.PHONY: compat
compat: root build tests/sdk/node_modules/.package-lock.json ## writes docs/compatibility/*.md from what a sandbox answers and reaches (root)
	@$(RELEASE) exec --internet fake --port 0 -- node tests/compat/run.mjs
	@$(RELEASE) exec --internet fake --port 0 -- node tests/sdk/run.mjs --write-table

.PHONY: lint
lint: ## formatting, scripts, sources: the fast checks
	@scripts/install-deps lint
	@scripts/lint

.PHONY: tidy
tidy: ## clang-tidy over every source (slow)
	@scripts/install-deps build test tidy
	@cmake --preset tidy --log-level=WARNING
	@cmake --build --preset tidy
	@run-clang-tidy -quiet -p build/tidy -j $(JOBS) '/(emulator|fakeapi|namespaces|netfilter)/.*\.cc$$'

.PHONY: bench
bench: root ## measures against the yardsticks (root)
	@scripts/install-deps build run test bench
	@cmake --preset bench --log-level=WARNING
	@cmake --build --preset bench
	@tests/bench/run

.PHONY: clean
clean: ## removes what was built and the SDKs that were fetched
	@rm -rf build examples/node_modules tests/sdk/node_modules

# npm writes this file last. `npm ci` installs exactly what the lock names.
%/node_modules/.package-lock.json: %/package-lock.json %/package.json
	@cd $* && npm ci --loglevel=error
	@touch $@
