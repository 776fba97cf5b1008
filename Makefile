# Awareness. `make demo` and `make test` set up whatever is missing; nothing else is needed first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MODEL := models/smollm2-135m-instruct
JOBS ?= 2

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export HF_HUB_DISABLE_TELEMETRY := 1

.DEFAULT_GOAL := help
.PHONY: help setup models demo ui test check format lint types imports secrets audit coverage bench
.PHONY: prove gpu-proof clean-venv

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 14

setup: $(VENV)/.ready ## Create .venv with everything pinned by constraints.txt

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 2; }
	@for tool in git g++; do command -v $$tool >/dev/null \
	  || { echo "error: $$tool is needed; install it and run make again"; exit 2; }; done
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV); the first time takes some minutes"
	@$(BIN)/pip install --quiet --constraint constraints.txt torch==2.13.0
	@$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[data,cluster,dev]"
	@touch $@

models: $(MODEL)/record.json ## Fetch and convert SmolLM2-135M-Instruct, once

$(MODEL)/record.json: | $(VENV)/.ready
	@$(BIN)/python -m awareness_model.base --convert --out $(MODEL)

$(VENV)/.deepspeed: $(VENV)/.ready
	@$(BIN)/python -m awareness_model.train --prepare
	@touch $@

demo: setup models $(VENV)/.deepspeed ## Run the whole flow on a GitHub in a box, through Dagster
	@$(BIN)/python -m awareness_pipeline.defs.demo

ui: setup ## Serve Dagster on loopback, on the instance that the demo filled
	@$(BIN)/awareness ui --recipe demo

test: setup $(VENV)/.deepspeed ## Run the tests
	@$(BIN)/pytest -n $(JOBS) --dist loadgroup

check: format lint types imports secrets test ## Everything CI asks for
	@$(MAKE) --no-print-directory audit || echo "audit: weaknesses are known; this check goes on"

format: setup ## Check the formatting
	@$(BIN)/ruff format --check .

lint: setup ## Lint
	@$(BIN)/ruff check .

types: setup ## Type-check, strictly
	@$(BIN)/mypy

imports: setup ## Check who may import whom
	@$(BIN)/lint-imports

secrets: setup ## Look for secrets in the project's files
	@$(BIN)/python -m tests.secret_scan

audit: setup ## Ask PyPI about known weaknesses of what is pinned
	@$(BIN)/python -m tests.dependency_audit

coverage: setup $(VENV)/.deepspeed ## Run the tests with coverage, into htmlcov/
	@$(BIN)/pytest -n $(JOBS) --dist loadgroup --cov --cov-report=term --cov-report=html

bench: setup models $(VENV)/.deepspeed ## Every benchmark: an hour and more
	@$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[bench]"
	@$(BIN)/python -m tests.bench.discovery
	@$(BIN)/python -m tests.bench.teacher
	@$(BIN)/python -m tests.bench.traces
	@$(BIN)/python -m tests.bench.extract
	@$(BIN)/python -m tests.bench.memory
	@$(BIN)/python -m tests.bench.router
	@$(BIN)/python -m tests.bench.live
	@$(BIN)/python -m tests.bench.kv_gap
	@$(BIN)/python -m tests.bench.kv_step
	@$(BIN)/python -m tests.bench.constant_cost
	@$(BIN)/python -m tests.bench.reader
	@$(BIN)/python -m tests.bench.throughput

prove: setup ## Prove that training with memory teaches a small decoder to read it: minutes
	@$(BIN)/python -m awareness_model.prove --jobs $(JOBS) --results results/prove.json \
	  --plot results/prove.png

gpu-proof: setup models ## On a GPU: prove, train the kv reader with its control and seeds, measure
	@$(BIN)/python -m awareness_model.gpu_proof all --out outputs/gpu --model $(MODEL)

clean-venv: ## Remove .venv
	rm -rf $(VENV)
