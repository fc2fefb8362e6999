# `make run` shows the loop healing a sick patient; `make test` runs every test. Both need Python 3.11 or newer only.
.DEFAULT_GOAL := help
.PHONY: help setup run test lint check bench tools oracles docs truth

VENV := .venv
# most of their time the tests wait for scrapes, so more than there are cores; the exporter's compare figures of this host
# with those of other programs at the same moment, so they have it for themselves
TESTS_AT_ONCE ?= 3
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

help:
	@echo 'make run     start everything with a patient that falls ill, and watch it being healed'
	@echo 'make test    run every test'
	@echo 'make check   format, lint, types, imports, tests: what CI runs'
	@echo 'make bench   run the benchmarks'
	@echo 'make tools   find or unpack Prometheus and Alertmanager'
	@echo 'make oracles find or unpack the exporters that ours is compared with'
	@echo 'make truth   look for a minute whether what is kept of processes is true'
	@echo 'make docs    write the pages that are made from the code'
	@echo 'make setup   make .venv with everything for development'

# The first Python that is new enough and can make a virtual environment.
$(BIN)/python:
	@for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	  if command -v $$python >/dev/null 2>&1 && \
	     $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    if $$python -c 'import ensurepip, venv' 2>/dev/null; then \
	      echo "making $(VENV) with $$($$python --version)"; exec $$python -m venv $(VENV); \
	    fi; without_venv=$$python; \
	  fi; \
	done; \
	if [ -n "$$without_venv" ]; then \
	  echo "$$without_venv cannot make virtual environments; install its venv module (Debian: apt install python3-venv)" >&2; \
	else \
	  echo 'no Python 3.11 or newer on PATH; install one (Debian: apt install python3 python3-venv)' >&2; \
	fi; exit 1

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo 'installing what selfheal needs'
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	@echo 'installing what selfheal and its tests need'
	@$(PIP) install --editable '.[dev]'
	@touch $@ $(VENV)/.installed

setup: $(VENV)/.installed-dev

run: $(VENV)/.installed
	@exec $(BIN)/selfheal up --demo

tools: $(VENV)/.installed
	@$(BIN)/python -m selfheal.stack.tools

# without them their comparisons are skipped, but in CI they fail: then this must not go on without them
oracles: $(VENV)/.installed
	@$(BIN)/python -m selfheal.stack.oracles || [ -z "$$CI" ]

docs: setup oracles
	@$(BIN)/python -m tests.exporter.reference
	@$(BIN)/python -m tests.exporter.oracle.document

test: setup tools oracles
	@$(BIN)/python -m pytest --ignore=tests/exporter --numprocesses=$(TESTS_AT_ONCE) --dist=loadfile
	@$(BIN)/python -m pytest tests/exporter

# reads every process again for a minute and compares; the suite does it for seconds
truth: setup
	@SELFHEAL_TRUTH_SECONDS=60 $(BIN)/python -m pytest tests/exporter/test_process_truth.py

lint: setup tools
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test

bench: setup tools oracles
	$(BIN)/python -m benchmarks.loop
	$(BIN)/python -m benchmarks.storm --alerts 10000
	$(BIN)/python -m benchmarks.crash --kills 500
	$(BIN)/python -m benchmarks.peers
	$(BIN)/python -m benchmarks.exporter
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.replay
	$(BIN)/python -m benchmarks.healing --peer monit
