# The environment is .venv in this checkout; a second call reuses it. Everything is pinned in
# requirements.lock. PYTHON=/path/to/python3.11 chooses the interpreter.

PYTHON ?= $(shell ./find-python.sh)
VENV := .venv
STAMP := $(VENV)/.installed

.PHONY: env run test lint bench clean

env: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { ./find-python.sh --explain; exit 2; }
	rm -f $@
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet "$$(grep '^pip==' requirements.lock)"
	$(VENV)/bin/python -m pip install --quiet --build-constraint requirements.lock -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

run: env
	$(VENV)/bin/python pipelines/run_all.py

test: env
	$(VENV)/bin/python -m pytest

lint: env
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: env
	$(VENV)/bin/python benchmarks/etl.py

clean:
	rm -rf $(VENV) runs
