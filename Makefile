# The environment is .venv in this checkout; a second call reuses it. Everything is pinned in
# requirements.lock. PYTHON=/path/to/python3.11 chooses the interpreter.

PYTHON ?= $(shell ./find-python.sh)
VENV := .venv
STAMP := $(VENV)/.installed
NATIVE := native/CMakeLists.txt $(shell find plumbline/features/native plumbline/dlrm/kernels -type f -not -name '*.py')
BUILT := $(VENV)/.built
PEERS := .venv-peers

.PHONY: env run test lint peers bench soak chaos clean

env: $(BUILT)

$(STAMP): requirements.lock
	@test -n "$(PYTHON)" || { ./find-python.sh --explain; exit 2; }
	rm -f $@
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet "$$(grep '^pip==' requirements.lock)"
	$(VENV)/bin/python -m pip install --quiet --build-constraint requirements.lock -r requirements.lock
	touch $@

# Without a C++ compiler the install succeeds too, and NumPy and torch do the work.
$(BUILT): $(STAMP) pyproject.toml $(NATIVE)
	rm -f $@ plumbline/_native.*.so plumbline/dlrm/_kernels*.so
	$(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@$(VENV)/bin/python -c 'import torch, plumbline._native, plumbline.dlrm._kernels' 2>/dev/null || \
		echo "note: the native modules were not built (is there a C++20 compiler?): NumPy and torch do their work, slower" >&2
	touch $@

run: env
	$(VENV)/bin/python pipelines/run_all.py

test: env
	$(VENV)/bin/python -m pytest -n 2 --dist loadgroup

lint: env
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# What benchmarks compare with and draw with, beside the environment and not in it.
peers: $(PEERS)

$(PEERS): benchmarks/requirements-peers.txt $(STAMP)
	rm -rf $@ $@.partial
	$(VENV)/bin/python -m pip install --quiet --no-deps --target $@.partial -r $<
	mv $@.partial $@
	touch $@

bench: env peers
	$(VENV)/bin/python benchmarks/etl.py
	$(VENV)/bin/python benchmarks/online.py
	$(VENV)/bin/python benchmarks/operators.py
	$(VENV)/bin/python benchmarks/interaction.py
	$(VENV)/bin/python benchmarks/train.py
	$(VENV)/bin/python benchmarks/threads.py
	$(VENV)/bin/python benchmarks/roofline.py
	$(VENV)/bin/python benchmarks/scoring.py
	$(VENV)/bin/python benchmarks/serve.py
	$(VENV)/bin/python benchmarks/gateway.py

# Ten minutes of mixed load on a server.
soak: env
	$(VENV)/bin/python benchmarks/soak.py

# Ten minutes of faults under traffic, and runs that are killed.
chaos: env
	$(VENV)/bin/python benchmarks/chaos.py
	$(VENV)/bin/python benchmarks/kills.py --kills 200

clean:
	rm -rf $(VENV) $(PEERS) $(PEERS).partial runs plumbline/_native.*.so plumbline/dlrm/_kernels*.so
	-git clean -fdXq native
