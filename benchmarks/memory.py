"""Peak memory of `classify` against its formula, for three windows and two numbers of threads, each in its own process.

A tile of 2,048 × 2,048 pixels, 16 dates of ten bands and masks, a forest of 40,000 samples.
"""

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import job
import measure
import numpy as np
from measure import Figure, Figures

from parcelle import inventory, mapping

STAGE = "peak memory of `classify`"
SIDE, DATES = 2048, 16
WINDOWS = (256, 512, 1024)
WITHIN = 0.25


def peak_mb(products: Path, window: int, threads: int) -> tuple[float, float]:
    """Peak memory of a process that maps the tile, and what the formula says, in MiB."""
    command = [sys.executable, __file__, "--one", str(products), str(window), str(threads)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    measured, formula = json.loads(done.stdout.splitlines()[-1])
    return measured, formula


def _one(products: str, window: str, threads: str) -> None:
    """Map, as this process, and print its peak and the formula."""
    one = job.of(Path(products))
    with tempfile.TemporaryDirectory() as folder:
        one.map(Path(folder), int(threads), int(window))
    measured = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([measured, formula_mb(one, int(window), int(threads))]))


def formula_mb(one: job.Job, window: int, threads: int) -> float:
    """What `classify` asks for, but for its margin."""
    bands = {recipe.sensor: recipe.bands for recipe in one.recipes}
    with tempfile.TemporaryDirectory() as folder:
        inventory.write_size(one.inventory, bands, Path(folder) / "size.json")
        size = json.loads((Path(folder) / "size.json").read_text())["sensors"]
    with np.load(job.saved_model() / "forest.npz") as arrays:
        model = sum(array.nbytes for array in arrays.values()) + 12 * len(arrays["left"])
    return mapping.memory_mb(size, one.recipes, one.options, window, threads, model / 2**20)


def cases(products: Path, threads: list[int]) -> Iterator[Figure]:
    """All windows and threads."""
    for window in WINDOWS:
        for count in threads:
            measured, formula = peak_mb(products, window, count)
            rates = {"formula": formula, "measured": measured}
            bars = {"at_least": 1 - WITHIN, "at_most": 1 + WITHIN}
            name = f"windows of {window}, measured ÷ formula"
            yield Figure(STAGE, name, measured / formula, count, **bars, rates=rates, rate_unit="MiB")


def main() -> None:
    """Measure, and write the figures."""
    if sys.argv[1:2] == ["--one"]:
        _one(*sys.argv[2:])
        return
    given = measure.arguments(__doc__)
    figures = Figures(given.output)
    job.saved_model()
    with tempfile.TemporaryDirectory() as text:
        figures.add(*cases(job.written(Path(text), SIDE, SIDE, dates=DATES), given.threads))
    figures.write()


if __name__ == "__main__":
    main()
