# Everything is made from here: `make demo` shows what the project does, `make test` proves it.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test unit lint format bench parts clean

demo: $(READY) ## a small real mesh, served to kubectl; Ctrl-C ends it
	$(BIN)/trafficmetrics demo

test: lint parts ## all checks and all tests, against the real parts
	$(BIN)/python -m pytest

unit: $(READY) ## the fast part: pure code and documentation
	$(BIN)/python -m pytest -n auto --dist worksteal tests/unit tests/properties tests/test_docs.py tests/test_surface.py

lint: $(READY) ## style, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(READY) ## put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) parts ## compare answers with the raw queries they need
	$(BIN)/python bench/run.py

parts: ## install or build what the tests need beside Python
	scripts/test-parts

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[demo]" --group dev
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
