"""Peak memory of `train` against its formula: 60,000 and 400,000 samples of 468 features, all of which learn.

The samples lie on two tiles, in polygons of 8 pixels. 60,000 of them grow all 100 trees. For 400,000, that takes some
twenty minutes on two cores: 4 trees are grown, and what was measured then is raised by the memory of 96 more, of as
many nodes each and with the formula's bytes a node; `--full` grows all of them.
"""

import multiprocessing
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import measure
import numpy as np
import pandas as pd
import scene
from measure import Figure, Figures

from parcelle import resources, samples, training

ROOT = Path(__file__).parents[1]
TREES, FEW = 100, 4
THREADS = 2  # as the rule has it
PIXELS = 8  # of a polygon
WIDTH = 10_980
MODEL = {"name": "forest", "trees": TREES, "depth": 25, "min_samples": 5, "features": "sqrt"}


@dataclass(frozen=True)
class Trained:
    """What one training took: peak memory in MiB, and the nodes of all its trees."""

    peak: float
    nodes: int


def write(folder: Path, count: int) -> None:
    """Write the samples of two tiles; polygons are rows of pixels."""
    values, classes = scene.training_set(count)
    place = np.arange(len(values))
    keys = {
        "polygon": [f"{i * 7919 % 2**31:016x}" for i in place // PIXELS],
        "code": classes.astype(np.int32),
        "region": "whole",
        "row": (2 * place // WIDTH).astype(np.int32),
        "column": (place % WIDTH).astype(np.int32),
    }
    features = pd.DataFrame(values, columns=[f"s2.f{i}.20180301" for i in range(values.shape[1])])
    table = pd.concat([pd.DataFrame(keys), features], axis=1)
    half = len(table) // PIXELS // 2 * PIXELS
    samples.write(table[:half], str(folder / "T1.parquet"))
    samples.write(table[half:], str(folder / "T2.parquet"))


def write_apart(folder: Path, count: int) -> None:
    """Write samples in a process of its own: one that is started later counts the memory of this one as its own."""
    process = multiprocessing.get_context("spawn").Process(target=write, args=(folder, count))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"the samples were not written: exit code {process.exitcode}")


def train(folder: Path, paths: list[str], trees: int) -> Trained:
    """Run the script of `train` as a process of its own."""
    code = f"""
import resource, sys
sys.path[:0] = [{str(ROOT / "workflow")!r}, {str(ROOT / "scripts")!r}]
from train import train
train({paths!r}, None, "model.json", "validation.parquet", region="whole", seed="all", model={MODEL | {"trees": trees}},
    per_class=None, per_polygon_max=None, threads={THREADS})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True, text=True)
    with np.load(folder / "forest.npz") as arrays:
        return Trained(float(done.stdout.split()[-1]), int(arrays["starts"][-1]))


def compare(count: int, trees: int) -> Figure:
    """Measure the peak memory for so many samples, of which so many trees are grown."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        write_apart(folder, count)
        paths = [str(folder / f"{tile}.parquet") for tile in ("T1", "T2")]
        size = samples.total(paths)
        trained = train(folder, paths, trees)
    missing = trained.nodes / trees * (TREES - trees) * training.node_bytes(scene.CLASSES) / 2**20
    formula = training.memory_mb(size, size.rows, scene.CLASSES, MODEL, THREADS)
    rates = {"formula": formula, "measured": trained.peak + missing, f"with {trees} trees": trained.peak}
    name = f"peak memory of {size.rows:,} samples × {size.features} features, measured ÷ formula"
    return Figure(
        "training", name, rates["measured"] / formula, THREADS, at_most=resources.MARGIN, rates=rates, rate_unit="MiB"
    )


def main() -> None:
    """Measure both tables."""
    given = measure.arguments(__doc__)
    figures = Figures(given.output)
    figures.add(compare(60_000, TREES))
    figures.add(compare(400_000, TREES if given.full else FEW))
    figures.write()


if __name__ == "__main__":
    main()
