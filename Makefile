# Every target makes what it needs first: .venv with the locked requirements, .venv-checkov for the templates' checks,
# .venv-sbom for what looks at the deployed packages, .venv-lock for what locks them, .venv-azure-cli for the Azure CLI, and
# .venv-conformance for Microsoft's tests; the bundle's packages are under dist/. Nothing is installed anywhere else.

BIN := .venv/bin
DEKS ?= 500
BITS ?= 4096
STATE ?= .local/azure
WORKERS ?= 2
SNAPSHOT ?= validate
INTERACTIVE ?=
RELEASE ?= 0.1.0
UPGRADE ?=

.PHONY: help demo unit test test-long test-browser conformance model lint format local lock bundle package sbom audit bench infra histories site pictures azure-cli

help:
	@echo "make demo   a whole rotation on the local Azure, under live traffic (DEKS=$(DEKS) BITS=$(BITS); INTERACTIVE=1: you decide)"
	@echo "make unit   the tests that need no service, in seconds"
	@echo "make test   every test but the long ones"
	@echo "make test-long  whole rotations, migrations and their failures, one after the other"
	@echo "make test-browser  the approver's page and the console in Debian's chromium-headless-shell, which must be installed"
	@echo "make conformance  Microsoft's own tests of its SDKs against the local services (downloads them from PyPI once)"
	@echo "make model  the protocol explored exhaustively by spin, which must be installed, with gcc"
	@echo "make lint   rules, format and types"
	@echo "make lock   locks/ after a change of a requirements file (UPGRADE=--upgrade: everything to its newest version)"
	@echo "make bundle   what is deployed, packages included: dist/keyturn.zip and, unpacked, dist/keyturn"
	@echo "make package  the same, then imported alone, started, tried by a rotation"
	@echo "make sbom   what is deployed as CycloneDX: dist/sbom.json"
	@echo "make audit  known vulnerabilities of what is deployed (asks pypi.org)"
	@echo "make infra  the templates by their own compiler: the bicep that BICEP names, or that is on the PATH"
	@echo "make bench  how fast a sweep is, beside bench/baselines/ (some ten minutes; an idle machine)"
	@echo "make histories  records the workflows of this code for the tests of tests/histories (RELEASE=$(RELEASE))"
	@echo "make pictures  those of README.md, out of a real rotation (takes a minute and Debian's chromium-headless-shell)"
	@echo "make site   docs/ and every README as a site: dist/docs/site/index.html"
	@echo "make azure-cli  every az command of the pages held to the Azure CLI itself, offline (installs it once: 0.7 GB)"
	@echo "make local  the local Azure, until Ctrl-C (STATE=$(STATE))"

.venv/.installed: locks/requirements-dev.txt tools/bootstrap
	@tools/bootstrap

.venv-checkov/.installed: locks/requirements-infra.txt tools/bootstrap
	@tools/bootstrap .venv-checkov locks/requirements-infra.txt

.venv-browser/.installed: locks/requirements-browser.txt tools/bootstrap
	@tools/bootstrap .venv-browser locks/requirements-browser.txt

.venv-conformance/.installed: locks/requirements-conformance.txt tools/bootstrap
	@tools/bootstrap .venv-conformance locks/requirements-conformance.txt

.venv-sbom/.installed: locks/requirements-sbom.txt tools/bootstrap
	@tools/bootstrap .venv-sbom locks/requirements-sbom.txt

.venv-azure-cli/.installed: locks/requirements-azure-cli.txt tools/bootstrap
	@tools/bootstrap .venv-azure-cli locks/requirements-azure-cli.txt

.venv-lock/.installed: locks/requirements-lock.txt tools/bootstrap
	@tools/bootstrap .venv-lock locks/requirements-lock.txt

demo: .venv/.installed
	@$(BIN)/python -m local.demo --deks $(DEKS) --bits $(BITS) $(if $(INTERACTIVE),--interactive)

unit: .venv/.installed
	$(BIN)/python -m pytest -m unit -q

test: .venv/.installed .venv-checkov/.installed .venv-sbom/.installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not long and not browser"

test-long: .venv/.installed .venv-checkov/.installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m long

test-browser: .venv-browser/.installed
	.venv-browser/bin/python -m pytest -m browser

conformance: .venv/.installed .venv-conformance/.installed
	@$(BIN)/python -m conformance

model: .venv/.installed
	@$(BIN)/python -m tools.model

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

local: .venv/.installed
	@$(BIN)/python -m local up --state $(STATE) --deks $(DEKS) --bits $(BITS)

lock: .venv-lock/.installed
	tools/lock $(UPGRADE)

pictures: .venv-browser/.installed
	@.venv-browser/bin/python -m tools.pictures

azure-cli: .venv/.installed .venv-azure-cli/.installed
	@mkdir -p .local && $(BIN)/python -m tests.docs.azure_blocks .local/azure-commands.json
	@.venv-azure-cli/bin/python -m tools.azure_cli .local/azure-commands.json

site: .venv/.installed
	@$(BIN)/python -m tools.site

bundle: .venv/.installed
	@$(BIN)/python -m local.package --no-trial

package: .venv/.installed
	@$(BIN)/python -m local.package

sbom: bundle .venv-sbom/.installed
	.venv-sbom/bin/cyclonedx-py environment dist/environment/bin/python --output-reproducible --of JSON -o dist/sbom.json
	@$(BIN)/python -m local.package.bill dist/sbom.json

audit: bundle .venv-sbom/.installed
	.venv-sbom/bin/pip-audit --strict --progress-spinner off --path dist/keyturn/.python_packages/lib/site-packages

bench: .venv/.installed
	@$(BIN)/python -m bench --json .local/bench.json --against bench/baselines/sweep.json

histories: .venv/.installed
	@$(BIN)/python -m tests.histories.record $(RELEASE)

# SNAPSHOT=overwrite writes the snapshots anew, to be read in the diff.
infra:
	@infra/check $(SNAPSHOT)
