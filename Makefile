# `make help` says what there is to do. Every target installs what it needs first, and nothing when that is there.
SHELL := /bin/sh
.DEFAULT_GOAL := help
BIN := .venv/bin
# Tests run in this many processes; 0 is one, and simplest to debug. What needs ports and processes stays in one of them.
WORKERS ?= 2
PYTEST := $(BIN)/pytest $(if $(filter-out 0,$(WORKERS)),-n $(WORKERS) --dist loadgroup)

##@ Using it
help: ## this list
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z0-9%-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

run: install-run ## start everything on this machine and play the story (STORY=0: only serve; CAIRN_PORT=8080)
	@exec $(BIN)/python -m cairn.onebox

story: install-run ## play the story on a Cairn that runs elsewhere (ADDRESS=http://127.0.0.1:8080 KEY=operator-key.json)
	@$(BIN)/python -m cairn.onebox story $(or $(ADDRESS),http://127.0.0.1:8080) $(or $(KEY),operator-key.json)

status: install-run ## how a running system does (OF=http://127.0.0.1:8080 a gateway elsewhere; OF=namespace/cairn on Kubernetes)
	@$(BIN)/python -m cairn.onebox status $(OF)

dead-letters: install-run ## what waits for somebody: dead letters and stuck awards (REPLAY=1 tries them again; OF=http://… KEY=… elsewhere)
	@$(BIN)/python -m cairn.onebox letters $(if $(OF),$(OF) $(or $(KEY),operator-key.json)) $(if $(REPLAY),replay)

replay: install-run ## rebuild what pathways heard from the first event on, beside `make run`: the state hash must stay the same
	@$(BIN)/python -m cairn.onebox replay

clean: ## remove the data of this checkout, and what was left running in it
	@if [ -e .cairn ]; then dev/install.sh run && $(BIN)/python -m cairn.onebox clean; fi

distclean: clean ## and remove .venv and every cache of the tools
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache

##@ Changing it
install: ## everything that running, testing and building need, into .venv
	@dev/install.sh run test

install-run:
	@dev/install.sh run

format: install ## put the code into its one form
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

lock: ## resolve the pyprojects again into requirements.lock (LOCK_ARGS=--upgrade: newest versions)
	@dev/install.sh build
	@$(BIN)/python dev/requirements.py wanted build run test fuzz > .venv/wanted.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header $(LOCK_ARGS) .venv/wanted.txt -o requirements.lock

openapi: install ## write the services' OpenAPI documents to docs/openapi
	@for service in issuance pathways verification; do \
	  $(BIN)/python -m cairn.$$service openapi > docs/openapi/$$service.json || exit 1; \
	done

##@ Checking it
test: lint types walls events-check ## everything: the checks, then every test on real PostgreSQL and Kafka
	$(PYTEST)

lint: install ## style, and the form of the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .

types: install ## types, strictly
	$(BIN)/pyright

walls: install ## who may import whom
	$(BIN)/lint-imports --no-logo

events-check: install ## no event may change in a way that breaks its readers
	$(BIN)/python -m cairn.common.events check

unit: install ## tests of pure code only: seconds
	$(PYTEST) -m unit

integration: install ## tests that need PostgreSQL or Kafka
	$(PYTEST) -m integration

e2e: install ## journeys across all services, and faults
	$(PYTEST) -m e2e

# The seed is the day: a run that is repeated, as by cron every night, tries other inputs each time.
INPUTS ?= 100000
fuzz: install ## what strangers hand in, mutated: no reader raises, hangs or swells (INPUTS=100000)
	@dev/install.sh fuzz
	$(BIN)/python -m tests.fuzz $(INPUTS)

# The short form of the same is part of `make test`.
faults: install ## each fault three times with 10,000 events, for hours; goes on where it was broken off (EVENTS=10000)
	$(BIN)/python -m tests.faults $(or $(EVENTS),10000)

# It needs the history: a clone without --depth. So it is no part of `make test`, which a tarball must pass, too.
upgrade: install ## an older version and this one together, there and back, under load (FROM=revision BUS=kafka)
	$(BIN)/python -m tests.upgrade "$(FROM)" $(BUS)

##@ Measuring it
bench-%: install ## one benchmark, as in docs/benchmarks.md: make bench-system
	$(BIN)/python -m bench.$*

##@ Shipping it
compose: ## write .env with fresh secrets for docker compose, unless there is one
	@sh deploy/compose/env.sh

.PHONY: help run story status dead-letters replay clean distclean install install-run format lock openapi test lint types walls events-check unit \
  integration e2e fuzz faults upgrade compose
