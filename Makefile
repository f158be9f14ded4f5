# Needs CPython (with venv and pip) and GNU make; everything else is installed here.
#
#   make test ARGS="-k redirect"         make bench ARGS=--smoke
#   make matrix ARGS="--aiohttp 3.9.5 --python 3.11 3.12"

PYTHON ?= python3
ARGS ?=

export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Without its files, each of the processes that tests start compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE
PIP = bin/python -m pip install -qq
NEW_PIP = --upgrade 'pip>=25.1' # the first that knows --group
EXTRAS = .[hypothesis,migrate,time,tls]

TYPED_SAMPLES = $(wildcard tests/typing)

.PHONY: help demo test clients originals compat record lint format matrix gallery docs bench figures clean
.DELETE_ON_ERROR:

help:
	@echo "make demo      run examples/demo.py with the package alone"
	@echo "make test      the whole suite"
	@echo "make clients   the tests with libraries that sit on aiohttp"
	@echo "make compat    what aiostub.compat is held to, against aioresponses itself"
	@echo "make record    write down anew what aioresponses makes of tests/compat/scripts_*.py"
	@echo "make originals the tests that aiostub.migrate rewrites, as they were"
	@echo "make lint      ruff, mypy, basedpyright"
	@echo "make format    let ruff put right what it can"
	@echo "make matrix    every aiohttp on every CPython found"
	@echo "make docs      the pages, in docs/_build/html"
	@echo "make gallery   write docs/gallery.md anew"
	@echo "make bench     the benchmarks"
	@echo "make figures   the same, and what the README shows of them"
	@echo "make clean     remove environments, builds and caches"

demo: .venv-demo/.ready
	.venv-demo/bin/python examples/demo.py $(ARGS)

test: .venv/.test
	.venv/bin/python -m pytest -n auto --maxprocesses 4 $(ARGS)

clients: .venv-clients/.ready
	.venv-clients/bin/python -m pytest tests/clients $(ARGS)

originals:
	$(PYTHON) scripts/originals.py

compat: .venv-compat/.ready
	.venv-compat/bin/python tests/compat/record.py --check
	.venv-compat/bin/python -m pytest -o addopts= tests/compat/users_suite.py

record: .venv-compat/.ready
	.venv-compat/bin/python tests/compat/record.py

lint: .venv/.lint
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy src scripts $(TYPED_SAMPLES)
	$(if $(TYPED_SAMPLES),.venv/bin/basedpyright,@echo "basedpyright: no tests/typing")

format: .venv/.lint
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

matrix:
	$(PYTHON) scripts/matrix.py --check-coverage $(ARGS)

gallery: .venv/.test
	REWRITE_GALLERY=1 .venv/bin/python -m pytest -n 0 -q tests/test_gallery.py

docs: .venv/.docs
	.venv/bin/python -m sphinx --fail-on-warning --keep-going -q docs docs/_build/html

bench: # makes its own environments, one for each set of peers, in .bench
	$(PYTHON) benchmarks/run.py $(ARGS)

figures:
	$(PYTHON) benchmarks/run.py --publish $(ARGS)

clean:
	rm -rf .venv .venv-* .matrix .bench .originals dist docs/_build .coverage .coverage.* htmlcov
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src tests scripts examples benchmarks docs -type d -name __pycache__ \
		-exec rm -rf {} + 2>/dev/null || true

# Environments. A stamp file is newer than what it was made from, or it is made again.

.venv/.pip .venv-clients/.pip .venv-compat/.pip .venv-demo/.pip:
	@echo "creating $(@D)"
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/$(PIP) $(NEW_PIP)
	@touch $@

.venv/.test: .venv/.pip pyproject.toml
	@echo "installing the package and the test tools"
	@.venv/$(PIP) --group test -e '$(EXTRAS)'
	@touch $@

.venv/.lint .venv/.docs: .venv/.%: .venv/.test
	@echo "installing the $* tools"
	@.venv/$(PIP) --group $*
	@touch $@

.venv-clients/.ready: .venv-clients/.pip pyproject.toml
	@echo "installing the package and its clients"
	@.venv-clients/$(PIP) --group test --group clients -e '$(EXTRAS)'
	@touch $@

# Without the package: this is how aioresponses itself answers, and on what it was recorded.
.venv-compat/.ready: .venv-compat/.pip
	@echo "installing aioresponses"
	@.venv-compat/$(PIP) aioresponses==0.7.9 aiohttp==3.13.5 pytest pytest-asyncio
	@touch $@

# Not editable: the demo runs what a user gets from the wheel.
.venv-demo/.ready: .venv-demo/.pip pyproject.toml $(shell find src -name '*.py')
	@echo "installing the package alone"
	@.venv-demo/$(PIP) --force-reinstall --no-deps .
	@.venv-demo/$(PIP) .
	@touch $@
