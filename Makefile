PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo figures test lint types docs check format bench clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

install: $(INSTALLED) ## make .venv with every pinned dependency

demo: $(INSTALLED) ## run a small study with all seven decompositions and draw its figures
	$(BIN)/rankbench run smoke
	$(BIN)/rankbench figures smoke

figures: $(INSTALLED) ## redraw every figure and table of the committed results into figures/
	$(BIN)/rankbench figures --all --results results/reference --out figures

test: $(INSTALLED) ## run the tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: $(INSTALLED) ## check format and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(INSTALLED) ## check types
	$(BIN)/mypy

docs: $(INSTALLED) ## build the documentation in docs/_build/html; a warning is an error
	$(BIN)/python -m sphinx -q -W --keep-going docs docs/_build/html

check: lint types docs test ## everything CI runs

format: $(INSTALLED) ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(INSTALLED) ## time the layers with pytest-benchmark, and keep it in .benchmarks/
	$(BIN)/python -m pytest -o addopts= --benchmark-autosave tests/benchmarks

clean: ## remove .venv and caches; results stay
	rm -rf $(VENV) docs/_build docs/_generated .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev,archives,captions,dashboard,docs,features,postgres,slurm]'
	touch $@
