# What a user or a contributor runs. Everything is installed into .venv, from pinned wheels.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES ?= $(shell nproc)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-binary connection-pool

NAME := slurm
DIRECTORY := $(CURDIR)

.PHONY: help demo profile what-if cost efficiency verify resume test test-slurm test-faults bench bench-nation bench-needs bench-strip bench-peers bench-full lint format generate docs lock clean

# What a user types first, in that order; the rest is for contributors.
FIRST := demo profile cost what-if resume efficiency verify
LISTED = sed -E 's/^([a-z-]+):.*\#\# /make \1\t/' | expand -t 20

help:  ## Show what can be made
	@for name in $(FIRST); do grep -hE "^$$name:.*##" Makefile; done | $(LISTED)
	@echo
	@echo "For contributors:"
	@grep -hE '^[a-z-]+:.*##' Makefile | grep -vE '^($(subst $(eval ) ,|,$(FIRST))):' | $(LISTED)

$(VENV)/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Parcelle needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python has no venv here. Install it first: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# So that `python -m parcelle.operations.resume` works from any folder while the environment is active.
FIND = $(BIN)/python -c 'import pathlib, sys, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "parcelle.pth").write_text(sys.argv[1] + "\n", encoding="utf-8")' "$(CURDIR)/workflow"

$(VENV)/light: requirements/light.txt $(VENV)/made
	$(PIP) --require-hashes -r $<
	@$(FIND)
	@touch $@

$(VENV)/dev: requirements/dev.txt $(VENV)/made
	$(PIP) --require-hashes -r $<
	@$(FIND)
	@touch $@ $(VENV)/light

$(VENV)/docs: requirements/docs.txt $(VENV)/light
	$(PIP) --require-hashes -r $<
	@touch $@

demo: $(VENV)/light  ## Generate a small country and map it
	PYTHONPATH=workflow $(BIN)/python -m parcelle.demo demo
	$(BIN)/snakemake --cores "$(CORES)" --quiet rules
	@PYTHONPATH=workflow $(BIN)/python -m parcelle.demo.truth demo demo/results
	@echo
	@echo "The report:  demo/results/report/index.html"
	@echo "The map:     demo/results/mosaic/class.tif (cloud-optimised GeoTIFF; open it in QGIS)"

profile: $(VENV)/light  ## Write your own profile: snakemake --profile slurm works anywhere (DIRECTORY=/shared/run CONFIG=country.yaml)
	@PYTHONPATH=workflow $(BIN)/python -m parcelle.operations.user_profile "$(NAME)" --directory "$(DIRECTORY)" $(if $(CONFIG),--configfile "$(CONFIG)") $(if $(TO),--to "$(TO)") $(if $(FORCE),--force)

what-if: $(VENV)/light  ## Say which jobs a run would make now, why, and what they cost (CONFIG=country.yaml PROFILE=slurm)
	@PYTHONPATH=workflow $(BIN)/python -m parcelle.operations.what_if $(if $(CONFIG),--configfile "$(CONFIG)") $(if $(PROFILE),--profile "$(PROFILE)")

cost: $(VENV)/light  ## Say what a run costs, before it runs (CONFIG=country.yaml PROFILE=slurm)
	@PYTHONPATH=workflow $(BIN)/python -m parcelle.operations.cost $(if $(CONFIG),--configfile "$(CONFIG)") $(if $(PROFILE),--profile "$(PROFILE)")

verify: $(VENV)/light  ## Compare all files with the checksums that a run noted (CONFIG=country.yaml PROFILE=slurm)
	@PYTHONPATH=workflow $(BIN)/python -m parcelle.operations.verify $(if $(CONFIG),--configfile "$(CONFIG)") $(if $(PROFILE),--profile "$(PROFILE)")

resume: $(VENV)/light  ## Go on with a run whose main process died (CONFIG=country.yaml PROFILE=slurm; CANCEL=1 cancels its jobs; ENDED=1: nothing of it runs where it was started)
	@PYTHONPATH=workflow $(BIN)/python -m parcelle.operations.resume $(if $(CONFIG),--configfile "$(CONFIG)") $(if $(PROFILE),--profile "$(PROFILE)") $(if $(CANCEL),--cancel) $(if $(ENDED),--ended)

efficiency: $(VENV)/light  ## Compare what a run cost with what was foretold (CONFIG=country.yaml PROFILE=slurm)
	@PYTHONPATH=workflow $(BIN)/python -m parcelle.operations.efficiency $(if $(CONFIG),--configfile "$(CONFIG)") $(if $(PROFILE),--profile "$(PROFILE)")

test: $(VENV)/dev  ## Run all tests
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n "$(CORES)" --dist loadfile

# They start a cluster of their own on this machine, as root, and install it where it is missing.
test-slurm: $(VENV)/dev  ## Map the demo on a SLURM cluster, and try three faults: 4 minutes (WHICH="TestDemo": some of it)
	$(BIN)/python -m pytest -n 4 --dist loadscope -m chosen $(if $(WHICH),-k "$(WHICH)") tests/slurm

test-faults: $(VENV)/dev  ## Try all faults of a SLURM cluster (14 minutes)
	$(BIN)/python -m pytest -n 4 --dist loadscope tests/slurm/test_faults.py

BENCH := PYTHONPATH=workflow $(BIN)/python benchmarks

bench: $(VENV)/light  ## Measure speed and memory (18 minutes on two cores), and write docs/performance.md
	$(BENCH)/forest.py
	$(BENCH)/gapfilling.py
	$(BENCH)/reading.py
	$(BENCH)/mapping.py
	$(BENCH)/sampling.py
	$(BENCH)/memory.py
	$(BENCH)/page.py

bench-nation: $(VENV)/light  ## Plan 100, 1,000 and 5,000 tiles, and hand out the jobs of 1,000 (8 minutes)
	$(BENCH)/nation.py
	$(BENCH)/page.py

bench-strip: $(VENV)/light  ## Map a strip of a tile at real size, and say what a tile costs (8 minutes)
	$(BENCH)/strip.py
	$(BENCH)/page.py

bench-needs: $(VENV)/dev  ## Measure what jobs need (5 minutes, alone on the machine), and write needs.json
	$(BENCH)/needs.py --write

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
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakefmt --check Snakefile workflow
	PARCELLE_DATA=data $(BIN)/snakemake --lint --configfile config/examples/flanders-2018.yaml
	PYTHONPATH=workflow $(BIN)/python -m parcelle.reference_pages --check

format: $(VENV)/dev  ## Write code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakefmt Snakefile workflow

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
