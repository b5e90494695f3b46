# The environment is .venv in this checkout; a second call reuses it. Everything is pinned in the files
# requirements*.lock. PYTHON=/path/to/python3.12 chooses the interpreter; `make env GPU=1` adds RAPIDS,
# `make env DISTRIBUTED=1` what training on several processes needs, `make env SPARK=1` Spark.

PYTHON ?= $(shell ./find-python.sh)
VENV := .venv
STAMP := $(VENV)/.installed
GPU_STAMP := $(VENV)/.installed-gpu
DISTRIBUTED_STAMP := $(VENV)/.installed-distributed
SPARK_STAMP := $(VENV)/.installed-spark
DOCS_STAMP := $(VENV)/.installed-docs
NATIVE := native/CMakeLists.txt $(shell find plumbline/features/native plumbline/dlrm/kernels -type f -not -name '*.py')
BUILT := $(VENV)/.built
PEERS := .venv-peers
STORE := .venv-store
SANITIZED := $(VENV)/sanitized
# Modules are compiled when they are first imported: few of them are, and all take minutes.
unexport PYTHONDONTWRITEBYTECODE
INSTALL := $(VENV)/bin/python -m pip install --quiet --no-compile
GPU_PYTHON ?= $(if $(wildcard $(VENV)/bin/python),$(VENV)/bin/python,python3)
FUZZ_SECONDS ?= 200
FUZZ_SEED ?= $(shell date +%s)

.PHONY: env run test test-slow test-spark lint docs peers store bench gpu-check soak chaos fuzz clean

ifneq ($(filter-out 1,$(DISTRIBUTED)),)
$(error DISTRIBUTED=$(DISTRIBUTED): wanted DISTRIBUTED=1 to train on several processes, or no DISTRIBUTED at all)
endif

ifneq ($(filter-out 1,$(GPU)),)
$(error GPU=$(GPU): wanted GPU=1 for a GPU machine, or no GPU at all)
endif

ifneq ($(filter-out 1,$(SPARK)),)
$(error SPARK=$(SPARK): wanted SPARK=1 for ETL on Spark, or no SPARK at all)
endif

env: $(BUILT) $(if $(GPU),$(GPU_STAMP)) $(if $(DISTRIBUTED),$(DISTRIBUTED_STAMP)) $(if $(SPARK),$(SPARK_STAMP))

# merlin-core declares pandas < 1.6, but works with the pandas of requirements.lock.
$(STAMP): requirements.lock requirements-merlin.lock
	@test -n "$(PYTHON)" || { ./find-python.sh --explain; exit 2; }
	rm -f $@
	$(PYTHON) -m venv --clear $(VENV)
	$(INSTALL) "$$(grep '^pip==' requirements.lock)"
	$(INSTALL) --build-constraint requirements.lock -r requirements.lock
	$(INSTALL) --build-constraint requirements.lock --no-deps -r requirements-merlin.lock
	touch $@

$(GPU_STAMP): $(STAMP) requirements-gpu.lock
	$(INSTALL) --build-constraint requirements.lock -r requirements.lock -r requirements-gpu.lock
	touch $@

$(DISTRIBUTED_STAMP): $(STAMP) requirements-distributed.lock
	grep -v "^fbgemm-gpu$(if $(GPU),-cpu)==" requirements-distributed.lock > $(VENV)/distributed.lock
	$(INSTALL) --build-constraint requirements.lock --no-deps -r $(VENV)/distributed.lock
	touch $@

# pyspark comes as source, 300 MB of it, which takes longer to install than all else.
$(SPARK_STAMP): $(STAMP) requirements-spark.lock
	$(INSTALL) --no-deps --no-build-isolation -r requirements-spark.lock
	touch $@

$(DOCS_STAMP): $(STAMP) requirements-docs.lock
	$(INSTALL) --no-deps -r requirements-docs.lock
	touch $@

# Without a C++ compiler the install succeeds too, and NumPy and torch do the work.
$(BUILT): $(STAMP) pyproject.toml $(NATIVE)
	rm -f $@ plumbline/_native.*.so plumbline/dlrm/_kernels*.so
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@$(VENV)/bin/python -c 'import torch, plumbline._native, plumbline.dlrm._kernels' 2>/dev/null || \
		echo "note: the native modules were not built (is there a C++20 compiler?): NumPy and torch do their work, slower" >&2
	@# What commands import is compiled now, for shells in which Python writes no compiled modules.
	$(VENV)/bin/python -c 'import torch._dynamo, distributed, polars, tritonclient.grpc, plumbline.nvtabular.library'
	touch $@

run: env
	$(VENV)/bin/python pipelines/run_all.py

# Three processes, since many tests wait for a server.
test: env store $(DISTRIBUTED_STAMP)
	$(VENV)/bin/python -m pytest -n 3 --dist loadfile

# Benchmarks at small sizes, and what else takes long.
test-slow: env store $(DISTRIBUTED_STAMP)
	$(VENV)/bin/python -m pytest -m slow -n 2 --dist loadfile

# What needs pyspark and Java, which `make test` skips without them; also with executors that are killed.
test-spark: env $(SPARK_STAMP)
	$(VENV)/bin/python -m pytest -m 'slow or not slow' tests/spark

# The site, into site/; a warning is an error. (Without the variable the theme prints what it thinks of MkDocs 2.)
docs: env $(DOCS_STAMP)
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --quiet

lint: docs
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# What benchmarks compare with and draw with, beside the environment and not in it.
peers: $(PEERS)

$(PEERS): benchmarks/requirements-peers.txt requirements-distributed.lock $(STAMP)
	rm -rf $@ $@.partial
	grep -v "^fbgemm-gpu==" requirements-distributed.lock > $(VENV)/distributed.lock
	$(INSTALL) --no-deps --target $@.partial -r $< -r $(VENV)/distributed.lock
	mv $@.partial $@
	touch $@

# The server of an object store that tests start, beside the environment and not in it.
store: $(STORE)

$(STORE): tests/requirements-store.txt $(STAMP)
	rm -rf $@ $@.partial
	$(INSTALL) --no-deps --target $@.partial -r $<
	mv $@.partial $@
	touch $@

bench: env peers
	$(VENV)/bin/python benchmarks/etl.py
	$(VENV)/bin/python benchmarks/scale.py
	$(VENV)/bin/python benchmarks/online.py
	$(VENV)/bin/python benchmarks/operators.py
	$(VENV)/bin/python benchmarks/interaction.py
	$(VENV)/bin/python benchmarks/train.py
	$(VENV)/bin/python benchmarks/gpu_loader.py
	$(VENV)/bin/python benchmarks/threads.py
	$(VENV)/bin/python benchmarks/roofline.py
	$(VENV)/bin/python benchmarks/scoring.py
	$(VENV)/bin/python benchmarks/serve.py
	$(VENV)/bin/python benchmarks/gateway.py
	$(VENV)/bin/python benchmarks/drift.py

# Everything that runs on a GPU, in eight minutes; EMULATED=1 runs the CUDA sources on the CPU. Needs
# nothing of `make env` but torch, numpy, pyarrow and pydantic: GPU_PYTHON=/path/to/python has them.
gpu-check:
	$(GPU_PYTHON) -m benchmarks.gpu_check $(if $(EMULATED),--emulated) $(if $(OUT),--out "$(OUT)")

# Ten minutes of mixed load on a server.
soak: env
	$(VENV)/bin/python benchmarks/soak.py

# Ten minutes of faults under traffic, and runs that are killed.
chaos: env
	$(VENV)/bin/python benchmarks/chaos.py
	$(VENV)/bin/python benchmarks/kills.py --kills 200
	for way in dask processes append; do $(VENV)/bin/python benchmarks/kills.py --way $$way --kills 15 || exit 1; done

# Ten minutes of artifacts that somebody changed and signed, and of native calls with drawn bytes: in
# builds with AddressSanitizer and UndefinedBehaviorSanitizer, then with limits of memory. Sanitizers
# need address space, so it is not limited with them.
fuzz: env
	$(VENV)/bin/python -m cmake -S native -B $(SANITIZED) -DCMAKE_BUILD_TYPE=RelWithDebInfo \
		-DPython_EXECUTABLE="$(abspath $(VENV))/bin/python" \
		-Dnanobind_DIR="$$($(VENV)/bin/python -m nanobind --cmake_dir)" -DCMAKE_CXX_FLAGS="\
		-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
	$(VENV)/bin/python -m cmake --build $(SANITIZED) --target _native --parallel 2
	for part in native_calls trials; do \
		LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libstdc++.so)" \
		ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
		$(VENV)/bin/python -m tests.hostile.$$part --seed $(FUZZ_SEED) --seconds $(FUZZ_SECONDS) \
			--module $(SANITIZED)/features/_native.*.so || exit 1; \
	done
	$(VENV)/bin/python -m tests.hostile.trials --seed $(FUZZ_SEED)1 --seconds $(FUZZ_SECONDS)

clean:
	rm -rf $(VENV) $(PEERS) $(PEERS).partial .gpu-check runs site plumbline/_native.*.so plumbline/dlrm/_kernels*.so
	-git clean -fdXq native
