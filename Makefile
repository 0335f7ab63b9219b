# The commands of this project. `make` alone lists them.
SHELL := /bin/bash
PYTHON := .venv/bin/python
.DEFAULT_GOAL := help
# Where a shell forbids it, each of many processes would compile the store anew: 3 seconds each.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help install engine demo stop status check test assets

help: ## list these commands
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: ## make .venv and install everything the project needs into it
	@scripts/install.sh

engine: ## make a container engine with gVisor usable, for agents' sandboxes
	@scripts/setup_engine.sh

demo: install ## run the whole store here: services, seed catalogue, a published agent; prints address and logins
	@scripts/setup_engine.sh || [ $$? -eq 3 ]
	@$(PYTHON) -m agentstore.demo start

stop: ## end the demo: no process, port or container is left; its data stay in .run
	@if [ -x $(PYTHON) ]; then $(PYTHON) -m agentstore.demo stop; fi
	@scripts/setup_engine.sh stop

status: ## say what of the demo runs
	@$(PYTHON) -m agentstore.demo status

check: install ## style, types, arrows between rooms, migrations, templates, docs: under a minute
	@scripts/check.sh

test: ## run every test, on services and an engine of its own making (PYTEST_ARGS="…" narrows it)
	@scripts/install.sh --tests
	@scripts/test.sh $(PYTEST_ARGS)

assets: ## rebuild the style sheet and vendored scripts in static/ (needs Node; the results are committed)
	@scripts/build_assets.sh
