# A fresh machine needs git, make, python3 and pip; everything else is fetched from here.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help venv lock lock-check lint programs up down demo test unit integration e2e

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
COMPILE := uv pip compile --universal --generate-hashes --all-extras --group dev --python-version 3.11 pyproject.toml
PYTEST := $(BIN)/pytest -ra --durations=10

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

venv: $(READY) ## the Python environment with everything for development

# uv comes first, by pip and by its locked hash: Debian's pip installs only into an environment, and Debian's
# environments may lack pip.
$(READY): pyproject.toml requirements.lock
	@echo "== venv"
	test -x $(BIN)/python || $(PYTHON) -m venv --without-pip .venv
	awk '/^[^ #]/ { wanted = /^uv==/ } wanted' requirements.lock > .venv/uv.txt
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check --no-deps \
		--require-hashes -r .venv/uv.txt \
	|| { $(BIN)/python -m ensurepip && $(BIN)/python -m pip install --no-deps --require-hashes -r .venv/uv.txt; }
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c requirements.lock \
		-e '.[operator,gateway,node]' --group dev
	@touch $@

lock: venv ## requirements.lock anew from pyproject.toml, as little changed as possible
	$(BIN)/$(COMPILE) --quiet -o requirements.lock

lock-check: venv ## does requirements.lock fit pyproject.toml?
	@echo "== lock"
	@half=$$(mktemp) && trap 'rm -f "$$half"' EXIT && cp requirements.lock "$$half" \
	&& $(BIN)/$(COMPILE) --quiet --custom-compile-command "$(COMPILE) -o requirements.lock" -o "$$half" \
	&& diff -u requirements.lock "$$half" \
	|| { echo "requirements.lock does not fit pyproject.toml: run \`make lock\` and commit it" >&2; exit 1; }

lint: venv ## ruff (rules and format) and mypy strict
	@echo "== lint"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy -p tests -p examples

programs: venv ## Kubernetes, etcd, NATS and Helm, built into the cache: nine minutes once
	@echo "== programs"
	@$(BIN)/python -m tests.cluster.gobuild

up: venv ## a cluster with symfed and two customers; its addresses and keys are in .symfed/env
	@$(BIN)/python -m tests.cluster.up

down: venv ## the cluster and .symfed removed; the caches stay
	@$(BIN)/python -m tests.cluster.down

demo: up ## three peers of two customers, one model, and the table that proves it
	@$(BIN)/python -m examples.demo

test: lock-check lint unit integration e2e ## everything that must hold before a change is done

unit: venv ## the code alone, in seconds
	@echo "== unit"
	$(PYTEST) tests/unit

integration: programs ## the parts as processes against a real API server, etcd and NATS
	@echo "== integration"
	$(PYTEST) tests/integration

e2e: venv ## the chart on a real cluster; without root or Docker it is skipped, and says why
	@echo "== e2e"
	$(PYTEST) tests/e2e
