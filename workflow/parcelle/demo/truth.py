"""How right the maps of the generated country are: ``python -m parcelle.demo.truth FOLDER RESULTS``."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import rasterio

from parcelle.errors import InputError, in_one_sentence
from parcelle.files import verify
from parcelle.grid import Grid

Count = tuple[int, int]
"""How many are correct, of how many."""


@dataclass(frozen=True)
class Samples:
    """Validation samples of some seeds: how many there are, and how many predictions agree.

    Attributes:
        total: Samples.
        truth: Predictions that are the true class.
        labels: Predictions that are the declared class, which some polygons have wrong.

    """

    total: int
    truth: int
    labels: int


def map_accuracy(map_path: str | Path, truth_path: str | Path) -> Count:
    """Count the pixels of a class map with the true class, and all that have data (not 0).

    Raises:
        InputError: The two are not on one grid.

    """
    with rasterio.open(map_path) as image, rasterio.open(truth_path) as true:
        if Grid.of(image) != Grid.of(true):
            raise InputError(f"{map_path} lies on {Grid.of(image)}, but {truth_path} on {Grid.of(true)}.")
        found, truth = image.read(1), true.read(1)
    there = (found != 0) & (truth != 0)
    return int((found == truth)[there].sum()), int(there.sum())


def tile_accuracies(folder: str | Path, results: str | Path) -> dict[str, Count]:
    """Compare each published map with the truth.

    Args:
        folder: What ``python -m parcelle.demo`` wrote.
        results: Results of the workflow.

    Returns:
        Tile → count.

    Raises:
        InputError: There is no map, or no truth for one.

    """
    maps = sorted(Path(results).glob("map/*/class.tif"))
    if not maps:
        raise InputError(f"{results}/map holds no tile with a class.tif: run the workflow first.")
    return {path.parent.name: map_accuracy(verify(path), _truth(folder, path.parent.name)) for path in maps}


def sample_accuracies(folder: str | Path, results: str | Path) -> dict[str, Samples]:
    """Compare the predictions on validation samples with the truth and with the declared classes.

    Returns:
        Seed → count over all regions; the model of all polygons has no validation samples and is left out.

    Raises:
        InputError: There are no validation samples, or no truth for their tile.

    """
    tables = []
    for path in sorted(Path(results).glob("model/*/*/validation.parquet")):
        table = pd.read_parquet(verify(path), columns=["tile", "row", "column", "reference", "predicted"])
        if len(table):
            tables.append(table.assign(seed=path.parent.name))
    if not tables:
        raise InputError(f"{results}/model holds no validation samples: run the workflow first.")
    samples = pd.concat(tables, ignore_index=True)
    samples["truth"] = _true_classes(folder, samples)
    return {str(seed): _counts(part) for seed, part in samples.groupby("seed")}


def pooled(counts: dict[str, Count]) -> Count:
    """Add counts up."""
    return sum(c for c, _ in counts.values()), sum(n for _, n in counts.values())


def _counts(samples: pd.DataFrame) -> Samples:
    predicted = samples["predicted"]
    truth, labels = (int((predicted == samples[name]).sum()) for name in ("truth", "reference"))
    return Samples(len(samples), truth, labels)


def _true_classes(folder: str | Path, samples: pd.DataFrame) -> np.ndarray:
    classes = np.zeros(len(samples), int)
    for tile, rows in samples.groupby("tile").indices.items():
        with rasterio.open(_truth(folder, str(tile))) as image:
            truth = image.read(1)
        classes[rows] = truth[samples["row"].to_numpy()[rows], samples["column"].to_numpy()[rows]]
    return classes


def _truth(folder: str | Path, tile: str) -> Path:
    path = Path(folder) / f"truth/{tile}.tif"
    if not path.is_file():
        raise InputError(f"{path} is missing: {folder} is not the country that was mapped.")
    return path


def table(folder: str | Path, results: str | Path) -> str:
    """Write all counts as lines of text."""
    tiles, seeds = tile_accuracies(folder, results), sample_accuracies(folder, results)
    truth = {seed: (s.truth, s.total) for seed, s in seeds.items()}
    labels = {seed: (s.labels, s.total) for seed, s in seeds.items()}
    lines = [line(f"map of {tile} against the truth", count) for tile, count in tiles.items()]
    lines.append(line("maps of all tiles against the truth", pooled(tiles)))
    lines += [line(f"validation samples of seed {seed} against the truth", count) for seed, count in truth.items()]
    lines.append(line("validation samples of all seeds against the truth", pooled(truth)))
    lines.append(line("validation samples of all seeds against the labels", pooled(labels)))
    return "\n".join(lines)


def line(name: str, count: Count) -> str:
    """Write one count as a line of the table."""
    correct, total = count
    share = f"{correct / total:.4f}" if total else "undefined"
    return f"{name:<52}{share:>10}{total:>10}"


@in_one_sentence
def main(words: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m parcelle.demo.truth", description="Compare maps with the truth.")
    parser.add_argument("folder", help="what `python -m parcelle.demo` wrote")
    parser.add_argument("results", help="results of the workflow")
    given = parser.parse_args(words)
    print(table(given.folder, given.results))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
