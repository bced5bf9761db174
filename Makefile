# `make` installs everything that the project needs into .venv: no root, no Docker, no key.
PYTHON ?= python3
BIN := .venv/bin
INFRA := .venv-infra/bin
CDK := PATH="$(CURDIR)/$(INFRA):$$PATH" node_modules/.bin/cdk # Node.js is in a wheel
SCRIPTS := 'shared/fanout/page/**/*.js' 'tests/page/**/*.js'
export PYTHONPATH := shared
unexport PYTHONDONTWRITEBYTECODE # each process would compile again what it imports
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 1
PORT ?= 4000

.DEFAULT_GOAL := help
.PHONY: help install dist run demo clients check test test-rest test-local-jobs test-aws-jobs test-jobs test-commands test-http test-units test-infra test-page test-browser test-rie bench first-hour faults fuzz soak audit docs prices lock clean format install-infra synth deploy smoke cdk rehearse

help:  ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

install: .venv/.installed  ## install everything into .venv

.venv/.uv: requirements/bootstrap.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@

.venv/.installed: .venv/.uv requirements/dev.txt pyproject.toml
	$(BIN)/uv pip sync -q --python $(BIN)/python --require-hashes requirements/dev.txt
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

# `make run` and `make demo` need a third of that, unless everything is installed.
RUNNABLE := $(or $(wildcard .venv/.installed),.venv/.runnable)

.venv/.runnable: .venv/.uv requirements/run.txt pyproject.toml
	$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements/run.txt
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

install-infra: .venv-infra/.installed  ## install CDK, its checks and Node.js into .venv-infra

.venv-infra/.installed: .venv/.installed requirements/infra.txt package-lock.json
	test -x $(INFRA)/python || $(PYTHON) -m venv .venv-infra
	$(BIN)/uv pip sync -q --python $(INFRA)/python --require-hashes requirements/infra.txt
	PATH="$(CURDIR)/$(INFRA):$$PATH" npm ci --silent --ignore-scripts --no-audit --no-fund
	@touch $@

dist: .venv/.uv  ## build the wheel and the source distribution in dist/: the same bytes each time
	$(BIN)/uv build -q --clear --python $(BIN)/python --build-constraints requirements/build.txt --require-hashes -o dist
	@ls dist

run: $(RUNNABLE)  ## serve the gateway with a small real model on 127.0.0.1:4000 (PORT=...); needs no key
	@exec $(BIN)/fanout local run --port $(PORT) --attached $$PPID

demo: $(RUNNABLE)  ## run each strategy once on that model, through the OpenAI SDK; prints a table
	@$(BIN)/python scripts/demo.py

clients: install  ## run SDKs and frameworks against strict upstreams; downloads them; writes docs/clients.md
	@$(BIN)/python -m scripts.clients

check: install install-infra  ## check format, lint and types, and the stack against AWS's rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(INFRA)/mypy --cache-dir .mypy_cache/infra infra scripts/aws tests/infra/*.py tests/deployed/*.py
	$(INFRA)/python -m scripts.aws.check
	$(INFRA)/node node_modules/typescript/bin/tsc -p .
	$(INFRA)/node node_modules/prettier/bin/prettier.cjs --check --log-level warn $(SCRIPTS)

format: install install-infra  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(INFRA)/node node_modules/prettier/bin/prettier.cjs --write --log-level warn $(SCRIPTS)

test: install install-infra  ## run all tests, offline
	@$(MAKE) --no-print-directory -k -j4 $(SYNC) test-commands test-local-jobs test-rest test-jobs test-aws-jobs test-units test-http test-infra test-page

LOCAL := tests/bulk/local
AWS := tests/bulk/aws
JOBS := tests/bulk tests/faults tests/fuzz
UNITS := tests/providers tests/unit
COMMANDS := tests/cli tests/distribution tests/library tests/local tests/typing
SYNC := $(if $(filter output-sync,$(.FEATURES)),-Otarget) # macOS's make lacks it

# Commands, local jobs and the rest often wait, so four parts run at once on two cores; these three come first.
test-commands:
	$(BIN)/python -m pytest -q $(COMMANDS)

test-rest:
	$(BIN)/python -m pytest -q $(patsubst %,--ignore=%,$(COMMANDS) $(JOBS) $(UNITS) tests/http)

test-local-jobs:
	$(BIN)/python -m pytest -q $(LOCAL)

test-aws-jobs:
	$(BIN)/python -m pytest -q $(AWS)

test-jobs:
	$(BIN)/python -m pytest -q $(JOBS) --ignore=$(LOCAL) --ignore=$(AWS)

test-http:
	$(BIN)/python -m pytest -q tests/http

test-units:
	$(BIN)/python -m pytest -q $(UNITS)

test-infra:
	$(INFRA)/python -m pytest -q tests/infra

test-page:
	$(INFRA)/node --test --test-reporter=dot 'tests/page/**/*.test.js'

test-browser: install .build/browser/.installed  ## test the page in a real Chromium, and install that if possible
	PYTHONPATH=shared:.build/browser $(BIN)/python -m pytest -q tests/browser

test-rie: install  ## test the Lambda function under AWS's own runtime code, which Go compiles; skipped without Go
	$(BIN)/python -m pytest -q tests/rie

.build/browser/.installed: .venv/.installed requirements/browser.txt
	$(BIN)/uv pip install -q --python $(BIN)/python --target .build/browser --require-hashes -r requirements/browser.txt
	@touch $@

synth: install-infra  ## write the stack's template to cdk.out (ARGS="-c fanout:memory=1024")
	$(CDK) synth -q $(ARGS)

deploy: install-infra  ## deploy the stack to your AWS account (docs/aws.md)
	PATH="$(CURDIR)/$(INFRA):$$PATH" $(INFRA)/python -m scripts.aws.deploy $(ARGS)

smoke: install-infra  ## check a deployed stack with a few cheap requests (STACK=Fanout; docs/first-hour-on-aws.md)
	@$(INFRA)/python -m scripts.aws.smoke $(STACK) $(ARGS)

cdk: install-infra  ## run CDK's own command line (ARGS=bootstrap, ARGS=destroy)
	$(CDK) $(ARGS)

rehearse: install-infra  ## deploy the stack to the AWS at AWS_ENDPOINT_URL, and run tests/deployed against it
	$(INFRA)/python -m pytest -q $(or $(TESTS),tests/deployed)

bench: install .venv-bench/.installed  ## measure Fanout next to LiteLLM; cargo builds the Web Adapter once, or WEB_ADAPTER=FILE; writes docs/benchmarks.md
	@.venv-bench/bin/python -m tests.bench $(if $(ONLY),--$(ONLY))

first-hour: install .venv-bench/.installed  ## time a newcomer's tasks, with LiteLLM, llm and batchllm beside; writes docs/first-hour.md
	@.venv-bench/bin/python -m tests.bench.first_hour

faults: install  ## try misbehaving providers, overload, attacks, full disks and stops; writes docs/faults.md
	@$(BIN)/python -m tests.faults

fuzz: install  ## send ten thousand requests made from openapi.json, and raw bytes; no 500, no growth, one response each
	@$(BIN)/python -m tests.fuzz

audit: .venv-audit/.installed  ## look up every locked version at osv.dev, and name what could not be; needs the network
	@.venv-audit/bin/python scripts/audit.py

soak: install  ## send mixed traffic for half an hour (MINUTES=5); nothing may fail or grow
	@$(BIN)/python -m tests.faults.soak $(MINUTES)

.venv-audit/.installed: .venv/.installed requirements/audit.txt
	test -x .venv-audit/bin/python || $(BIN)/uv venv -q --python $(BIN)/python .venv-audit
	$(BIN)/uv pip sync -q --python .venv-audit/bin/python --require-hashes requirements/audit.txt
	@touch $@

.venv-bench/.installed: .venv/.installed requirements/bench.txt
	test -x .venv-bench/bin/python || $(BIN)/uv venv -q --python $(BIN)/python .venv-bench
	$(BIN)/uv pip sync -q --python .venv-bench/bin/python --require-hashes requirements/bench.txt
	@touch $@

docs: install install-infra  ## write the pages that are generated from the code
	$(BIN)/python scripts/make_docs.py
	$(INFRA)/python -m scripts.aws.make_docs

prices: install .venv-bench/.installed  ## update the public price lists from the locked genai-prices and LiteLLM
	$(BIN)/python scripts/make_tier_prices.py .venv-bench
	$(BIN)/python scripts/make_prices.py

lock: install  ## update the locked versions and their hashes
	cd requirements && sh lock.sh ../$(BIN)/uv

clean:  ## remove everything that make installed or wrote
	rm -rf .venv .venv-audit .venv-bench .venv-infra .build cdk.out node_modules .mypy_cache .ruff_cache .pytest_cache
