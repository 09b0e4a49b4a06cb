# make demo   answers questions with the embedded model
# make test   runs every test
# make check  exactly what CI runs: lint, types, arch, native, test
# make fuzz   puts damaged files to everything that reads some, FUZZ_S seconds long
# make wheels wheels of five platforms in dist, and the WASM files, cross-compiled by zig
#
# PYTHON=python3.12 picks another interpreter. PIP_ARGS adds options to every pip install.

PYTHON ?= python3
PIP_ARGS ?=
WORKERS ?= 2

DEMO := .venv
DEV := .venv-dev
PACKAGE := pyproject.toml $(shell find src -type f -not -name '*.pyc' 2>/dev/null)

JS := clients/js
NODE_20 := command -v node >/dev/null && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'
PORT ?= 8000

.PHONY: help demo browser-demo wasm wheels addon npm bundlers test test-js formats extras check fuzz mutants native lint types arch bench docs site format clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | sed '/^$$/q'
	@echo "also: browser-demo wasm wheels addon npm test-js formats extras native lint types arch bench docs site format clean"

# A virtual environment, or one line that says what is missing.
define new_venv
	@rm -rf $(1)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "potstill needs Python 3.10 or newer; try: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(1) || { rm -rf $(1); \
	  echo "$(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(1)/bin/python -m pip install -q $(PIP_ARGS) --upgrade pip
endef

$(DEMO)/.ready: $(PACKAGE)
	$(call new_venv,$(DEMO))
	$(DEMO)/bin/python -m pip install -q $(PIP_ARGS) .
	@touch $@

# torch comes first and pinned, so that nothing that depends on it can choose another build.
$(DEV)/.ready: pyproject.toml constraints.txt
	$(call new_venv,$(DEV))
	$(DEV)/bin/python -m pip install -q $(PIP_ARGS) -c constraints.txt torch
	$(DEV)/bin/python -m pip install -q $(PIP_ARGS) -c constraints.txt -e ".[train,test,lint,docs]"
	@touch $@

# What that install loads, once it is there: built again where native/ changed, as after a pull.
ENGINE := $(wildcard src/potstill/runtime/engine/*potstill.*)
$(ENGINE): $(shell find native/build.py native/include native/src -type f) | $(DEV)/.ready
	$(DEV)/bin/python native/build.py $@

ASK := $(DEMO)/bin/potstill ask

demo: $(DEMO)/.ready
	@$(DEMO)/bin/python -c 'from potstill.runtime.native_session import is_installed as there; \
	there() or print("There was no C++ compiler: answers come from onnxruntime, not from the engine.")'
	@$(ASK) "Who patented the column still?" examples/whisky.txt
	@$(ASK) "What does copper take out of the vapour?" examples/whisky.txt
	@$(ASK) "Who defeated the Carolina Panthers?" --context "The Denver Broncos defeated the Carolina Panthers 24–10."

# A page that answers by itself, on http://127.0.0.1:8000; PORT=N for another port.
browser-demo: $(JS)/node_modules/.ready
	node examples/browser/serve.mjs --port $(PORT)

# onnxruntime-node would fetch CUDA's files in a script of its own.
$(JS)/node_modules/.ready: $(JS)/package.json $(JS)/package-lock.json
	@$(NODE_20) || { echo "this needs Node 20 or newer: https://nodejs.org" >&2; exit 1; }
	cd $(JS) && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

# The engine as the JavaScript package ships it; a test fails where it is older than native/.
wasm: $(DEV)/.ready
	$(DEV)/bin/python -m pip install -q $(PIP_ARGS) -c constraints.txt ziglang
	$(DEV)/bin/python native/build.py $(JS)/src/runtime/potstill.wasm --target wasm32-wasi --strict
	$(DEV)/bin/python native/build.py $(JS)/src/runtime/potstill-relaxed.wasm --target wasm32-wasi --relaxed --strict

# What npm gets, in out/npm: the package, and the engine's addon for each platform, cross-compiled.
npm: $(DEV)/.ready $(JS)/node_modules/.ready
	$(DEV)/bin/python -m pip install -q $(PIP_ARGS) -c constraints.txt ziglang
	$(DEV)/bin/python scripts/pack_npm.py out/npm

# The engine as an addon for this machine's Node, where its tests and a checkout find it.
addon:
	$(PYTHON) native/build.py $$(node -p '`$(JS)/platforms/$${process.platform}-$${process.arch}/potstill.node`') --node

test-js:
	@if $(NODE_20); then $(MAKE) $(JS)/node_modules/.ready && cd $(JS) && npm test; \
	else echo "SKIPPED: the tests of $(JS) need Node 20 or newer, and there is none" >&2; fi

test: $(DEV)/.ready $(ENGINE) test-js
	$(DEV)/bin/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# The npm package in a page of each bundler: what they need is installed for them alone.
bundlers: $(DEV)/.ready $(JS)/node_modules/.ready
	cd tests/bundlers && npm ci --no-audit --no-fund
	$(DEV)/bin/python -m pytest tests/bundlers

# The tests of other formats, with the extras they need: TensorFlow, OpenVINO, coremltools. Where
# there is Node, TensorFlow.js runs the exported files, too.
formats: $(DEV)/.ready
	$(DEV)/bin/python -m pip install -q $(PIP_ARGS) -c constraints.txt -e ".[tf,openvino,coreml]"
	@if $(NODE_20); then $(MAKE) $(JS)/node_modules/.ready; fi
	$(DEV)/bin/python -m pytest -n $(WORKERS) --dist loadfile tests/export tests/examples/test_native.py

# The tests of adapters, of hub data sets, of Ray and of loggers, with the libraries that they are for. `.ci/extras`
# runs these and those of other formats on a bare machine.
extras: $(DEV)/.ready
	$(DEV)/bin/python -m pip install -q $(PIP_ARGS) -c constraints.txt -e ".[ray,wandb,trackio,tensorboard]" \
	  haystack-ai langchain-core llama-index-core txtai datasets mlflow-skinny pandas
	$(DEV)/bin/python -m pytest -n $(WORKERS) --dist loadfile tests/adapters tests/data/test_hub_set.py \
	  tests/scale/test_on_ray.py tests/scale/test_serve_on_ray.py tests/training/test_loggers.py

check: lint types arch native test

# The engine with warnings as errors: golden bits and 64 callers under the thread sanitizer, damaged
# files for ten seconds under the others. Left out where there is no compiler.
NATIVE := build/native
NATIVE_FLAGS := --strict --define POTSTILL_PART_PRODUCTS=1 --sanitize
native: $(DEV)/.ready
	@command -v $${CXX:-c++} >/dev/null || { echo "SKIPPED: no C++ compiler for the engine" >&2; exit 0; }; \
	$(DEV)/bin/python native/build.py $(NATIVE)/golden --main native/tests/golden.cpp $(NATIVE_FLAGS) thread && \
	$(NATIVE)/golden native/tests/golden.bin && \
	$(DEV)/bin/python native/build.py $(NATIVE)/fuzz --main native/tests/fuzz.cpp $(NATIVE_FLAGS) address,undefined && \
	$(NATIVE)/fuzz native/tests/golden.bin 10

FUZZ_S ?= 3600

fuzz: $(DEV)/.ready
	cd tests && PYTHONPATH=. ../$(DEV)/bin/python fuzzing.py --seconds $(FUZZ_S)

# One change in the code at a time: do its room's tests notice? ROOMS="losses text", SAMPLE=N of each, MUTANTS_S
# seconds in all. Hours for all of it; see docs/mutants.md.
ROOMS ?=
SAMPLE ?= 40
MUTANTS_S ?= 3600
mutants: $(DEV)/.ready
	$(DEV)/bin/python -m pip install -q $(PIP_ARGS) -c constraints.txt cosmic-ray
	$(DEV)/bin/python scripts/mutants.py $(ROOMS) --sample $(SAMPLE) --seconds $(MUTANTS_S)

# Wheels of five platforms, in dist/; and the WASM files, where the JavaScript package ships them.
wheels: $(DEV)/.ready wasm
	$(DEV)/bin/python -m pip install -q $(PIP_ARGS) -c constraints.txt hatchling ziglang
	$(DEV)/bin/python native/wheels.py dist

lint: $(DEV)/.ready
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .

types: $(DEV)/.ready
	$(DEV)/bin/pyright --pythonpath $(DEV)/bin/python

arch: $(DEV)/.ready
	$(DEV)/bin/lint-imports

format: $(DEV)/.ready
	$(DEV)/bin/ruff check --fix .
	$(DEV)/bin/ruff format .

docs: $(DEV)/.ready
	$(DEV)/bin/python scripts/write_help.py
	$(DEV)/bin/python scripts/write_recipes.py
	$(DEV)/bin/python scripts/write_terminal.py
	$(DEV)/bin/python scripts/write_openapi.py
	$(DEV)/bin/python scripts/write_results.py
	$(DEV)/bin/python scripts/write_performance.py
	$(DEV)/bin/python scripts/run_notebooks.py
	$(MAKE) site

# The documentation as a site, in out/site; a link that leads nowhere fails. `make check` builds it
# too, in tests/scripts/test_site.py. The variable silences material's notice about mkdocs 2.
site: $(DEV)/.ready
	NO_MKDOCS_2_WARNING=1 $(DEV)/bin/mkdocs build --strict

# make bench DATA=dev-v1.1.json: see docs/performance.md
bench: $(DEV)/.ready
	$(DEV)/bin/python benchmarks/cold_start.py
	$(DEV)/bin/python benchmarks/memory.py
	$(DEV)/bin/python benchmarks/peak.py
	$(DEV)/bin/python benchmarks/speed.py $(DATA)

clean:
	rm -rf $(DEMO) $(DEV) $(JS)/node_modules $(JS)/types build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
