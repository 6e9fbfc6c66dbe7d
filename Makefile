# The words a contributor needs. `make run` and `make test` work from an empty clone.
VENV ?= .venv
# Flags for what is started: make run ARGS="--workers 4", make test ARGS="-k door"
ARGS ?=

# Most tests wait more than they work, so three files of them go side by side.
SIDE_BY_SIDE ?= -n 3 --dist loadfile

BIN := $(VENV)/bin
PLUGINS := $(sort $(wildcard plugins/*/pyproject.toml))
PROJECTS := pyproject.toml $(PLUGINS)
EDITABLE := -e ".[all]" $(patsubst %/pyproject.toml,-e %,$(PLUGINS))

.DEFAULT_GOAL := help
.PHONY: help run test lint format bench chaos environment clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.run ## start everything: API, scheduler, workers, the sample bots
	@$(BIN)/codex32 --config config/samples.yaml up $(ARGS)

test: $(VENV)/.develop ## run the whole test suite, with its own Redis and PostgreSQL
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

lint: $(VENV)/.develop ## check style, types and the floors of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg

format: $(VENV)/.develop ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.develop ## measure executions per second beside bare Dramatiq
	@$(BIN)/python -m benchmarks $(ARGS)

chaos: $(VENV)/.develop ## harm a house at random for minutes, and count what it lost
	@$(BIN)/python -m tests.faults.chaos --seconds 150 --database sqlite $(ARGS)
	@$(BIN)/python -m tests.faults.chaos --seconds 150 --database postgresql $(ARGS)
	@$(BIN)/python -m pytest -q -m long tests

environment: $(VENV)/.develop ## make the environment for development

clean: ## remove what was made here; bots and their history in .codex32 stay
	rm -rf $(VENV) build dist *.egg-info plugins/*/build plugins/*/*.egg-info \
	    .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage htmlcov

# The stamps are older than a project file that was changed since, and then it is installed again.
$(VENV)/.run: $(BIN)/python $(PROJECTS)
	@echo "installing Codex-32 into $(VENV)"
	@$(call install,$(EDITABLE))
	@touch $@

$(VENV)/.develop: $(BIN)/python $(PROJECTS)
	@echo "installing Codex-32 and its development tools into $(VENV)"
	@$(call install,$(EDITABLE) --group dev)
	@touch $(VENV)/.run $@

# uv is used where it is there, since it is quicker; pip knows --group since 25.1. Setuptools warns
# of every editable installation, whatever its layout.
define install
export PYTHONWARNINGS=ignore; \
if command -v uv >/dev/null; then \
    uv pip install --quiet --python $(BIN)/python $(1); \
else \
    $(BIN)/python -m pip install --quiet $(1); \
fi
endef

$(BIN)/python:
	@if command -v uv >/dev/null; then \
	    uv venv --quiet --seed --python $${PYTHON:-'>=3.11'} $(VENV); \
	    exit; \
	fi; \
	for python in $${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do \
	    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
	    python=; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "Codex-32 needs Python 3.11 or newer, and none is on the PATH;" >&2; \
	    echo "install one, or name it: make run PYTHON=/path/to/python3" >&2; \
	    exit 1; \
	fi; \
	"$$python" -m venv $(VENV) || { \
	    rm -rf $(VENV); \
	    echo "this Python cannot make environments; on Debian: apt install python3-venv" >&2; \
	    exit 1; \
	}; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
