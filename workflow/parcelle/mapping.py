"""Map a tile: one pass over its images, every model that has a pixel there, every product."""

import contextlib
import csv
import functools
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rasterio.windows import Window

from parcelle import cube, files, rasters
from parcelle.acquisitions import Inventory
from parcelle.areas import Areas
from parcelle.cube import Cube
from parcelle.errors import InputError
from parcelle.features import Recipe
from parcelle.series import dates_of
from parcelle.training import Model
from parcelle.windows import in_order, windows

log = logging.getLogger(__name__)

# Memory of the interpreter with its libraries and GDAL's cache of decoded blocks, measured.
BASE_MB = 360

# Pixels whose features are made at a time: their matrix stays in the processor's cache.
CHUNK = 4096


@dataclass(frozen=True)
class Options:
    """What is mapped: codes in the nomenclature's order, products, and the fewest valid dates of a pixel."""

    codes: tuple[int, ...]
    products: tuple[str, ...]
    min_valid: int

    @property
    def ascending(self) -> list[int]:
        """Codes in ascending order, which decides between equal probabilities."""
        return sorted(self.codes)

    def dtype(self, product: str) -> str:
        """Pixel type of a product."""
        wide = product in ("probability", "validity") or (product == "class" and max(self.codes) > 255)
        return "uint16" if wide else "uint8"

    def bands(self, product: str) -> int:
        """Number of bands of a product."""
        return len(self.codes) if product == "probability" else 1


@dataclass(frozen=True)
class Mapped:
    """A window of the map: products by name, counts by (region, class, own), clear pixels of each date."""

    products: dict[str, np.ndarray]
    counts: Counter
    clear: tuple[np.ndarray, ...]


def predict(
    data: Cube, region: np.ndarray, models: Sequence[Sequence[Model]], options: Options
) -> dict[str, np.ndarray]:
    """Products of a window; all are 0 at a pixel without data.

    Args:
        data: The window.
        region: Place of each pixel's region among `models`, −1 for none: ``(row, column)``.
        models: Models of each region; their mean counts.
        options: What is mapped.

    Returns:
        `class` (the most probable; of equal ones the lowest code, as in the predictions on samples), `confidence`
        (largest mean probability × 100, at least 1), `validity`, each ``(row, column)``; if asked, `probability` × 1000
        ``(class, row, column)`` in the nomenclature's order, 0 where a model lacks the class.

    """
    made = {p: np.zeros((options.bands(p), region.size), options.dtype(p)) for p in options.products}
    usable = np.where(data.enough, region, -1).ravel()
    for place, of_region in enumerate(models):
        pixels = np.flatnonzero(usable == place)
        for start in range(0, len(pixels), CHUNK):
            chunk = pixels[start : start + CHUNK]
            for product, values in _products(
                _mean(of_region, data.features(chunk), options.ascending), options
            ).items():
                made[product][:, chunk] = values
    if "validity" in made:
        made["validity"][0] = np.where(usable >= 0, data.validity.ravel(), 0)
    return {p: values.reshape(-1, *region.shape) for p, values in made.items()}


def _products(probabilities: np.ndarray, options: Options) -> dict[str, np.ndarray]:
    """Products of some pixels ``(band, pixel)`` from the probabilities of the ascending codes ``(pixel, class)``."""
    made = {"class": np.asarray(options.ascending)[probabilities.argmax(axis=1)]}
    if "confidence" in options.products:
        # At least 1, since 0 is no data in every product.
        made["confidence"] = np.maximum(np.rint(probabilities.max(axis=1) * 100), 1)
    if "probability" in options.products:
        order = [options.ascending.index(code) for code in options.codes]
        made["probability"] = np.rint(probabilities[:, order].T * 1000)
    return made


def _mean(models: Sequence[Model], features: np.ndarray, codes: Sequence[int]) -> np.ndarray:
    """Mean probability of several models ``(pixel, class)``; a class that one lacks counts 0 there."""
    total = np.zeros((len(features), len(codes)))
    for model in models:
        places = [codes.index(int(c)) for c in model.classifier.classes]
        total[:, places] += model.classifier.probabilities(features)
    return total / len(models)


def map_tile(
    inventory: Inventory,
    areas: Areas,
    models: Mapping[str, Sequence[Model]],
    recipes: Sequence[Recipe],
    outputs: Mapping[str, str],
    options: Options,
    *,
    window: int,
    threads: int,
    tags: Mapping[str, str],
) -> tuple[Counter, dict[str, np.ndarray]]:
    """Map a tile and write its products.

    Args:
        inventory: Grid and acquisitions of the tile.
        areas: Its regions, and its own part.
        models: Models of each region of `areas`.
        recipes: How features are made.
        outputs: Path of each product.
        options: What is mapped.
        window: Side of a window; changes nothing but the memory.
        threads: Windows at a time; change nothing.
        tags: Written into every raster.

    Returns:
        Pixels by (region, class, own), and clear pixels of each date by sensor.

    Raises:
        InputError: An image cannot be read; or a model knows a class that the nomenclature does not.

    """
    _refuse_unknown_classes(models, options)
    by_place = [list(models[name]) for name in areas.regions]
    one = functools.partial(_map_window, inventory, areas, by_place, recipes, options)
    grid = inventory.grid
    counts: Counter = Counter()
    clear = [np.zeros(len(dates_of(inventory.of(r.sensor))), np.int64) for r in recipes]
    with contextlib.ExitStack() as stack:
        rasters_of = {
            p: stack.enter_context(_open(p, inventory, outputs, options, tags, threads)) for p in options.products
        }
        for place, mapped in in_order(one, windows(grid.height, grid.width, window), threads):
            for product, raster in rasters_of.items():
                raster.write(place, mapped.products[product])
            counts += mapped.counts
            clear = [total + part for total, part in zip(clear, mapped.clear, strict=True)]
    return counts, {r.sensor: total for r, total in zip(recipes, clear, strict=True)}


def _map_window(
    inventory: Inventory,
    areas: Areas,
    models: Sequence[Sequence[Model]],
    recipes: Sequence[Recipe],
    options: Options,
    place: Window,
) -> Mapped:
    """Map one window; `models` are those of each region, in the order of `areas`."""
    data = cube.read(inventory, recipes, place, options.min_valid)
    region = areas.region_of(inventory.grid, place)
    made = predict(data, region, models, options)
    counts = _count(region, made["class"], areas.own_pixels(inventory.grid, place), [*areas.regions, ""])
    return Mapped(made, counts, data.clear)


def _refuse_unknown_classes(models: Mapping[str, Sequence[Model]], options: Options) -> None:
    for region, of_region in models.items():
        for model in of_region:
            if unknown := sorted({int(c) for c in model.classifier.classes} - set(options.codes)):
                raise InputError(
                    f"the model of region {region!r} was trained on class {unknown[0]}, which is not in the "
                    "nomenclature: add it there, or train again."
                )


def _open(
    product: str,
    inventory: Inventory,
    outputs: Mapping[str, str],
    options: Options,
    tags: Mapping[str, str],
    threads: int,
) -> contextlib.AbstractContextManager[rasters.Writer]:
    return rasters.writer(
        outputs[product], inventory.grid, options.dtype(product), options.bands(product), tags, threads
    )


def _count(region: np.ndarray, classes: np.ndarray, own: np.ndarray, names: list[str]) -> Counter:
    """Pixels by (region, class, own); the place −1 is the last of `names`."""
    keys, counts = np.unique(np.stack([region.ravel(), classes.ravel(), own.ravel()]), axis=1, return_counts=True)
    return Counter({(names[r], int(c), bool(o)): int(n) for (r, c, o), n in zip(keys.T, counts, strict=True)})


def memory_mb(
    size: Mapping[str, Mapping[str, int]],
    recipes: Sequence[Recipe],
    options: Options,
    window: int,
    threads: int,
    models_mb: float,
) -> float:
    """Peak memory of `map_tile` in MiB.

    Each thread holds the gap-filled series of all sensors, the series of the largest one, and the products of its
    window, and one chunk of features with scikit-learn's copy of it; the rest does not depend on the window.

    Args:
        size: `dates` and `bands` of each sensor, from `acquisitions/{tile}.size.json`.
        recipes: Features.
        options: What is mapped.
        window: Side of a window.
        threads: Threads.
        models_mb: Size of all models in memory.

    """
    filled = sum(cube.filled_bytes(r) for r in recipes)
    series = max(cube.series_bytes(size[r.sensor]["dates"], r) for r in recipes)
    written = sum(options.bands(p) * np.dtype(options.dtype(p)).itemsize for p in options.products)
    chunk = CHUNK * (sum(len(r.names) for r in recipes) * 4 * 3 + len(options.codes) * 8 * 3)
    per_thread = window**2 * (filled + series + 2 * written + 16) + chunk
    return BASE_MB + models_mb + threads * per_thread / 2**20


def write_counts(counts: Counter, pixel_area: float, path: str) -> None:
    """Write pixels by region and class; `own_pixels` are those that no earlier tile covers, `pixel_area` is in m²."""
    keys = sorted({(region, code) for region, code, _ in counts})
    with files.whole(path) as draft, draft.open("w", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["region", "class", "pixels", "own_pixels", "pixel_area"])
        for region, code in keys:
            own = counts[region, code, True]
            table.writerow([region, code, own + counts[region, code, False], own, f"{pixel_area:g}"])


def write_clear(inventory: Inventory, clear: Mapping[str, np.ndarray], path: str | Path) -> None:
    """Write the clear share of each date of each sensor over the tile."""
    pixels = inventory.grid.height * inventory.grid.width
    with files.whole(path) as draft, draft.open("w", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["sensor", "date", "acquisitions", "clear"])
        for sensor, counts in clear.items():
            found = inventory.of(sensor)
            per_day = Counter(a.date for a in found)
            for date, count in zip(dates_of(found), counts, strict=True):
                table.writerow([sensor, date.isoformat(), per_day[date], f"{count / pixels:.6f}"])
