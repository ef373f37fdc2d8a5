# `make demo` and `make test` build what they need in .venv; nothing else is touched.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO ?= crmsync-demo

.PHONY: help demo test check bench lock clean
.DEFAULT_GOAL := help

help: ## Show the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(READY): requirements.lock pyproject.toml $(wildcard plugins/*/pyproject.toml) tools/make-venv
	@tools/make-venv "$(PYTHON)" "$(VENV)"
	@touch $@

demo: $(READY) ## Run the main job on a sample company, in ./crmsync-demo (DEMO=DIR for another).
	@$(BIN)/crmsync demo --dir "$(DEMO)"

test: $(READY) ## Run all tests.
	@$(BIN)/python -m pytest -n auto --dist loadfile -q

check: $(READY) ## Run what CI runs beside the tests: format, lint, types, layers.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY) ## Measure speed and memory, each as a ratio within one run.
	@$(BIN)/python bench/startup.py
	@$(BIN)/python bench/sync.py
	@$(BIN)/python bench/outbox.py
	@$(BIN)/python bench/rules.py

lock: $(READY) ## Resolve the dependencies anew into requirements.lock; needs uv.
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --group dev --group plugins pyproject.toml -o requirements.lock

clean: ## Remove what the targets above have made.
	rm -rf $(VENV) $(DEMO) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
