# `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# VENV may be shared by several clones: everything below runs this clone's own src.
VENV ?= .venv
# Any Python from 3.11 on.
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11 python3.14 python,$(shell \
	$(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
# `default` is the project's own folder; others are folders of studies/.
STUDY ?= default
PORT ?= 5000
# Arguments for pytest: make test ARGS='-k settings'
ARGS ?=

venv := $(abspath $(VENV))
folder := $(if $(filter default,$(STUDY)),$(CURDIR),$(CURDIR)/studies/$(STUDY))
wanted := $(shell grep -v '^\#' requirements.lock | cksum | cut -d' ' -f1)
stamp := $(venv)/.installed-$(wanted)

export PATH := $(venv)/bin:$(PATH)
export PYTHONPATH := $(CURDIR)/src
# Nothing phones home, and nothing asks for a network after the install.
export DVC_NO_ANALYTICS := 1
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true
export HF_HUB_DISABLE_TELEMETRY := 1

.PHONY: help setup repro repro-small check plan summary test test-all lint ui clean

help: ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14
	@echo; echo "Variables: VENV=$(VENV)  STUDY=$(STUDY)  PORT=$(PORT)  PYTHON=$(PYTHON)"

setup: $(stamp) ## Make the environment in VENV; does nothing if it is as requirements.lock says.

$(stamp):
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer found: install one or name it, make PYTHON=/path/to/python" >&2; exit 2; }
	@test -x "$(venv)/bin/python" || $(PYTHON) -m venv "$(venv)" || \
		{ echo "$(PYTHON) cannot make environments: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 2; }
	python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@rm -f "$(venv)"/.installed-*
	@touch "$@"

repro: setup ## Run the whole study STUDY; finished stages and cells are reused.
	@test -f "$(folder)/params.yaml" || { echo "STUDY=$(STUDY): $(folder)/params.yaml is missing; known: default $$(ls studies | xargs)" >&2; exit 2; }
	cd "$(folder)" && python -m pruneproof check --quick && dvc repro && python -m pruneproof summary

repro-small: ## Run the small study: the whole pipeline in a few minutes.
	@$(MAKE) --no-print-directory repro STUDY=small

check: setup ## Say whether everything that STUDY needs is in place.
	@cd "$(folder)" && python -m pruneproof check

plan: setup ## Print the cells of STUDY, what is done, and an estimate.
	@cd "$(folder)" && python -m pruneproof plan

summary: setup ## Print the results of STUDY again.
	@cd "$(folder)" && python -m pruneproof summary

test: setup ## Run the tests.
	python -m pytest $(ARGS)

test-all: setup ## Run the tests, the slow ones too.
	python -m pytest -m 'slow or not slow' $(ARGS)

lint: setup ## Check style and types.
	ruff check .
	ruff format --check .
	mypy

ui: setup ## Open the MLflow UI of STUDY on 127.0.0.1:PORT.
	@cd "$(folder)" && MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --host 127.0.0.1 --port $(PORT) --backend-store-uri sqlite:///mlflow.db

clean: ## Delete what the stages made (not the committed results, not the environment).
	rm -rf {.,studies/*}/data/{benchmark,corrupted,.corrupted,reworded,patches,answers,logits,.cells,scores,costs} .pytest_cache .mypy_cache .ruff_cache
