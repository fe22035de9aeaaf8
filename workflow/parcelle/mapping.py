"""Map a tile: one pass over its images, every model that has a pixel there, every product."""

import contextlib
import csv
import functools
import logging
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rasterio.windows import Window

from parcelle import features, files, rasters
from parcelle.acquisitions import Inventory
from parcelle.areas import Areas
from parcelle.blocks import memory_mb as memory_of_blocks
from parcelle.cube import CHUNK, Cube, Maker, Tile, Walk
from parcelle.errors import InputError
from parcelle.features import Recipe, Source
from parcelle.images import GDAL, Images
from parcelle.series import dates_of
from parcelle.strips import Step
from parcelle.training import Model
from parcelle.windows import Job, overlapped

log = logging.getLogger(__name__)

# Memory of the interpreter with its libraries and GDAL's cache of decoded blocks, and of an open image; measured.
BASE_MB = 360
FILE_MB = 0.6

# Rows of 1,024 pixels that one job maps.
ROWS = 16


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
    """Some rows of the map: products by name, counts by (region, class, own), clear pixels of regions of each date."""

    products: dict[str, np.ndarray]
    counts: Counter
    clear: tuple[np.ndarray, ...]


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
    sources: Sequence[Source],
    outputs: Mapping[str, str],
    options: Options,
    *,
    window: int,
    threads: int,
    tags: Mapping[str, str],
    scratch: str | None = None,
) -> tuple[Counter, dict[str, np.ndarray]]:
    """Map a tile and write its products.

    Args:
        inventory: Grid and acquisitions of the tile.
        areas: Its regions, and its own part.
        models: Models of each region of `areas`.
        sources: What features come from.
        outputs: Path of each product.
        options: What is mapped.
        window: Side of a window, about; changes nothing but the memory.
        threads: Windows are read, computed and written by so many threads; they change nothing.
        tags: Written into every raster.
        scratch: Folder for drafts; beside the products if not given.

    Returns:
        Pixels by (region, class, own), and by sensor the pixels of each date that are clear, of those in regions.

    Raises:
        InputError: An image cannot be read; or a model knows a class that the nomenclature does not.

    """
    _refuse_unknown_classes(models, options)
    counts: Counter = Counter()
    new = functools.partial(rasters.writer, grid=inventory.grid, tags=tags, threads=threads, scratch=scratch)
    with contextlib.ExitStack() as stack:
        images = stack.enter_context(Images())
        tile = Tile(inventory, sources, options.min_valid, images)
        mapper = _Mapper(tile, areas, [list(models[name]) for name in areas.regions], options, window)
        clear = [np.zeros(len(sensor.dates), np.int64) for sensor in tile.sensors]
        written = ((p, new(outputs[p], dtype=options.dtype(p), count=options.bands(p))) for p in options.products)
        rasters_of = {product: stack.enter_context(raster) for product, raster in written}
        for step, parts in overlapped(mapper.walk.steps, mapper.reading, mapper.computing, threads, GDAL):
            for product, raster in rasters_of.items():
                raster.write(step.window, np.concatenate([part.products[product] for part in parts], axis=1))
            for part in parts:
                counts += part.counts
                clear = [total + more for total, more in zip(clear, part.clear, strict=True)]
        counts += mapper.left_out()
        log.info("%d blocks decoded, %.1f MiB", images.blocks, images.decoded / 2**20)
    return counts, {s.recipe.sensor: total for s, total in zip(tile.sensors, clear, strict=True)}


class _Mapper:
    """Gives the jobs that read and map windows."""

    def __init__(
        self, tile: Tile, areas: Areas, models: Sequence[Sequence[Model]], options: Options, window: int
    ) -> None:
        """Take the models of each region, in the order of `areas`."""
        self._tile, self._areas, self._models, self._options = tile, areas, models, options
        # Where no region is, nothing is read and nothing written: the rasters are 0 there.
        self.walk = Walk(tile, window, functools.partial(areas.near, tile.inventory.grid))
        self._cubes: dict[Step, Cube] = {}
        self._own = threading.local()

    def reading(self, step: Step) -> Sequence[Job]:
        """Jobs that read a window."""
        cube = self._cubes[step] = self.walk.begin(step)
        return cube.reading

    def left_out(self) -> Counter:
        """Pixels that are not mapped, counted as those of `_count`."""
        counts: Counter = Counter()
        for window in self.walk.left_out:
            own = int(self._areas.own_pixels(self._tile.inventory.grid, window).sum())
            counts += Counter({("", 0, True): own, ("", 0, False): window.height * window.width - own})
        return counts

    def computing(self, step: Step) -> list[Job]:
        """Jobs that map some rows each of a window that was read."""
        cube, height = self._cubes.pop(step), step.window.height
        rows = self._tile.functions.rows(max(ROWS * CHUNK // step.window.width, 1))
        return [functools.partial(self._map_rows, cube, i, min(i + rows, height)) for i in range(0, height, rows)]

    def _map_rows(self, cube: Cube, first: int, last: int) -> Mapped:
        """Map some rows of a window."""
        window, grid = cube.window, self._tile.inventory.grid
        place = Window(window.col_off, window.row_off + first, window.width, last - first)
        region = self._areas.region_of(grid, place)
        valid = cube.valid(slice(first, last), region >= 0)
        usable = np.where(valid.enough, region, np.int16(-1))
        products = self._predict(cube, first, usable)
        if "validity" in products:
            products["validity"][0] = np.where(usable >= 0, valid.validity, 0)
        own = self._areas.own_pixels(grid, place)
        counts = _count(region, products["class"][0], own, [*self._areas.regions, ""])
        return Mapped(products, counts, valid.clear)

    def _predict(self, cube: Cube, first: int, usable: np.ndarray) -> dict[str, np.ndarray]:
        """Products ``(band, row, column)`` of some rows; all are 0 where `usable`, the place of the region, is −1."""
        if not hasattr(self._own, "maker"):
            self._own.maker = Maker(self._tile)
        options, maker = self._options, self._own.maker
        made = {p: np.zeros((options.bands(p), *usable.shape), options.dtype(p)) for p in options.products}
        for row, start, planes in maker.rows(cube, first, usable >= 0):
            here = usable[row, start : start + planes.shape[1]]
            parts = {p: values[:, row, start : start + len(here)] for p, values in made.items()}
            predict(planes, here, self._models, options, parts)
        return made


def predict(
    planes: np.ndarray,
    region: np.ndarray,
    models: Sequence[Sequence[Model]],
    options: Options,
    products: Mapping[str, np.ndarray],
) -> None:
    """Write the products that follow from probabilities.

    `class` is the most probable one (of equal ones the lowest code, as in the predictions on samples), `confidence` its
    mean probability × 100, at least 1; `probability` is × 1000, in the nomenclature's order, 0 where a model lacks the
    class.

    Args:
        planes: Features ``(feature, pixel)``.
        region: Place of each pixel's region among `models`, −1 for none ``(pixel,)``.
        models: Models of each region; their mean counts.
        options: What is mapped.
        products: Arrays to write ``(band, pixel)``; pixels of no region are left alone.

    """
    for place, of_region in enumerate(models):
        pixels = np.flatnonzero(region == place)
        if len(pixels):
            chosen = planes if len(pixels) == len(region) else planes[:, pixels]
            made = _products(_mean(of_region, chosen.T, options.ascending), options)
            for product, values in made.items():
                products[product][:, pixels] = values


def _refuse_unknown_classes(models: Mapping[str, Sequence[Model]], options: Options) -> None:
    for region, of_region in models.items():
        for model in of_region:
            if unknown := sorted({int(c) for c in model.classifier.classes} - set(options.codes)):
                raise InputError(
                    f"the model of region {region!r} was trained on class {unknown[0]}, which is not in the "
                    "nomenclature: add it there, or train again."
                )


def _count(region: np.ndarray, classes: np.ndarray, own: np.ndarray, names: list[str]) -> Counter:
    """Pixels by (region, class, own); the place −1 is the last of `names`."""
    keys, counts = np.unique(np.stack([region.ravel(), classes.ravel(), own.ravel()]), axis=1, return_counts=True)
    return Counter({(names[r], int(c), bool(o)): int(n) for (r, c, o), n in zip(keys.T, counts, strict=True)})


def memory_mb(
    size: Mapping[str, Mapping[str, float]],
    sources: Sequence[Source],
    options: Options,
    window: int,
    threads: int,
    models_mb: float,
    held: float = 2,
) -> float:
    """Peak memory of `map_tile` in MiB.

    Two windows are held, one being read and one being mapped: the values as they lie in the files, the masks, and the
    products. Beside them, what an open file needs, and of each thread the features of a row, and the block of rows that
    external functions see. What lies around a pixel makes windows larger.

    Args:
        size: Of each sensor, from `acquisitions/{tile}.size.json`.
        sources: What features come from.
        options: What is mapped.
        window: Side of a window.
        threads: Threads.
        models_mb: Size of all models in memory.
        held: Windows that are held: fewer, where the tile has no more.

    """
    recipes, reach = features.of_sensors(sources), max((r.reach for r in features.of_sensors(sources)), default=0)
    values = sum(size[r.sensor]["acquisitions"] * _pixel_bytes(size[r.sensor], r) for r in recipes)
    written = sum(options.bands(p) * np.dtype(options.dtype(p)).itemsize for p in options.products)
    files_mb = sum(size[r.sensor]["files"] for r in recipes) * FILE_MB
    row = CHUNK * sum(_row_bytes(size[r.sensor], r) for r in recipes) + CHUNK * len(options.codes) * 8 * 4
    side = max(window, 4 * reach) + 2 * reach
    blocks = threads * memory_of_blocks(recipes, features.externals(sources), size, CHUNK)
    return BASE_MB + models_mb + files_mb + blocks + (side**2 * held * (values + 2 * written) + threads * row) / 2**20


def _pixel_bytes(size: Mapping[str, float], recipe: Recipe) -> float:
    """Bytes of one acquisition for one pixel of the tile: coarse bands have fewer pixels."""
    return size["density"] * np.dtype(recipe.dtype).itemsize + 1


def _row_bytes(size: Mapping[str, float], recipe: Recipe) -> float:
    """Bytes for one pixel of the row that is being mapped.

    Coarse bands interpolated; what is made of the acquisitions of a day, and of a month; one series smoothed; features
    twice.
    """
    joined = 2 if recipe.composite else int(size["dates"] < size["acquisitions"])
    values = (size["acquisitions"] + joined * size["dates"]) * size["bands"] * np.dtype(recipe.dtype).itemsize
    smoothed = 8 * len(recipe.dates) if recipe.filling.smooths else 0
    return values + smoothed + 2 * len(recipe.names) * 4


def write_counts(counts: Counter, pixel_area: float, path: str) -> None:
    """Write pixels by region and class; `own_pixels` are those that no earlier tile covers, `pixel_area` is in m²."""
    keys = sorted({(region, code) for region, code, _ in counts})
    with files.whole(path) as draft, draft.open("w", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["region", "class", "pixels", "own_pixels", "pixel_area"])
        for region, code in keys:
            own = counts[region, code, True]
            table.writerow([region, code, own + counts[region, code, False], own, f"{pixel_area:g}"])


def write_clear(inventory: Inventory, clear: Mapping[str, np.ndarray], counts: Counter, path: str | Path) -> None:
    """Write the clear share of each date of each sensor, over the pixels of the tile that lie in regions."""
    pixels = max(sum(number for (region, _, _), number in counts.items() if region), 1)
    with files.whole(path) as draft, draft.open("w", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["sensor", "date", "acquisitions", "clear"])
        for sensor, of_dates in clear.items():
            found = inventory.of(sensor)
            per_day = Counter(a.date for a in found)
            for date, count in zip(dates_of(found), of_dates, strict=True):
                table.writerow([sensor, date.isoformat(), per_day[date], f"{count / pixels:.6f}"])
