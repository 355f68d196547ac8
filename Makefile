# make demo    train a net to read digits, and see it read
# make test    what CI runs: style, types, tests
# make check   the tests with their full counts
# make bench   measure, and write bench/RESULTS.md
# make clean   remove what the above made

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --quiet --quiet --disable-pip-version-check
TESTS := OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

.PHONY: demo test check bench clean

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

bench: .venv/test.stamp
	$(BIN)/python bench/run.py

clean:
	rm -rf .venv out build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp says what is installed. One is older than pyproject.toml when the environment has to follow it.
.venv/demo.stamp: pyproject.toml
	@$(MAKE) --no-print-directory install EXTRA=plots STAMP=$@

.venv/test.stamp: pyproject.toml
	@$(MAKE) --no-print-directory install EXTRA=test STAMP=$@

.PHONY: install
install:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Retia needs Python 3.11 or newer.")'
	@echo "Setting up .venv (Retia with [$(EXTRA)]) ..."
	@$(PYTHON) -m venv .venv
	@$(PIP) install --editable '.[$(EXTRA)]'
	@touch $(STAMP)
