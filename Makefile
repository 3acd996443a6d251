# What people type. `make` alone lists it.
#
# The environment in .venv is made once and brought up to date only when the pinned requirements
# change: two stamp files in it remember what is installed.

VENV := .venv
PY := $(VENV)/bin/python
RUN_STAMP := $(VENV)/.stamp-run
DEV_STAMP := $(VENV)/.stamp-dev
PYTHON_GITLAB_STAMP := .venv-python-gitlab/.stamp
SCHEMATHESIS_STAMP := .venv-schemathesis/.stamp
LDAP_STAMP := $(VENV)/.stamp-ldap
OIDC_PROVIDER_STAMP := .venv-oidc-provider/.stamp
LIGHTHOUSE_STAMP := .venv-lighthouse/.stamp
AUDIT_VENV := .venv-audit
# One more than the two cores that it should do with: many tests wait for a clock or a client.
JOBS ?= 3
PYTEST := $(PY) -m pytest -n $(JOBS)
PIP_COMPILE := $(PY) -m piptools compile --quiet --no-emit-index-url --no-emit-trusted-host \
	--no-emit-find-links --strip-extras $(if $(UPGRADE),--upgrade)

export PYTHON ?=
# Compiled modules are kept: without them each process that a test starts compiles all of ours anew,
# and each of pytest's workers rewrites the assertions of every test.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help audit openapi reference faults run test e2e e2e-all compose-test monitoring-test bench lighthouse screenshots tour timing lint format typecheck coverage requirements install install-dev \
	test-packages check-packages python-gitlab schemathesis oidc-provider ldap clean

help: ## List what there is
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

run: $(RUN_STAMP) ## Start Berth: web, registry and worker, until Ctrl-C
	@$(PY) manage.py serve

test: $(DEV_STAMP) test-packages ## Run every test, on SQLite and on PostgreSQL
	$(PYTEST) -m "not slow" tests
	$(PYTEST) --engine=postgresql -m "not slow and not e2e and not system and not engineless" tests

e2e: $(DEV_STAMP) test-packages ## Run the tests that use docker, podman, skopeo and buildah
	$(PYTEST) -m "e2e and not slow" tests

e2e-all: $(DEV_STAMP) test-packages ## The same, with those that take minutes
	$(PYTEST) -m e2e tests

compose-test: $(DEV_STAMP) ## Make images and run docker-compose.yml (root; COMPOSE_CACHE=folder keeps them)
	@scripts/install-test-packages docker-compose debootstrap
	$(PY) -m pytest -m compose tests/compose

monitoring-test: $(DEV_STAMP) ## Have Prometheus' promtool check the alert rules
	@scripts/install-test-packages prometheus
	$(PY) -m pytest -m monitoring tests/monitoring

faults: $(DEV_STAMP) ## Inject faults for an hour: SECONDS=60 each, KILLS=600 a stack (SEED=… repeats one)
	@seed=$${SEED:-$$(date +%s)}; mkdir -p tests/.artifacts; \
	with="SEED=$$seed SECONDS=$(or $(SECONDS),60) KILLS=$(or $(KILLS),600)"; \
	echo "$$with" | tee -a tests/.artifacts/fault-seeds; \
	env $$with $(PY) -m pytest -m faults tests; code=$$?; \
	env $$with $(PY) -m pytest --engine=postgresql -m "faults and not engineless" tests || code=$$?; \
	cat tests/.artifacts/faults-*.md; exit $$code

timing: $(DEV_STAMP) ## Measure whether what one may not see can be told by the time it takes
	@rm -f tests/.artifacts/timing.txt
	$(PY) -m pytest -m slow tests/bad_inputs/test_timing.py; code=$$?; \
	cat tests/.artifacts/timing.txt; exit $$code

lint: $(DEV_STAMP) ## Check style, formatting and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

# An environment of its own, which need not be there: where it can't be made nothing is audited, and
# the script says so.
audit: ## Ask the advisory service about all requirements (REQUIRE_AUDIT=1: fail without an answer)
	@out=$$(scripts/make-environment $(AUDIT_VENV) --package "pip-audit>=2.10" 2>&1) \
		|| echo "pip-audit can't be installed: $$(echo "$$out" | tail -n 1)"; \
	AUDIT_PYTHON=$(AUDIT_VENV)/bin/python scripts/audit-requirements \
		requirements.txt requirements-sigstore.txt requirements-dev.txt requirements-ldap.txt

bench: $(DEV_STAMP) test-packages ## Measure the hot paths beside docker-registry (some 18 minutes)
	@scripts/install-test-packages wrk apache2-utils
	$(PY) -m benchmarks
	$(PY) -m benchmarks.table

lighthouse: $(DEV_STAMP) $(LIGHTHOUSE_STAMP) ## Lighthouse's marks for the pages (needs node, npm and Chromium; some 6 minutes)
	$(PY) -m benchmarks.lighthouse

screenshots: $(DEV_STAMP) test-packages ## Every page in four forms, as pictures in tests/.artifacts/screenshots/
	SCREENSHOTS=1 $(PY) -m pytest -m e2e tests/e2e/test_every_page.py

tour: $(DEV_STAMP) test-packages ## Take the pictures of docs/tour.md anew
	$(PY) manage.py shell --no-imports -c "from tests.e2e import tour; tour.main()"

format: $(DEV_STAMP) ## Put the code into the form that lint wants
	$(PY) -m ruff check --fix-only .
	$(PY) -m ruff format .

typecheck: $(DEV_STAMP) ## Check types only
	$(PY) -m mypy

coverage: $(DEV_STAMP) ## Run unit and endpoint tests and write htmlcov/
	$(PYTEST) -m "not e2e and not system" --cov --cov-report=term --cov-report=html tests

requirements: $(DEV_STAMP) ## Pin the requirements anew (UPGRADE=1 takes the newest)
	$(PIP_COMPILE) --generate-hashes --output-file requirements.txt requirements.in
	$(PIP_COMPILE) --generate-hashes --output-file requirements-sigstore.txt requirements-sigstore.in
	$(PIP_COMPILE) --output-file requirements-dev.txt requirements-dev.in
	$(PIP_COMPILE) --generate-hashes --output-file requirements-ldap.txt requirements-ldap.in

reference: $(RUN_STAMP) ## Write the reference in docs/configuration.md anew, from the tables in gitlab/config
	@{ sed '/^<!-- Everything below/q' docs/configuration.md; printf '\n## The addresses\n\n'; \
		$(PY) manage.py show_config --format markdown; } >docs/configuration.md.new
	@mv docs/configuration.md.new docs/configuration.md

openapi: $(RUN_STAMP) ## Write the description of the API in docs/openapi.yaml anew, from the operations
	$(PY) manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

install: $(RUN_STAMP) ## Make the environment that Berth runs in

install-dev: $(DEV_STAMP) ## The same, with what tests and checks need

test-packages: ## Install the Debian packages that the tests use (needs root; skips elsewhere)
	@scripts/install-test-packages

check-packages: ## Say which of those packages are missing, and install nothing
	@scripts/install-test-packages --check

python-gitlab: $(PYTHON_GITLAB_STAMP) ## An environment of its own for PyPI's python-gitlab

schemathesis: $(SCHEMATHESIS_STAMP) ## An environment of its own for schemathesis

oidc-provider: $(OIDC_PROVIDER_STAMP) ## npm's provider of OpenID Connect, for its tests (needs node and npm)

ldap: $(LDAP_STAMP) ## What directories (LDAP) need, into the same environment (needs a compiler)

clean: ## Remove caches and reports; the environment and the state folder stay
	rm -rf .mypy_cache .ruff_cache .pytest_cache htmlcov .coverage .coverage.* tests/.artifacts
	find . -path ./$(VENV) -prune -o -type d -name __pycache__ -exec rm -rf {} +

$(RUN_STAMP): requirements.txt scripts/make-environment
	@scripts/make-environment $(VENV) requirements.txt
	@touch $@

$(DEV_STAMP): requirements-dev.txt requirements.txt scripts/make-environment
	@scripts/make-environment $(VENV) requirements.txt requirements-dev.txt
	@touch $(RUN_STAMP) $@

# python-ldap comes as source alone: docs/sign-in.md says what Debian has to have for it.
$(LDAP_STAMP): requirements-ldap.txt requirements.txt scripts/make-environment | $(RUN_STAMP)
	@scripts/make-environment $(VENV) requirements-ldap.txt
	@touch $@

# It is imported as `gitlab`, as our own package is, so the two never share an environment.
$(PYTHON_GITLAB_STAMP): scripts/make-environment
	@scripts/make-environment .venv-python-gitlab --package "python-gitlab>=8"
	@touch $@

# Its pytest plugin and its hypothesis would be those of our own tests too.
$(SCHEMATHESIS_STAMP): scripts/make-environment
	@scripts/make-environment .venv-schemathesis --package "schemathesis>=4,<5"
	@touch $@

# npm's, but a folder as those of the environments beside it.
$(OIDC_PROVIDER_STAMP): tests/e2e/oidc_provider/package.json
	@mkdir -p $(@D)
	@cp $< $(@D)/package.json
	npm install --prefix $(@D) --no-audit --no-fund --no-package-lock --ignore-scripts
	@touch $@

# npm's too. What `npm ci` installs is what the lock says, to the digest.
$(LIGHTHOUSE_STAMP): benchmarks/lighthouse/package.json benchmarks/lighthouse/package-lock.json
	@mkdir -p $(@D)
	@cp $^ $(@D)/
	npm ci --prefix $(@D) --no-audit --no-fund --ignore-scripts
	@touch $@
