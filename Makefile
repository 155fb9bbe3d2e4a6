# Everything a developer or an installation calls; see README. Needs Python 3.11+ and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ESLINT := tests/scripts/node_modules/eslint/bin/eslint.js

.PHONY: run test test-js test-deps test-long bench fuzz soak lint lint-js lock messages
.DEFAULT_GOAL := run

run: $(VENV)/installed
	@exec $(BIN)/python -m webim_offline.supervisor

test: $(VENV)/installed-tests
	@.ci/test-deps || true
	@exec $(BIN)/python -m tests.suite quick

# the pure parts of the scripts, in seconds; `make test` runs them too
test-js: $(VENV)/installed-tests
	@$(BIN)/node --disable-warning=MODULE_TYPELESS_PACKAGE_JSON --test tests/scripts/*.test.js

test-long: $(VENV)/installed-tests
	@exec $(BIN)/python -m tests.suite long

test-deps:
	@.ci/test-deps

bench: $(VENV)/installed-tests
	@exec $(BIN)/python -m tests.benchmarks "$(NAME)"

# new random histories against the reference model (tests/model) for MINUTES, on all cores
MINUTES ?= 30
fuzz: $(VENV)/installed-tests
	@exec $(BIN)/python -m tests.model.fuzz $(MINUTES)

# the production layout behind nginx under two hundred events a second, for SECONDS (300)
soak: $(VENV)/installed-tests
	@exec $(BIN)/python -m tests.soak $(SECONDS)

lint: $(VENV)/installed-tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/djlint --lint --quiet templates
	@$(MAKE) --no-print-directory lint-js
	$(BIN)/python -m tests.audit

lint-js: $(ESLINT)
	$(BIN)/node $(ESLINT) --config tests/scripts/eslint.config.mjs dialogs/static tests/scripts

# requirements.txt changed: the locks, what is installed, and the list of licences follow; `make lock UPGRADE=1` takes newer versions
lock: $(VENV)/installed-tests
	$(BIN)/python -m tests.locks $(if $(UPGRADE),--upgrade)
	$(MAKE) $(VENV)/installed-tests
	$(BIN)/python -m tests.licences

# msgids from the sources into the .po files; `make messages FROM=words.json` also merges translations
messages: $(VENV)/installed-tests
	$(BIN)/python -m tests.catalogue $(FROM)

$(VENV)/installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV) || { [ "$$(id -u)" = 0 ] && apt-get install -y -q python3-venv && $(PYTHON) -m venv $(VENV); }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/installed-tests: $(VENV)/installed tests/requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/requirements.lock
	@touch $@

# ESLint alone comes from npm, as its lock file says; the product and its tests need nothing from there
$(ESLINT): $(VENV)/installed-tests tests/scripts/package-lock.json
	cd tests/scripts && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
