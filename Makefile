# make demo   install and open the first notebook in JupyterLab
# make serve  install, and serve the embedded model to notebooks elsewhere
# make test   install all that tests need and run everything
# make test-lowest   unit and pipeline tests with the lowest version of each dependency that pyproject.toml allows
# make docs   install what it needs, and build the documentation site: build/docs/index.html
# make bench  run the benchmarks, and write docs/benchmarks.md
# Also: make lint, make js.

PYTHON ?= python3
# The version the tests run on. For the CPU build where pip would take the CUDA one:
#   make demo TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch==2.13.0
# Passed on, for example: make test PYTEST_ARGS="-k wheel -x"
PYTEST_ARGS ?=
# How many processes run unit and pipeline tests.
WORKERS ?= 2
# Passed on to docs/build.py, for example: make docs DOCS_ARGS=--no-run
DOCS_ARGS ?=
# Passed on to the benchmarks, for example: make bench BENCH_ARGS="--only render previews"
BENCH_ARGS ?=
# The lowest versions are tested on this Python; the oldest that is supported finds most.
LOWEST_PYTHON ?= $(PYTHON)

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
STATIC := ember_widgets/widgets/static ember_widgets/page/static
# Node is needed to rebuild the bundle, never to use it. From 20 on it is what js/ is written for.
NODE := $(shell node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null && command -v npm)

.PHONY: demo serve test test-lowest docs lint js bench chromium

demo: .venv/for-demo
	@$(BIN)/ember-widgets demo

serve: .venv/for-serving
	@$(BIN)/ember-widgets serve --embedded

test: .venv/for-tests chromium lint js
	@# Side by side, with one thread each. Not the lab: browsers and kernels that share two cores keep each other waiting.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile tests/unit tests/pipeline $(PYTEST_ARGS) || [ $$? = 5 ]
	$(BIN)/python -m pytest tests/lab $(PYTEST_ARGS) || [ $$? = 5 ]

# Warnings are not errors here: old libraries warn of each other.
test-lowest: .venv-lowest/for-tests
	.venv-lowest/bin/python -m pytest -W default --disable-warnings tests/unit tests/pipeline $(PYTEST_ARGS)

# The notebooks are run once, and again when they or the package change. DOCS_ARGS=--no-run shows them without pictures.
docs: .venv/for-docs
	$(BIN)/python docs/build.py $(DOCS_ARGS)

lint: .venv/for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# A bundle that is not what its sources build to would be noticed by users only.
ifneq ($(NODE),)
js: js/node_modules/.package-lock.json
	cd js && npm run --silent check && npm run --silent test
	rm -rf build/static && mkdir -p build/static && for folder in $(STATIC); do cp -R $$folder build/static/$$(basename $$(dirname $$folder)); done
	cd js && npm run --silent build
	set -e; for folder in $(STATIC); do diff -rq build/static/$$(basename $$(dirname $$folder)) $$folder; done
else
js:
	@echo "No Node >= 20 with npm: js/ is not checked, and the committed bundle is used as it is."
endif

bench: .venv/for-tests chromium
	$(BIN)/python -m tests.benchmarks.report $(BENCH_ARGS)

chromium:
	@tests/lab/install_chromium.sh

.venv/for-demo: pyproject.toml
	@echo "Installing into .venv (PyTorch is large: this can take some minutes)"
	@$(PYTHON) -m venv .venv || { echo "Python's venv is missing; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(PIP) install $(TORCH)
	@$(PIP) install --editable '.[atlas,lab,labels]'
	@touch $@

.venv/for-serving: .venv/for-demo
	@$(PIP) install --editable '.[serve]'
	@touch $@

.venv/for-docs: .venv/for-demo
	@echo "Installing what the documentation site needs"
	@$(PIP) install --editable '.[docs]'
	@touch $@

.venv/for-tests: .venv/for-demo
	@echo "Installing what the tests need"
	@$(PIP) install --editable '.[test,dev]'
	@touch $@

.venv-lowest/for-tests: pyproject.toml
	@echo "Installing the lowest allowed versions into .venv-lowest (7 GB: PyTorch's wheel of that time is for CUDA)"
	@$(LOWEST_PYTHON) -m venv --clear .venv-lowest
	@.venv-lowest/bin/python -m pip --disable-pip-version-check --quiet install uv
	@.venv-lowest/bin/uv --quiet pip install --python .venv-lowest/bin/python --resolution lowest-direct \
		--editable '.[test,umap]'
	@touch $@

js/node_modules/.package-lock.json: js/package-lock.json
	@# Not npm ci: it wants every platform's optional binaries in the lock file, which mirrors may lack.
	cd js && npm install --no-save --no-audit --no-fund --loglevel=error
	@touch $@
