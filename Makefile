# make demo      train a net to read digits, and see it read
# make test      what CI runs: style, types, tests
# make check     the tests with their full counts
# make bench     measure against other frameworks, and write bench/RESULTS.md; BENCH="training --rounds 9" for a part
# make examples  run the example scripts, and write docs/examples.md; EXAMPLES="fashion tables" for some
# make clean     remove what the above made

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --quiet --quiet --disable-pip-version-check
TESTS := OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

.PHONY: demo test check bench examples clean

demo: .venv/demo.stamp
	@mkdir -p out
	$(BIN)/retia train mnist --epochs 5 --batch-size 128 --seed 0 --save out/digits.safetensors --plot out/curves.png
	@$(BIN)/python examples/predictions.py out/digits.safetensors

test: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(TESTS) -m "not full"

check: .venv/test.stamp
	$(TESTS) --full

bench: .venv-bench/bench.stamp
	.venv-bench/bin/python bench/run.py $(BENCH)

examples: .venv/test.stamp
	$(BIN)/python examples/table.py $(EXAMPLES)

clean:
	rm -rf .venv .venv-bench out build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp says what is installed. One is older than pyproject.toml when the environment has to follow it.
.venv/demo.stamp: pyproject.toml
	@$(MAKE) --no-print-directory install EXTRA=plots STAMP=$@

.venv/test.stamp: pyproject.toml
	@$(MAKE) --no-print-directory install EXTRA=test STAMP=$@

# The peers live in an environment of their own.
.venv-bench/bench.stamp: pyproject.toml
	@echo "Setting up .venv-bench (Retia with [bench]) ..."
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/pip --quiet --quiet --disable-pip-version-check install --editable '.[bench]'
	@touch $@

.PHONY: install
install:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Retia needs Python 3.11 or newer.")'
	@echo "Setting up .venv (Retia with [$(EXTRA)]) ..."
	@$(PYTHON) -m venv .venv
	@$(PIP) install --editable '.[$(EXTRA)]'
	@touch $(STAMP)
