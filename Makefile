# make run: a local home below the checkout, live alerts on the terminal.  make test: everything CI runs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
FUZZ_SECONDS ?= 20

.PHONY: run check test bench fuzz soak packages clean

run: $(STAMP)
	@$(BIN)/python -m ossec.suite.demo

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/python tools/check_imports.py
	$(BIN)/python tools/check_house.py
	$(BIN)/python tools/make_manual.py --check

test: packages check
	$(BIN)/python -m pytest -n auto --dist worksteal -rs

# One benchmark after the other, on an otherwise idle machine.
bench: $(STAMP)
	$(BIN)/python -m bench

fuzz: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check atheris
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

# Real waits and storms of kills: minutes, so not part of the tests.
soak: packages $(STAMP)
	$(BIN)/python -m pytest -rs tests/soak

# What tests need beyond Python.  Only root on Debian installs it; elsewhere the tests that need it skip and say so.
packages:
	@sh tools/install_packages.sh tests/debian-packages.txt

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .hypothesis
