# make demo   the pipeline on a generated day of usage, on embedded servers
# make test   lint, unit tests, integration tests (embedded; and Apache Kafka + redis-server where they are)
# make bench  events per second, end to end
# Needs Python 3.11 or later and make; everything else goes into .venv.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help venv demo test lint unit embedded apache bench clean

help:
	@sed -n 's/^# //p' Makefile

venv: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[local,test]'
	@touch $@

demo: venv
	$(BIN)/drawdown demo

# The two rounds of integration tests mostly wait, each on servers of its own: they run side by side.
test: lint unit
	$(MAKE) --no-print-directory -j2 embedded apache

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: venv
	$(BIN)/python -m pytest -q -n auto -m 'not integration'

embedded: venv
	DRAWDOWN_TEST_SERVERS=embedded $(BIN)/python -m pytest -q -m integration

# In CI a missing server is a failure; elsewhere this part is left out, and says so.
apache: venv
	@if [ "$$CI" = true ] || $(BIN)/python -m deploy.servers.find; then \
	  DRAWDOWN_TEST_SERVERS=apache $(BIN)/python -m pytest -q -m integration; \
	else \
	  echo "Left out: the integration tests on Apache Kafka and redis-server (see above)."; \
	fi

bench: venv
	$(BIN)/python -m tests.bench

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build *.egg-info
