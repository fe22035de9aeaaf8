"""What a job of the workflow imports before its rule is known."""

import subprocess
import sys

import country

HEAVY = ("geopandas", "numba", "rasterio", "scipy", "sklearn", "pyogrio")


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_a_module_is_imported_when_something_of_it_is_asked_for():
    code = """
import sys
from parcelle import late
vectors = late.module("parcelle.vectors")
print("geopandas" in sys.modules)
print(vectors.listed([1, 2]))
print("geopandas" in sys.modules)
from parcelle import vectors as again
print(again is vectors, late.module("parcelle.vectors") is vectors)
"""
    assert run(code).splitlines() == ["False", "1, 2", "True", "True True"]


def test_what_every_job_reads_of_the_rules_imports_nothing_heavy():
    """Each job on a cluster reads the rules twice beside its script: what they import, each of them pays."""
    text = (country.ROOT / "workflow/common.smk").read_text()
    imports = text[text.index("from parcelle import (") : text.index("from snakemake")]
    code = f"import sys\n{imports}\nprint([m for m in {HEAVY} if m in sys.modules])"
    assert run(code) == "[]"
