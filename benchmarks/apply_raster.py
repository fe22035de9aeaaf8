"""Write class and confidence of a prepared raster by Parcelle's forest: a whole process, for `prepared.py` to time."""

import argparse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

from parcelle.models.forest import Forest

ROWS, SLICE = 32, 1024  # rows read at a time, and pixels a call of the forest


def apply(raster: Path, model: Path, folder: Path, threads: int) -> None:
    """Write class and confidence of a raster, by the model that lies in a folder."""
    forest = Forest.load(model)
    with rasterio.open(raster) as image:
        profile = image.profile | dict(count=1, dtype="uint8")
        made = np.empty((2, image.height, image.width), np.uint8)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda place: _apply_window(raster, forest, place, made), _strips(*made.shape[1:])))
    for name, layer in zip(("class", "confidence"), made, strict=True):
        with rasterio.open(folder / f"parcelle-{name}.tif", "w", **profile) as image:
            image.write(layer, 1)


def _strips(height: int, width: int) -> Iterator[Window]:
    """Windows of whole rows."""
    for row in range(0, height, ROWS):
        yield Window(0, row, width, min(ROWS, height - row))


def _apply_window(raster: Path, forest: Forest, place: Window, made: np.ndarray) -> None:
    with rasterio.open(raster) as image:
        planes = image.read(window=place).reshape(image.count, -1)
    pixels = range(0, planes.shape[1], SLICE)
    probabilities = np.concatenate([forest.probabilities(planes[:, i : i + SLICE].T) for i in pixels])
    rows = slice(place.row_off, place.row_off + place.height)
    shape = (place.height, place.width)
    made[0, rows] = forest.classes[probabilities.argmax(axis=1)].reshape(shape)
    made[1, rows] = np.rint(probabilities.max(axis=1) * 100).reshape(shape)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, kind in (("raster", Path), ("model", Path), ("folder", Path), ("threads", int)):
        parser.add_argument(name, type=kind)
    apply(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
