.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
BROKER ?= embedded
WITH ?= ib_async
JOBS ?= auto
READY := $(VENV)/.ready

help: ## show what can be done
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## create the environment from the locked dependencies

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "the venv module is missing; on Debian: apt install python3-venv"; exit 1; }
	@echo "installing the locked dependencies into $(VENV) (about a minute)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## trade real daily bars on paper over Kafka (BROKER=kafka for a real Apache Kafka)
	@$(BIN)/algotrade demo --kafka $(BROKER)

test: setup ## run the tests (ARGS="-k parity" for some of them, JOBS=0 in one process; COVER=1 asks for coverage)
	@$(BIN)/pytest -n $(JOBS) --maxprocesses 4 --dist loadscope $(if $(COVER),--cov --cov-report=) $(ARGS)
	@$(if $(COVER),$(BIN)/coverage json -q -o coverage.json)
	@$(if $(COVER),$(BIN)/coverage report --include="$$($(BIN)/python .ci/pure_files.py)" --skip-covered --fail-under=85)

chaos: setup ## break everything that can break, for hours if asked (SEEDS="11 12" SCHEDULES=20000)
	@$(BIN)/python tests/chaos/report.py --schedules $(or $(SCHEDULES),20000) $(SEEDS)

check: setup ## format, lint, types, layers, schema drift
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/algotrade schemas check

bench: setup ## measure speed side by side with peers (installs them into .venv-peers)
	@sh benchmarks/run.sh

apart: setup ## run tests that need an environment of their own (WITH=ib_async, ib_insync or oracles)
	@sh .ci/apart $(WITH)

lock: setup ## resolve the dependencies anew (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-header --quiet -o requirements.lock

clean: ## remove the environments, caches and runs
	rm -rf $(VENV) .venv-* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .algotrade runs

.PHONY: help setup demo test chaos check bench apart lock clean
