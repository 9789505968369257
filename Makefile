# make demo   the pipeline on a generated day of usage, on embedded servers
# make test   lint, unit tests, integration tests (embedded; and Apache Kafka + redis-server where they are)
# make faults every fault on real servers, each reconciled to zero difference (FAULTS="--quick", "--list")
# make soak   MINUTES=60 at a fixed rate with random faults: memory, lag and latency stay flat
# make bench  events per second, latency, memory, recovery (BENCH="all": the alternatives too; "--help")
# Needs Python 3.11 or later and make; everything else goes into .venv.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
TOOLS := .venv/.tools

MINUTES ?= 60
FAULTS ?=
BENCH ?=

.DEFAULT_GOAL := help
.PHONY: help venv tools demo test lint unit embedded apache faults soak bench clean

help:
	@sed -n 's/^# //p' Makefile

venv: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[local,test]'
	@touch $@

tools: $(TOOLS)

$(TOOLS): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[local,test,bench]'
	@touch $@

demo: venv
	$(BIN)/drawdown demo

# The two rounds of integration tests mostly wait, each on servers of its own: they run side by side.
test: lint unit
	$(MAKE) --no-print-directory -j2 embedded apache

lint: tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: tools
	$(BIN)/python -m pytest -q -n auto -m 'not integration'

embedded: tools
	DRAWDOWN_TEST_SERVERS=embedded $(BIN)/python -m pytest -q -m integration

# In CI a missing server is a failure; elsewhere this part is left out, and says so.
apache: tools
	@if [ "$$CI" = true ] || $(BIN)/python -m deploy.servers.find; then \
	  DRAWDOWN_TEST_SERVERS=apache $(BIN)/python -m pytest -q -m integration; \
	else \
	  echo "Left out: the integration tests on Apache Kafka and redis-server (see above)."; \
	fi

faults: tools
	$(BIN)/python -m tests.faults $(FAULTS)

soak: tools
	$(BIN)/python -m tests.soak --minutes $(MINUTES)

bench: tools
	$(BIN)/python -m tests.bench $(BENCH)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build *.egg-info
