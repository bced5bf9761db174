# Everything the project needs, it installs itself into .venv: no root, no Docker, no key.
PYTHON ?= python3
BIN := .venv/bin
export PYTHONPATH := shared

.DEFAULT_GOAL := help
.PHONY: help install run demo check test bench lock clean format

help:  ## show this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: .venv/.installed  ## make the project's own environment

.venv/.installed: requirements/bootstrap.txt requirements/dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	$(BIN)/uv pip sync -q --python $(BIN)/python --require-hashes requirements/dev.txt
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

check: install  ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: install  ## put the code in its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: install  ## the whole suite, offline
	$(BIN)/python -m pytest -q

lock: install  ## resolve the versions anew, with hashes
	cd requirements && sh lock.sh ../$(BIN)/uv

clean:  ## remove what make made
	rm -rf .venv .build .mypy_cache .ruff_cache .pytest_cache
