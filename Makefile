# Needs python3 (3.11 or later) with its venv module, and make. Everything else goes into $(VENV).

PYTHON ?= python3
VENV   ?= .venv
JOBS   ?= 2
BENCH  ?= density

BIN     := $(VENV)/bin
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt
comma   := ,

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint docs bench clean distclean

help:
	@echo "make demo | test | lint | docs | bench [BENCH=density DATA=DIR] | clean | distclean"

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)

# One stamp per set of extras: .extras-plot+progress means that .[plot,progress] is installed.
# Of an editable installation the compiled kernels lie in the tree: they are made again when their source changes.
$(VENV)/.extras-%: pyproject.toml setup.py constraints.txt $(wildcard skflow/kernels/c/*) | $(BIN)/pip
	$(INSTALL) "setuptools>=77"
	$(INSTALL) --no-build-isolation -e '.[$(subst +,$(comma),$*)]'
	@touch $@

demo: $(VENV)/.extras-plot+progress
	$(BIN)/python examples/quickstart.py

# One thread per worker: two workers with two threads each are slower on two cores.
test: $(VENV)/.extras-test
	OMP_NUM_THREADS=1 MPLBACKEND=Agg $(BIN)/python -m pytest -q -n $(JOBS) --doctest-modules \
		tests skflow $(PYTEST_ARGS)

lint: $(VENV)/.extras-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

docs: $(VENV)/.extras-docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(VENV)/.extras-bench
	OMP_NUM_THREADS=1 MPLBACKEND=Agg $(BIN)/python benchmarks/run.py $(BENCH) \
		$(if $(DATA),--data "$(DATA)") $(BENCH_ARGS)

clean:
	rm -rf build dist docs/_build docs/auto_examples docs/generated docs/sg_execution_times.rst
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find skflow tests benchmarks examples docs -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
