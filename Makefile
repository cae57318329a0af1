# make app: set up and serve on http://localhost:8501, on loopback only.
# make test: set up and run every check.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ADDRESS ?= 127.0.0.1
PORT ?= 8501

.DEFAULT_GOAL := app
.PHONY: app test lint types tests setup setup-tests clean

app: setup
	$(BIN)/python -m streamlit run streamlit_app.py --server.address $(ADDRESS) --server.port $(PORT)

test: lint types tests

lint: setup-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup-tests
	$(BIN)/mypy

tests: setup-tests
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

setup: $(VENV)/.application

setup-tests: $(VENV)/.checks

# The stamps are newer than the requirements once these are installed, so that nothing is installed twice.
$(VENV)/.application: requirements.txt constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --requirement requirements.txt --constraint constraints.txt
	touch $@

$(VENV)/.checks: requirements-dev.txt $(VENV)/.application
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt --constraint constraints.txt
	touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "LungAssist needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "Python's venv is missing. Install it with: sudo apt-get install python3-venv"; exit 1; }

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
