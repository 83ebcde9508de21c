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

# What dbt was told for another project is not meant for this one.
$(foreach variable,$(filter DBT_%,$(.VARIABLES)),$(eval unexport $(variable)))

# transfer tells this itself; dbt and duckdb would end in a traceback.
WANTS_FILE := test ! -d "$${WAREHOUSE/\#\~/$$HOME}" || { echo "WAREHOUSE=$$WAREHOUSE: expected a file, found a folder" >&2; exit 2; }

export DO_NOT_TRACK := 1
export GX_ANALYTICS_ENABLED := false

.PHONY: help all install compute build check report sql docs test truth lint bench clean

help: ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'
	@echo "  variables: STUDY=$$STUDY WAREHOUSE=$$WAREHOUSE EXECUTOR=$$EXECUTOR DEVICE=$$DEVICE"

# Exit code 1 of a verb means that some jobs or checks failed: the rest is still built and reported, then it is told.
all: install ## install, compute, build, check, report: the whole STUDY
	@code=0; $(BIN)/transfer compute || code=$$?; \
	test $$code -le 1 || exit $$code; \
	$(BIN)/dbt build --quiet; \
	$(BIN)/transfer check || code=$$?; \
	test $$code -le 1 || exit $$code; \
	$(BIN)/transfer report; \
	$(BIN)/python -m report.afterword; \
	exit $$code

install: $(INSTALLED) ## make .venv with the pinned dependencies

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, this is " + sys.version.split()[0])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

compute: install ## compute what STUDY still lacks and load it
	@$(BIN)/transfer compute

build: install ## dbt build: the marts and their tests
	@$(WANTS_FILE)
	@$(BIN)/dbt build

check: install ## Great Expectations over the warehouse; non-zero when an error-level check fails
	@$(BIN)/transfer check

report: install ## one self-contained report.html
	@$(BIN)/transfer report

sql: install ## a DuckDB shell on the warehouse
	@$(WANTS_FILE)
	@FILE=$${WAREHOUSE:-warehouse.duckdb}; $(BIN)/duckdb -cmd "attach '$${FILE//\'/\'\'}' as warehouse; use warehouse"

docs: install ## the dbt docs, one page: target/static_index.html
	@$(WANTS_FILE)
	@$(BIN)/dbt docs generate --static

test: install ## run the tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadgroup

# What is kept under target/truth is not measured again; `make clean` removes it.
truth: install ## planted truth against the marts: writes docs/calibration.md
	@$(BIN)/python -m tests.truth --draws 200 --seed 1 --work target/truth --write-docs

lint: install ## ruff, mypy, sqlfluff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/sqlfluff lint models dbt_project --disable-progress-bar

bench: install ## the benchmarks
	@$(BIN)/python -m benchmarks

clean: ## remove what can be made again; never the warehouse, landed shards or artefacts
	rm -rf target logs report.html .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
