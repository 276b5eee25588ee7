# Each target sets up its own environment: a machine with Python 3.11+ and make is enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed

.PHONY: install demo test test-slow check format fuzz bench clean

install: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "gridyolo needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(READY)  ## make a synthetic data set, train, validate, predict
	$(BIN)/gridyolo demo

test: $(READY)  ## the default suite: no network, no GPU, no data but its own
	$(BIN)/python -m pytest -q -n auto -m "not slow and not gpu"

test-slow: $(READY)  ## everything that this machine can run
	$(BIN)/python -m pytest -q -n auto --hypothesis-profile=thorough

check: $(READY)  ## format, lint, types, layering
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layering.py tests/test_public_api.py

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

fuzz: $(READY)  ## damaged files against the parsers, invented command lines against the program, four minutes
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[fuzz]'
	$(BIN)/python tools/fuzz_darknet.py --seconds 60
	$(BIN)/python tools/fuzz_data.py --seconds 60
	$(BIN)/python tools/fuzz_detections.py --seconds 60
	$(BIN)/python tools/fuzz_cli.py --seconds 60

bench: $(READY)  ## the measured numbers of docs/results.md
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python tools/bench_evaluation.py
	$(BIN)/python tools/bench_report.py
	$(BIN)/python tools/bench_loss.py
	$(BIN)/python tools/bench_inference.py
	$(BIN)/python tools/bench_darknet.py
	$(BIN)/python tools/bench_dataset_open.py
	$(BIN)/python tools/bench_data_check.py
	$(BIN)/python tools/bench_loader.py
	$(BIN)/python tools/bench_loader_memory.py

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
