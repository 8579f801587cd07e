# Two commands do all the set-up they need:
#   make demo   trains a LoRA on the Fluent icons and renders a deck with it, on the embedded preview base
#   make test   installs everything the tests need, and runs them all
PYTHON ?= python3
VENV ?= .venv
NODE := .node
BIN := $(VENV)/bin
STAMP := $(VENV)/.loradeck-installed
NODE_STAMP := $(NODE)/.loradeck-installed
# Versions are pinned, torch's too; whether its CPU or its CUDA build comes depends on the platform and on pip's index.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: setup node demo test fast lint format bench clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; assert sys.version_info >= (3, 11), 'loradeck needs Python 3.11 or newer; set PYTHON=python3.11'"
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch==2.13.0
	$(PIP) -e ".[local,dev]"
	touch $@

node: $(NODE_STAMP)

$(NODE_STAMP): tests/node/package.json
	@command -v npm >/dev/null || { echo "The protocol's own tests need npm, which comes with Node.js: get it from" \
		"https://nodejs.org or your package manager, then call make again. make demo and make setup do without." >&2; \
		exit 1; }
	mkdir -p $(NODE)
	cp tests/node/package.json $(NODE)/package.json
	npm install --prefix $(NODE) --no-audit --no-fund --loglevel=error
	touch $@

demo: $(STAMP)
	$(BIN)/loradeck demo

lint: $(STAMP)
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Node first: where there is no npm, that is told before minutes of installing. Two processes share the files of tests.
test: $(NODE_STAMP) $(STAMP) lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

fast: $(STAMP)
	$(BIN)/python -m pytest -m "not slow"

bench: $(STAMP)
	$(BIN)/python bench/startup.py

clean:
	rm -rf $(VENV) $(NODE) build dist .pytest_cache .mypy_cache .ruff_cache
