# Everything runs from here. `make help` lists the commands; variables are set as in `make compute STUDY=studies/x.yml`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

STUDY ?= studies/quickstart.yml
WAREHOUSE ?= warehouse.duckdb
EXECUTOR ?= local
DEVICE ?= auto
PYTHON ?= python3
export STUDY WAREHOUSE EXECUTOR DEVICE

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

export DO_NOT_TRACK := 1
export GX_ANALYTICS_ENABLED := false

.PHONY: help all install locks compute build check report sql docs docs-site test truth torture lint bench clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'
	@echo "  variables: STUDY=$$STUDY WAREHOUSE=$$WAREHOUSE EXECUTOR=$$EXECUTOR DEVICE=$$DEVICE"

all: install ## install, compute, build, check, report: the whole STUDY
	@$(BIN)/transfer run

install: $(INSTALLED) ## make .venv with the pinned dependencies

# Nothing is resolved anew: torch by version, the rest from a lock of digests, then the project itself.
$(INSTALLED): pyproject.toml constraints.txt $(wildcard locks/*.txt)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, this is " + sys.version.split()[0])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@LOCK=locks/py$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])').txt; \
	test -f $$LOCK || { echo "$$LOCK: no such lock; locked are: $$(ls locks)" >&2; exit 2; }; \
	set -x; \
	$(PIP) --constraint constraints.txt torch; \
	$(PIP) --require-hashes --no-deps --requirement $$LOCK; \
	$(PIP) --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check
	touch $@

locks: ## write locks/ anew from pyproject.toml and constraints.txt (needs uv)
	@for minor in 11 12 13 14; do \
		uv pip compile --quiet pyproject.toml --constraint constraints.txt --python-version 3.$$minor --output-file locks/py3.$$minor.txt; \
	done

compute: install ## compute what STUDY still lacks and load it
	@$(BIN)/transfer compute

build: install ## dbt build: the marts and their tests
	@$(BIN)/transfer build

check: install ## Great Expectations over the warehouse; non-zero when an error-level check fails
	@$(BIN)/transfer check

report: install ## one self-contained report.html
	@$(BIN)/transfer report

# Where .venv holds DuckDB's shell and nothing of ours, the shell opens the file by itself; read-only, so that it makes none.
sql: install ## a DuckDB shell on the warehouse
	@if test -x $(BIN)/transfer; then exec $(BIN)/transfer sql; else exec $(BIN)/duckdb -readonly "$$WAREHOUSE"; fi

docs: install ## the dbt docs, one page: target/static_index.html
	@$(BIN)/transfer docs

docs-site: install ## the docs as a site: site/index.html; nothing is fetched
	@$(BIN)/mkdocs build --quiet

test: install ## run the tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadgroup

# What is kept under target/truth is not measured again; `make clean` removes it.
truth: install ## planted truth against the marts: writes docs/calibration.md
	@$(BIN)/python -m tests.truth --draws 200 --seed 1 --work target/truth --write-docs

# What is kept under target/torture is not done again; `make clean` removes it.
torture: install ## kills, flipped bits, hostile files, against a run that nobody disturbed: writes docs/survival.md
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.torture --seed 1 --work target/torture --write-docs

lint: install ## ruff, mypy, sqlfluff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/sqlfluff lint models dbt_project --disable-progress-bar

bench: install ## the benchmarks
	@$(BIN)/python -m benchmarks

clean: ## remove what can be made again; never the warehouse, what has landed or artifacts
	rm -rf target logs report.html .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
