# Everything the project needs, it installs itself into .venv: no root, no Docker, no key.
PYTHON ?= python3
BIN := .venv/bin
INFRA := .venv-infra/bin
CDK := PATH="$(CURDIR)/$(INFRA):$$PATH" node_modules/.bin/cdk # Node.js comes out of a wheel
SCRIPTS := 'shared/fanout/page/**/*.js' 'tests/page/**/*.js'
export PYTHONPATH := shared
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 1
PORT ?= 4000

.DEFAULT_GOAL := help
.PHONY: help install run demo clients check test test-browser bench faults fuzz soak audit docs prices lock clean format install-infra synth deploy cdk rehearse

help:  ## show this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

install: .venv/.installed  ## make the project's own environment

.venv/.installed: requirements/bootstrap.txt requirements/dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	$(BIN)/uv pip sync -q --python $(BIN)/python --require-hashes requirements/dev.txt
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

install-infra: .venv-infra/.installed  ## the AWS side's own: CDK, what checks it, Node.js

.venv-infra/.installed: .venv/.installed requirements/infra.txt package-lock.json
	test -x $(INFRA)/python || $(PYTHON) -m venv .venv-infra
	$(BIN)/uv pip sync -q --python $(INFRA)/python --require-hashes requirements/infra.txt
	PATH="$(CURDIR)/$(INFRA):$$PATH" npm ci --silent --no-audit --no-fund
	@touch $@

run: install  ## the gateway over a small real model, on 127.0.0.1:4000 (PORT=...); no key needed
	@exec $(BIN)/fanout local run --port $(PORT) --attached $$PPID

demo: install  ## each strategy once through the OpenAI SDK, on that model; prints a table
	@$(BIN)/python scripts/demo.py

clients: install  ## LangChain, llm and Node's OpenAI SDK against that model; fetches them first
	@$(BIN)/python scripts/clients.py

check: install install-infra  ## format, lint, types; the stack under AWS's rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(INFRA)/mypy --cache-dir .mypy_cache/infra infra scripts/aws tests/infra/*.py tests/deployed/*.py
	$(INFRA)/python -m scripts.aws.check
	$(INFRA)/node node_modules/typescript/bin/tsc -p .
	$(INFRA)/node node_modules/prettier/bin/prettier.cjs --check --log-level warn $(SCRIPTS)

format: install install-infra  ## put the code in its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(INFRA)/node node_modules/prettier/bin/prettier.cjs --write --log-level warn $(SCRIPTS)

test: install install-infra  ## the whole suite, offline
	$(BIN)/python -m pytest -q
	$(INFRA)/python -m pytest -q -o timeout=300 tests/infra
	$(INFRA)/node --test --test-reporter=dot 'tests/page/**/*.test.js'

test-browser: install .build/browser/.installed  ## the page in a real Chromium, which it installs if it can
	PYTHONPATH=shared:.build/browser $(BIN)/python -m pytest -q tests/browser

.build/browser/.installed: .venv/.installed requirements/browser.txt
	$(BIN)/uv pip install -q --python $(BIN)/python --target .build/browser --require-hashes -r requirements/browser.txt
	@touch $@

synth: install-infra  ## the stack's template, into cdk.out (ARGS="-c fanout:memory=1024")
	$(CDK) synth -q $(ARGS)

deploy: install-infra  ## the stack into your AWS account (docs/aws.md)
	$(CDK) deploy $(ARGS)

cdk: install-infra  ## the CDK's own command line (ARGS=bootstrap, ARGS=destroy)
	$(CDK) $(ARGS)

rehearse: install-infra  ## the stack onto the AWS at AWS_ENDPOINT_URL, and tests/deployed against it
	$(INFRA)/python -m pytest -q -o timeout=300 tests/deployed

bench: install .venv-bench/.installed  ## measure, beside LiteLLM; writes docs/benchmarks.md
	@.venv-bench/bin/python -m tests.bench

faults: install  ## misbehaving providers, callers that vanish, overload; writes docs/faults.md
	@$(BIN)/python -m tests.faults

fuzz: install  ## ten thousand requests made of openapi.json; none may be a 500 or come out again
	@$(BIN)/python -m tests.fuzz

audit: .venv-audit/.installed  ## ask osv.dev about every locked version; needs the network
	@.venv-audit/bin/python scripts/audit.py

soak: install  ## half an hour of mixed traffic (MINUTES=5); nothing may fail or grow
	@$(BIN)/python -m tests.faults.soak $(MINUTES)

.venv-audit/.installed: .venv/.installed requirements/audit.txt
	test -x .venv-audit/bin/python || $(BIN)/uv venv -q --python $(BIN)/python .venv-audit
	$(BIN)/uv pip sync -q --python .venv-audit/bin/python --require-hashes requirements/audit.txt
	@touch $@

.venv-bench/.installed: .venv/.installed requirements/bench.txt
	test -x .venv-bench/bin/python || $(BIN)/uv venv -q --python $(BIN)/python .venv-bench
	$(BIN)/uv pip sync -q --python .venv-bench/bin/python --require-hashes requirements/bench.txt
	@touch $@

docs: install install-infra  ## the pages that are made from the code
	$(BIN)/python scripts/make_docs.py
	$(INFRA)/python -m scripts.aws.make_docs

prices: install  ## the public price lists, as genai-prices has them today
	$(BIN)/python scripts/make_prices.py

lock: install  ## resolve the versions anew, with hashes
	cd requirements && sh lock.sh ../$(BIN)/uv

clean:  ## remove what make made
	rm -rf .venv .venv-audit .venv-bench .venv-infra .build cdk.out node_modules .mypy_cache .ruff_cache .pytest_cache
