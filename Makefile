# `make` alone lists the targets. Each one makes its own environment first (.ci/setup), which takes no time once it is there.
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format docs bench paper pictures soak clean
BIN := .venv/bin
ARGS ?=
SEEDS ?= 20000

help:  ## list the targets
	@grep -hE '^[a-z]+: .*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

setup:  ## make the environment in .venv (the other targets do it by themselves)
	@.ci/setup

demo: setup  ## five processes train one model, lose their aggregator and catch a cheat
	@$(BIN)/python examples/demo.py $(ARGS)

test: setup  ## all tests except the long ones; ARGS="-k name" selects
	@$(BIN)/pytest -n auto --dist loadscope $(ARGS)

lint: setup  ## ruff and mypy --strict
	@$(BIN)/ruff check --output-format=concise .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy -p coterie

format: setup  ## let ruff rewrite the sources
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs:  ## the site of documentation, in site/; ARGS=serve shows it while you write
	@.ci/setup docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs $(or $(ARGS),build) --strict

bench:  ## what everything costs, beside the aims; ARGS="paillier masks" selects, ARGS=--help lists
	@.ci/setup bench
	@$(BIN)/python benchmarks/run.py $(ARGS)

paper: setup  ## the figures of the paper, measured again (docs/paper.md); ARGS="--out FOLDER" writes them
	@$(BIN)/python examples/paper.py $(ARGS)

pictures:  ## photograph a page in the middle of a training, for docs/page.md; needs a Chromium
	@.ci/setup browser
	@$(BIN)/python examples/page_pictures.py $(ARGS)

soak: setup  ## the long randomised tests, then SEEDS simulated federations on all cores
	@$(BIN)/pytest -m soak --hypothesis-profile=soak --timeout=3600 $(ARGS)
	@$(BIN)/python -m coterie.topology.sweep --seeds $(SEEDS)

clean:  ## remove the environment and all caches
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .bench .demo site
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
