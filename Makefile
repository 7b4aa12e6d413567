# Two commands matter: `make demo` and `make test`. `make help` lists the rest.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
PORT ?= 8080
ONCE ?=
ARGS ?=

# uv asks where pip would ask, and trusts the certificates that this machine trusts.
export UV_SYSTEM_CERTS ?= 1

BIN := .venv/bin
READY := .venv/.ready
BENCH := .venv-bench
UV_VERSION := 0.13.9
UV := $(BIN)/uv pip --quiet

.PHONY: help setup demo up doctor env test test-unit test-deep check fix types arch lock bench-sync clean reset

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Make .venv with everything in it (the other commands do this by themselves)

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 15))' || { \
	  echo "The Hub needs Python 3.10 to 3.14, and '$(PYTHON)' is not one. Name one: make PYTHON=/path/to/python3 setup" >&2; exit 1; }
	@echo "Setting up .venv (about a minute the first time)…"
	@rm -f $(READY)
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv || { \
	  echo "'$(PYTHON) -m venv' failed: install your system's package for it (Debian and Ubuntu: python3-venv)." >&2; exit 1; }
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@index="$${PIP_INDEX_URL:-$$($(BIN)/pip config get global.index-url 2>/dev/null || true)}"; \
	  if [ -n "$$index" ]; then export UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$$index}"; fi; \
	  $(UV) install --python $(BIN)/python --compile-bytecode --require-hashes --requirement requirements.txt
	@$(UV) install --python $(BIN)/python --no-build-isolation --no-deps --editable .
	@touch $(READY)

demo: $(READY) ## The whole product on this machine, with a sandbox to sync from (ONCE=1 ends after the summary; PORT=8080)
	@exec $(BIN)/hub demo --port $(PORT) $(if $(filter-out 0,$(ONCE)),--once) $(ARGS)

up: $(READY) ## Airflow and the Hub on this machine, with your own settings (PORT=8080)
	@exec $(BIN)/hub up --port $(PORT) $(ARGS)

doctor: $(READY) ## Check settings, ports, database and provider files, a sentence each
	@exec $(BIN)/hub doctor --port $(PORT) $(ARGS)

env: $(READY) ## Write .env for docker compose, secrets generated
	@exec $(BIN)/hub secrets env-file $(ARGS)

test: check ## Everything CI runs but the long counts
	$(BIN)/pytest -n 2 -m "not deep and not real_airflow" $(ARGS)
	$(BIN)/pytest -n 2 --dist loadfile -m "real_airflow and not deep" $(ARGS)

test-unit: $(READY) ## The unit tests alone (seconds)
	$(BIN)/pytest tests/unit $(ARGS)

test-deep: $(READY) ## The long counts (up to 45 minutes)
	$(BIN)/pytest -m deep $(ARGS)

check: $(READY) ## Lint, format, types, import contracts, and no secret in tree or history
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/secret_scan.py

fix: $(READY) ## Let ruff mend and format what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(READY) ## Types alone
	$(BIN)/mypy

arch: $(READY) ## Import contracts and architecture tests alone
	$(BIN)/lint-imports
	$(BIN)/pytest tests/architecture $(ARGS)

lock: $(READY) ## Resolve requirements.txt anew, with hashes, for Python 3.10 to 3.14
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.10 \
	  --generate-hashes --no-header --no-emit-index-url --output-file requirements.txt
	$(BIN)/uv pip compile tests/bench/requirements.in --universal --python-version 3.10 \
	  --generate-hashes --no-header --no-emit-index-url --output-file tests/bench/requirements.txt

bench-sync: $(BENCH)/.ready ## Measure the engine beside the floor and dlt (ARGS="--records 10000 --rounds 1 --latency-ms 0")
	@exec $(BIN)/python -m tests.bench.compare --bench-python $(BENCH)/bin/python $(ARGS)

$(BENCH)/.ready: $(READY) tests/bench/requirements.txt
	@echo "Setting up the yardsticks' own environment in $(BENCH)…"
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(BENCH)
	@index="$${PIP_INDEX_URL:-$$($(BIN)/pip config get global.index-url 2>/dev/null || true)}"; \
	  if [ -n "$$index" ]; then export UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$$index}"; fi; \
	  $(UV) install --python $(BENCH)/bin/python --require-hashes --requirement tests/bench/requirements.txt
	@touch $@

reset: $(READY) ## Remove the state folder with all its data
	@exec $(BIN)/hub reset $(ARGS)

clean: ## Remove .venv and caches; your data stays
	rm -rf .venv $(BENCH) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
