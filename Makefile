# Every target sets up what it needs in $(VENV) by itself. `make` alone lists the targets.

VENV    ?= .venv
PYTHON  ?= python3.13 python3.12 python3.11 python3
# auto: two more than cores, see tests/conftest.py.
WORKERS ?= auto

# An editable install builds the page of the viewer from these, see hatch_build.py.
PAGE := hatch_build.py $(shell find src/ivimkit/viewer/page -name node_modules -prune -o -type f -print)

BIN := $(VENV)/bin
PY  := $(BIN)/python
# With WHEEL=1 the unpacked wheel comes before the checkout. Idle threads of BLAS would take time
# from other workers.
PYTEST := OPENBLAS_NUM_THREADS=1 $(if $(WHEEL),PYTHONPATH="$(CURDIR)/build/wheel" )$(PY) -m pytest
# With its own copies of the schemas: nothing is fetched.
SCHEMA := $(BIN)/check-jsonschema --quiet --builtin-schema
PIP := $(PY) -m pip --disable-pip-version-check --no-input --quiet

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: help demo test test-fast fuzz lint format docs bench wheel release-check sbom hooks clean \
    distclean

help: ## list the targets (default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'Options: ARGS="..." goes to the program; PYTHON=... the interpreter; VENV=... the'
	@echo 'environment; WORKERS=2 the test processes; WHEEL=1 tests the built wheel.'

demo: $(VENV)/.installed ## install ivimkit and run it on a built-in phantom
	$(BIN)/ivimkit demo $(ARGS)

# Bytecode of the tests takes seconds to make: it is kept, whatever the environment says.
test test-fast: export PYTHONDONTWRITEBYTECODE :=

test: $(VENV)/.installed-test $(if $(WHEEL),wheel) ## run all tests, and list what was slow
	@echo 'compiling what the tests share (a minute or two the first time)'
	$(if $(WHEEL),PYTHONPATH="$(CURDIR)/build/wheel" )$(PY) tests/warm_up.py
	$(PYTEST) --numprocesses $(WORKERS) --dist worksteal --durations=25 --durations-min=3 $(ARGS)

test-fast: $(VENV)/.installed-test ## run the quick half of the tests, for every day
	$(PYTEST) --fast --numprocesses $(WORKERS) --dist worksteal $(ARGS)

fuzz: $(VENV)/.installed-test ## damage files for every reader, for minutes (ARGS="--cases 5000")
	PYTHONPATH="$(CURDIR)/tests" $(PY) -m fuzz $(ARGS)

lint: $(VENV)/.installed-dev ## check format, style, types and layers
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(BIN)/lint-imports
	$(PY) tests/page_tools.py check lint
	$(BIN)/hadolint containers/Dockerfile
	$(SCHEMA) github-workflows .github/workflows/*.yml
	$(SCHEMA) github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
	$(SCHEMA) github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(SCHEMA) dependabot .github/dependabot.yml
	$(SCHEMA) citation-file-format CITATION.cff
	$(BIN)/zizmor --quiet --offline --no-progress .

format: $(VENV)/.installed-dev ## reformat and fix what can be fixed
	$(PY) -m ruff check --fix-only .
	$(PY) -m ruff format .

docs: $(VENV)/.installed-docs ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict $(ARGS)

bench: $(VENV)/.installed-bench ## run the benchmarks
	$(PY) -m benchmarks $(ARGS)

wheel: | $(PY) ## build dist/*.whl and unpack it into build/wheel
	rm -rf dist build/wheel
	$(PIP) wheel --no-deps --wheel-dir dist .
	$(PIP) install --no-deps --target build/wheel dist/*.whl

release-check: | $(PY) ## try sdist and wheel in clean environments, oldest and newest versions
	$(PY) release/check.py $(ARGS)

sbom: $(VENV)/.installed-release ## list all packages of a release (after release-check)
	$(PY) release/sbom.py build/release/dist/*.whl

hooks: $(VENV)/.installed-dev ## lint before each commit, test before each push
	$(BIN)/pre-commit install --hook-type pre-commit --hook-type pre-push

clean: ## remove what was built
	rm -rf build dist site ivimkit-demo .hypothesis .import_linter_cache .mypy_cache \
	    .pytest_cache .ruff_cache
	find src tests benchmarks docs examples -type d -name __pycache__ -prune \
	    -exec rm -rf {} + 2>/dev/null || true

distclean: clean ## remove what was built and the environment
	rm -rf $(VENV) src/ivimkit/viewer/static src/ivimkit/viewer/page/node_modules

# ------------------------------------------------------------------ the virtual environment

# One stamp per extra, so that the demo does not wait for the tools of the tests.
define install
	@echo 'installing $(1) into $(VENV) (a minute or two the first time)'
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip >/dev/null
	@$(PIP) install --editable '$(1)'
	@touch $@
endef

$(VENV)/.installed: pyproject.toml $(PAGE) | $(PY)
	$(call install,.)

$(VENV)/.installed-%: pyproject.toml $(PAGE) | $(PY)
	$(call install,.[$*])

# The first interpreter that is new enough and can make environments. --clear repairs one whose
# interpreter is gone.
$(PY):
	@for python in $(PYTHON); do \
	    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	    "$$python" -c 'import ensurepip, venv' 2>/dev/null || { bare=$$python; continue; }; \
	    echo "making $(VENV) with $$("$$python" --version)"; \
	    if [ -e $(VENV)/pyvenv.cfg ]; then clear=--clear; fi; \
	    exec "$$python" -m venv $$clear $(VENV); \
	done; \
	if [ -n "$$bare" ]; then \
	    echo "$$bare cannot make virtual environments: its venv module is not installed." \
	        "On Debian or Ubuntu: apt-get install $${bare##*/}-venv"; \
	else \
	    echo "ivimkit needs Python 3.11 or newer; found none among: $(PYTHON)." \
	        "Install one, or name it: make PYTHON=/path/to/python3"; \
	fi >&2; \
	exit 1
