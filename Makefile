# What a user or a contributor runs. Everything is installed into .venv, from pinned wheels.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES ?= $(shell nproc)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-binary connection-pool

.PHONY: help demo test bench bench-strip bench-peers bench-full lint format generate docs lock clean

help:  ## Show what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1\t/' | expand -t 16

$(VENV)/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Parcelle needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python has no venv here. Install it first: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/light: requirements/light.txt $(VENV)/made
	$(PIP) --require-hashes -r $<
	@touch $@

$(VENV)/dev: requirements/dev.txt $(VENV)/made
	$(PIP) --require-hashes -r $<
	@touch $@ $(VENV)/light

$(VENV)/docs: requirements/docs.txt $(VENV)/light
	$(PIP) --require-hashes -r $<
	@touch $@

demo: $(VENV)/light  ## Generate a small country and map it
	PYTHONPATH=workflow $(BIN)/python -m parcelle.demo demo
	$(BIN)/snakemake --cores $(CORES) --quiet rules
	@PYTHONPATH=workflow $(BIN)/python -m parcelle.demo.truth demo demo/results
	@echo
	@echo "The report:  demo/results/report/index.html"
	@echo "The map:     demo/results/mosaic/class.tif (cloud-optimised GeoTIFF; open it in QGIS)"

test: $(VENV)/dev  ## Run all tests
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python -m pytest -n $(CORES) --dist loadgroup

BENCH := PYTHONPATH=workflow $(BIN)/python benchmarks

bench: $(VENV)/light  ## Measure speed and memory (18 minutes on two cores), and write docs/performance.md
	$(BENCH)/forest.py
	$(BENCH)/gapfilling.py
	$(BENCH)/reading.py
	$(BENCH)/mapping.py
	$(BENCH)/sampling.py
	$(BENCH)/memory.py
	$(BENCH)/page.py

bench-strip: $(VENV)/light  ## Map a strip of a tile at real size, and say what a tile costs (8 minutes)
	$(BENCH)/strip.py
	$(BENCH)/page.py

# OTB comes with the distribution; what is not there is skipped.
bench-peers: $(VENV)/light  ## Measure a larger forest, ONNX Runtime and treelite, in their own environment, and OTB
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-binary connection-pool -r requirements/light.txt
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: -r requirements/peers.txt
	PYTHONPATH=workflow .venv-peers/bin/python benchmarks/forest.py --full
	$(BENCH)/prepared.py
	$(BENCH)/mapping.py --full
	$(BENCH)/page.py

bench-full: bench-peers  ## Measure also what takes an hour: training, JPEG 2000, files of strips
	$(BENCH)/training.py
	$(BENCH)/strip.py --full
	$(BENCH)/page.py

lint: $(VENV)/dev  ## Check style, types and the workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/snakefmt --check Snakefile workflow
	PARCELLE_DATA=data $(BIN)/snakemake --lint --configfile config/examples/flanders-2018.yaml
	PYTHONPATH=workflow $(BIN)/python -m parcelle.reference_pages --check

format: $(VENV)/dev  ## Write code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/snakefmt Snakefile workflow

generate: $(VENV)/light  ## Write the pages and the schema that follow from the settings
	PYTHONPATH=workflow $(BIN)/python -m parcelle.reference_pages

docs: $(VENV)/docs  ## Build the documentation
	$(BIN)/sphinx-build -q -W docs docs/_build

lock: $(VENV)/made  ## Pin the newest versions of all dependencies
	$(PIP) uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url pyproject.toml -o requirements/light.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url pyproject.toml --extra dev -c requirements/light.txt -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url pyproject.toml --extra docs -c requirements/light.txt -o requirements/docs.txt

clean:  ## Remove the demo and the environment
	rm -rf demo $(VENV)
