# make demo, make test: each sets up what it needs in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test soak lint types layers check wheel-test bench clean

demo: $(VENV)/.installed
	$(BIN)/llmhub demo

# Two processes, each with a store of its own and one file of tests at a time. The fault tests come after, alone: they
# measure how long answers take and what memory is held.
test: $(VENV)/.dev
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --ignore tests/faults
	$(BIN)/python -m pytest tests/faults

# The fault tests for as long as it takes to believe them, with their progress: about an hour.
soak: $(VENV)/.dev
	$(BIN)/python -m pytest tests/faults --soak

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

layers: $(VENV)/.dev
	$(BIN)/lint-imports

check: lint types layers test

# The tests against the built wheel, away from the checkout: finds a file that the wheel lacks.
wheel-test: $(VENV)/.dev
	sh .ci/wheel-test $(BIN)/python

bench: $(VENV)/.bench
	$(BIN)/python benchmarks/ingest.py

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

$(VENV)/.bench: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --group bench
	touch $@

clean:
	rm -rf $(VENV) dist
