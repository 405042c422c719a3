# `make help` lists the targets.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# The reference release: what the server answers as is what its tests were recorded from.
SPARK := 4.1.1

.DEFAULT_GOAL := help
.PHONY: help install run serve test lint types unit format docs lock compose-test clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# The lock's packages are installed again when its text changed, the project itself when its packaging did.
.venv/.locked: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Voltray needs Python 3.11 or newer; name one with PYTHON=..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@cmp -s requirements.lock .venv/.locked || { \
	  echo "Installing the packages of requirements.lock"; \
	  $(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements.lock; }
	@cp requirements.lock $@

.venv/.installed: .venv/.locked pyproject.toml hatch_build.py
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

install: .venv/.installed ## Make .venv and install the exact versions of requirements.lock
	@:

run: install ## Start an embedded server, run examples/quickstart.py against it, stop
	@$(BIN)/voltray run examples/quickstart.py

serve: install ## Run a server on sc://localhost:15002 until Ctrl-C; flags in FLAGS="--port 15003"
	@$(BIN)/voltray serve $(FLAGS)

test: lint types unit ## Lint, check the types, run the tests

lint: install ## Check the style and the import rule
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports

types: install ## Check the types with mypy
	@$(BIN)/mypy

unit: install ## Run the tests; a choice of them with TESTS="tests/driver -k join"
	@$(BIN)/python -m pytest $(TESTS)

format: install ## Sort imports, apply the safe fixes, lay out the code
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

docs: install ## Write docs/settings.md and docs/functions.md from what they describe
	@$(BIN)/python -c 'from voltray.driver.settings import settings_document; print(settings_document(), end="")' > docs/settings.md
	@$(BIN)/python tests/architecture/functions_document.py > docs/functions.md

lock: ## Resolve pyproject.toml anew into requirements.lock
	@rm -rf build/lock && $(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip install -qq --disable-pip-version-check -e '.[dev]' 'pyspark-client==$(SPARK)'
	@{ sed -n '/^#/p' requirements.lock; \
	   build/lock/bin/python -m pip freeze --disable-pip-version-check --exclude-editable; } > build/requirements.lock
	@mv build/requirements.lock requirements.lock && rm -rf build/lock

compose-test: install ## Build the images of docker-compose.yml, use its services, remove them; needs root and dockerd
	@$(BIN)/python tests/deployment/compose.py

clean: ## Remove what the targets made, the virtual environment too
	@rm -rf .venv .editable build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
