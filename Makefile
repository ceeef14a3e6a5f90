# Every target makes what it needs first: .venv with the pinned requirements, and .venv-checkov for the templates' checks.
# Nothing is installed anywhere else.

BIN := .venv/bin
DEKS ?= 500
BITS ?= 4096
STATE ?= .local/azure
WORKERS ?= 2

.PHONY: help demo test lint format local

help:
	@echo "make demo   a whole rotation on the local Azure, under live traffic (DEKS=$(DEKS) BITS=$(BITS))"
	@echo "make test   every test"
	@echo "make lint   rules, format and types"
	@echo "make local  the local Azure, until Ctrl-C (STATE=$(STATE))"

.venv/.installed: requirements.txt requirements-dev.txt tools/bootstrap
	@tools/bootstrap

.venv-checkov/.installed: requirements-infra.txt tools/bootstrap
	@tools/bootstrap .venv-checkov requirements-infra.txt

demo: .venv/.installed
	@$(BIN)/python -m local.demo --deks $(DEKS) --bits $(BITS)

test: .venv/.installed .venv-checkov/.installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

local: .venv/.installed
	@$(BIN)/python -m local up --state $(STATE) --deks $(DEKS) --bits $(BITS)
