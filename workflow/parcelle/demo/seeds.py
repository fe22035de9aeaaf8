"""How right the map of each seed would be: ``python -m parcelle.demo.seeds FOLDER SETTINGS``.

The workflow maps with one more model per region, trained on all polygons; the seeds' models are only validated. Here
each of them maps the generated country whole, so that its validation can be held against the truth of its map.
"""

import argparse
from pathlib import Path

import numpy as np
import rasterio
import yaml

from parcelle import acquisitions, cube, features, mapping, settings, training
from parcelle.areas import Areas
from parcelle.demo import truth
from parcelle.errors import in_one_sentence
from parcelle.features import Source
from parcelle.nomenclature import Nomenclature
from parcelle.settings import Settings
from parcelle.windows import windows


def map_accuracies(folder: str | Path, checked: Settings) -> dict[str, truth.Count]:
    """Map every tile by every seed and compare with the truth.

    Args:
        folder: What ``python -m parcelle.demo`` wrote.
        checked: Settings that the country was mapped with.

    Returns:
        Seed → pixels with the true class, pixels with data.

    """
    total = np.zeros((checked.seeds, 2), int)
    for tile in checked.tiles:
        total += _tile(folder, tile, checked, features.sources(checked))
    return {str(seed): (int(right), int(all)) for seed, (right, all) in enumerate(total)}


def _tile(folder: str | Path, tile: str, checked: Settings, sources: list[Source]) -> np.ndarray:
    """Correct and all pixels of a tile by seed ``(seed, 2)``; its images are read once."""
    results = checked.results
    inventory = acquisitions.read(f"{results}/acquisitions/{tile}.json")
    areas = Areas.read(f"{results}/areas/{tile}.parquet")
    options = mapping.Options(tuple(Nomenclature.read(checked.nomenclature).codes), ("class",), checked.map.min_valid)
    names = features.names(sources)
    models = [
        [[training.load(f"{results}/model/{region}/{seed}/model.json", names)] for region in areas.regions]
        for seed in range(checked.seeds)
    ]
    with rasterio.open(Path(folder) / f"truth/{tile}.tif") as image:
        true = image.read(1)
    counts = np.zeros((checked.seeds, 2), int)
    for window in windows(inventory.grid.height, inventory.grid.width, checked.window.size):
        data = cube.read(inventory, sources, window, options.min_valid)
        region = areas.region_of(inventory.grid, window)
        here = true[window.toslices()]
        planes = data.features().reshape(-1, len(names)).T
        place = np.where(data.enough, region, -1).ravel()
        for seed, of_region in enumerate(models):
            made = np.zeros((1, place.size), options.dtype("class"))
            mapping.predict(planes, place, of_region, options, {"class": made})
            there = (made[0] != 0) & (here.ravel() != 0)
            counts[seed] += (made[0] == here.ravel())[there].sum(), there.sum()
    return counts


@in_one_sentence
def main(words: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m parcelle.demo.seeds", description="Map by each seed, compare.")
    parser.add_argument("folder", help="what `python -m parcelle.demo` wrote")
    parser.add_argument("settings", help="settings file that it was mapped with")
    given = parser.parse_args(words)
    counts = map_accuracies(given.folder, settings.read(yaml.safe_load(Path(given.settings).read_text())))
    for seed, count in counts.items():
        print(truth.line(f"map of seed {seed} against the truth", count))
    print(truth.line("maps of all seeds against the truth", truth.pooled(counts)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
