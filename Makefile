# Everything that the project can be asked for. Each target builds the environment that it needs.
SHELL := /bin/bash
BIN := .venv/bin
# Two at a time: most tests wait most of the time. Those of containers are in one of the two, see tests/conftest.py.
SIDE_BY_SIDE := -n 2 --dist loadscope
.DEFAULT_GOAL := help
# Every kernel and every command is a Python of its own, which takes a sixth longer to start without its byte code.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help demo engine browser test check conformance bench format clean

help: ## what can be asked for
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: ## a data analysis with charts, an error and a deadline, in a live kernel
	@scripts/environment demo
	@scripts/scratch $(BIN)/python scripts/demo.py

engine: ## a container engine that answers, and the image of its kernels (ENGINE=no: none)
	@scripts/environment dev
	@scripts/engine

browser: ## a browser for the tests that look at pages (BROWSER=no: none)
	@scripts/browser

test: ## all tests but the long ones
	@scripts/environment dev
	@scripts/engine
	@scripts/browser
	@scripts/scratch $(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not long and not conformance"

check: ## lint, format, strict types, import contracts
	@scripts/environment dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy --python-version 3.10 kernel_exec/inkernel kernel_exec/kernels/images/inside.py
	$(BIN)/lint-imports --no-cache

conformance: ## the suites of others on our kernels, and the long attacks
	@scripts/environment dev conformance
	@scripts/engine podman
	@scripts/browser
	@scripts/scratch $(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "long or conformance"

bench: ## the benchmark table, side by side with others
	@scripts/environment dev bench
	@scripts/scratch $(BIN)/python -m tests.benchmarks

format: ## put the code into shape
	@scripts/environment dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## remove what the other targets made
	rm -rf .venv build dist demo-output bench-output .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
