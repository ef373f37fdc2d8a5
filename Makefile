# `make demo` and `make test` build what they need in .venv; nothing else is touched.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH_READY := $(VENV)/.bench-ready
DEMO ?= crmsync-demo
CHAOS ?= 500
YEAR ?= 3
# One more than there are cores: tests also wait, for servers and for other processes.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

.PHONY: help demo test chaos year check bench lock clean
.DEFAULT_GOAL := help

help: ## Show the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(READY): requirements.lock pyproject.toml $(wildcard plugins/*/pyproject.toml) tools/make-venv
	@tools/make-venv "$(PYTHON)" "$(VENV)"
	@touch $@

$(BENCH_READY): $(READY) requirements-bench.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --require-hashes --requirement requirements-bench.lock
	@touch $@

demo: $(READY) ## Run the main job on a sample company, in ./crmsync-demo (DEMO=DIR for another).
	@$(BIN)/crmsync demo --dir "$(DEMO)"

test: $(READY) ## Run all tests (WORKERS=N at a time).
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -q

chaos: $(READY) ## Kill crmsync at every named instant and at 500 random ones, on both engines (CHAOS=N: as often).
	@CRMSYNC_CHAOS=$(CHAOS) $(BIN)/python -m pytest -q -s tests/chaos

year: $(READY) ## Run the sample company's daemon over a year of virtual time (YEAR=N accounts in each of 3 zones).
	@CRMSYNC_YEAR=$(YEAR) $(BIN)/python -m pytest -q -s tests/app/test_year.py

check: $(READY) ## Run what CI runs beside the tests: format, lint, types, layers.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(BENCH_READY) ## Measure speed and memory, each as a ratio within one run.
	@missed=0; for what in startup sync outbox rules engines salesforce hubspot_portal imap; do \
	  $(BIN)/python bench/$$what.py || missed=1; done; exit $$missed

lock: $(READY) ## Resolve the dependencies anew into the lock files; needs uv.
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --group dev --group plugins pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --constraint requirements.lock \
	  --group pyproject.toml:bench -o requirements-bench.lock

clean: ## Remove what the targets above have made.
	rm -rf $(VENV) $(DEMO) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
