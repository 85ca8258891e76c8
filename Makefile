# `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# VENV may be shared by several clones: everything below runs this clone's own src.
VENV ?= .venv
# Any Python from 3.11 on.
ifndef PYTHON
PYTHON := $(firstword $(foreach p,python3 python3.13 python3.12 python3.11 python3.14 python,$(shell \
	$(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
endif
# `default` is the project's own folder; others are folders of studies/.
STUDY ?= default
PORT ?= 5000
# Arguments for pytest: make test ARGS='-k settings'
ARGS ?=
# Tests run on up to four cores, the tests of a file on one, because they share what they set up.
SPREAD ?= -n auto --maxprocesses 4 --dist loadfile

# Names reach the recipes through the environment, so that spaces and other odd characters in a path do no harm. For the
# same reason the stamp of a finished install is not a target: make splits the names of targets at spaces.
export venv := $(if $(filter /%,$(firstword $(VENV))),$(VENV),$(CURDIR)/$(VENV))
export folder := $(if $(filter default,$(STUDY)),$(CURDIR),$(CURDIR)/studies/$(STUDY))
export stamp := $(venv)/.installed-$(shell grep -v '^\#' requirements.lock | cksum | cut -d' ' -f1)

export PATH := $(venv)/bin:$(PATH)
export PYTHONPATH := $(CURDIR)/src
# Nothing phones home, and nothing asks for a network after the install.
export DVC_NO_ANALYTICS := 1
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true
export HF_HUB_DISABLE_TELEMETRY := 1

.PHONY: help setup study repro repro-small check plan summary test test-all lint ui clean

help: ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14
	@echo; echo "Variables: VENV=$(VENV)  STUDY=$(STUDY)  PORT=$(PORT)  PYTHON=$(PYTHON)"

setup: ## Make the environment in VENV; does nothing if it already matches requirements.lock.
	@if ! test -e "$$stamp"; then \
	  test -n "$(PYTHON)" || { echo "No Python 3.11 or newer found. Install one, or name it: make PYTHON=/path/to/python" >&2; exit 2; }; \
	  "$$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv "$$venv" || \
	    { echo "$(PYTHON) cannot make environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }; \
	  echo "Installing the packages of requirements.lock into $$venv; this takes a few minutes."; \
	  python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock; \
	  python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	  rm -f "$$venv"/.installed-*; \
	  touch "$$stamp"; \
	fi

study:
	@test -e "$$folder/params.yaml" || { \
	  echo "There is no study '$(STUDY)': $$folder/params.yaml is missing. Studies: default $$(ls studies | xargs)" >&2; exit 2; }

repro: study setup ## Run the whole study STUDY; finished stages and answers are reused.
	@cd "$$folder" && python -m pruneproof check --quick && python -m pruneproof prepare && dvc repro write_report && \
	  { dvc repro --single-item record_runs || failed=$$?; python -m pruneproof summary; exit "$${failed:-0}"; }

repro-small: ## Run the small study: the whole pipeline in a few minutes.
	@$(MAKE) --no-print-directory repro STUDY=small

check: study setup ## Say whether everything that STUDY needs is in place.
	@cd "$$folder" && python -m pruneproof check

plan: study setup ## Print the cells of STUDY, what is done, and how long the rest takes; with MACHINE=..., what all of it takes there.
	@cd "$$folder" && python -m pruneproof plan $(if $(MACHINE),--machine '$(MACHINE)') $(ARGS)

summary: study setup ## Print the results of STUDY again.
	@cd "$$folder" && python -m pruneproof summary

test: setup ## Run the tests.
	@OMP_NUM_THREADS=1 python -m pytest $(SPREAD) $(ARGS)

test-all: setup ## Run all tests, including the slow ones.
	@OMP_NUM_THREADS=1 python -m pytest $(SPREAD) -m 'slow or not slow' $(ARGS)

lint: setup ## Check style and types.
	@ruff check .
	@ruff format --check .
	@mypy

ui: study setup ## Open the MLflow UI of STUDY on 127.0.0.1:PORT.
	@cd "$$folder" && python -m pruneproof ui --port $(PORT)

clean: ## Delete what the stages made, but not the committed results or the environment.
	@rm -rf {.,studies/*}/data/{manifests,benchmark,corrupted,.corrupted,reworded,patches,answers,logits,.cells,scores,costs} .pytest_cache .mypy_cache .ruff_cache
