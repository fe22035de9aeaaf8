"""The features map: features of a tile, chosen by name, as a raster. No model is needed."""

import difflib
import fnmatch
import functools
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from rasterio.windows import Window

from parcelle import features, mapping, rasters
from parcelle.acquisitions import Inventory
from parcelle.areas import Areas
from parcelle.cube import CHUNK, Cube, Maker, Tile, Walk
from parcelle.errors import SettingsError
from parcelle.features import Source
from parcelle.images import GDAL, Images
from parcelle.strips import Step
from parcelle.windows import Job, overlapped

log = logging.getLogger(__name__)

EMPTY = "map.features is empty: name the features to write, such as [s2.ndvi.*]"

# What stands where a pixel has too few valid dates: in a raster of integers, and of floats.
NODATA = {"int16": -32768.0, "float32": float("nan")}


def chosen(sources: Sequence[Source], patterns: Sequence[str]) -> list[str]:
    """Names of features that match any of some patterns, such as ``s2.ndvi.*``; in the order of the features.

    Raises:
        SettingsError: A pattern matches none; the nearest name is told.

    """
    names = features.names(sources)
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in names):
            nearest = _nearest(pattern, names)
            raise SettingsError(f"map.features: no feature matches {pattern!r}; the nearest is {nearest!r}")
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def _nearest(pattern: str, names: Sequence[str]) -> str:
    """Name that a pattern means with other capitals; or the one that is spelt most like it."""
    lower = {name.lower(): name for name in names}
    pattern = pattern.lower()
    meant = [name for name in lower if fnmatch.fnmatchcase(name, pattern)]
    return lower[(meant or difflib.get_close_matches(pattern, lower, 1, 0))[0]]


def needed(sources: Sequence[Source], names: Sequence[str]) -> list[Source]:
    """Sources of some features: a function of the user's may look at all sensors."""
    wanted = [source for source in sources if set(source.names) & set(names)]
    outside = features.externals(wanted)
    return [*features.of_sensors(sources), *outside] if outside else wanted


def dtype_of(sources: Sequence[Source], names: Sequence[str]) -> str:
    """Pixel type of a raster of some features: ``int16`` if all of them are integers, else ``float32``."""
    integers: set[str] = set()
    for recipe in features.of_sensors(sources):
        if recipe.integer:
            integers |= set(replace(recipe, indices=tuple(index for index in recipe.indices if index[2])).names)
    return "int16" if set(names) <= integers else "float32"


def write(
    inventory: Inventory,
    sources: Sequence[Source],
    names: Sequence[str],
    output: str,
    min_valid: int,
    *,
    window: int,
    threads: int,
    tags: Mapping[str, str],
    areas: Areas | None = None,
    scratch: str | None = None,
) -> None:
    """Write some features of a tile: a band each, which has its name.

    Pixels outside of the areas are no data, and so are those with fewer than `min_valid` valid dates of a sensor whose
    series is looked at.

    Args:
        inventory: Grid and acquisitions of the tile.
        sources: What features come from.
        names: Features to write, in the order of `features.names`.
        output: GeoTIFF to write, cloud-optimised.
        min_valid: Fewest valid dates.
        window: Side of a window, about; changes nothing but the memory.
        threads: For all of it; they change nothing.
        tags: Written into the raster.
        areas: Where features are made; on the whole tile if None.
        scratch: Folder for the draft; beside the raster if not given.

    Raises:
        SettingsError: No feature is named.
        InputError: An image cannot be read, or a feature is not defined somewhere.

    """
    if not names:
        raise SettingsError(EMPTY)
    dtype = dtype_of(sources, names)
    with Images() as images:
        tile = Tile(inventory, needed(sources, names), min_valid, images)
        blocks = _Blocks(tile, names, window, dtype, areas)
        with rasters.writer(
            output, inventory.grid, dtype, len(names), tags, threads,
            nodata=NODATA[dtype], overviews=True, scratch=scratch,
        ) as raster:  # fmt: skip
            raster.describe(list(names))
            for step, parts in overlapped(blocks.walk.steps, blocks.reading, blocks.computing, threads, GDAL):
                raster.write(step.window, np.concatenate(parts, axis=1))
        log.info("%d blocks decoded, %.1f MiB", images.blocks, images.decoded / 2**20)


class _Blocks:
    """Gives the jobs that read windows and make features of their rows."""

    def __init__(self, tile: Tile, names: Sequence[str], window: int, dtype: str, areas: Areas | None):
        self._tile, self._dtype, self._areas = tile, dtype, areas
        self._places = np.array([tile.names.index(name) for name in names])
        self.walk = Walk(tile, window, functools.partial(areas.near, tile.inventory.grid) if areas else None)
        self._cubes: dict[Step, Cube] = {}
        self._own = threading.local()

    def reading(self, step: Step) -> Sequence[Job]:
        """Jobs that read a window."""
        cube = self._cubes[step] = self.walk.begin(step)
        return cube.reading

    def computing(self, step: Step) -> list[Job]:
        """Jobs that make features of some rows each."""
        cube, height = self._cubes.pop(step), step.window.height
        rows = self._tile.functions.rows(max(mapping.ROWS * CHUNK // step.window.width, 1))
        return [functools.partial(self._make, cube, i, min(i + rows, height)) for i in range(0, height, rows)]

    def _make(self, cube: Cube, first: int, last: int) -> np.ndarray:
        """Features ``(feature, row, column)`` of some rows of a window."""
        if not hasattr(self._own, "maker"):
            self._own.maker = Maker(self._tile)
        enough = cube.valid(slice(first, last)).enough
        if self._areas:
            window = Window(cube.window.col_off, cube.window.row_off + first, cube.window.width, last - first)
            enough = enough & (self._areas.region_of(self._tile.inventory.grid, window) >= 0)
        made = np.full((len(self._places), *enough.shape), NODATA[self._dtype], self._dtype)
        for row, start, planes in self._own.maker.rows(cube, first, enough):
            pixels = np.flatnonzero(enough[row, start : start + planes.shape[1]])
            made[:, row, start + pixels] = planes[np.ix_(self._places, pixels)]
        return made


def memory_mb(
    size: Mapping[str, Mapping[str, float]],
    sources: Sequence[Source],
    names: Sequence[str],
    window: int,
    threads: int,
    held: float = 2,
) -> float:
    """Peak memory of `write` in MiB: that of mapping without models, and two windows of features, twice.

    Args:
        size: Of each sensor, from `acquisitions/{tile}.size.json`.
        sources: What features come from.
        names: Features to write.
        window: Side of a window.
        threads: Threads.
        held: Windows that are held: fewer, where the tile has no more.

    """
    used = needed(sources, names)
    mapped = mapping.memory_mb(size, used, mapping.Options((1,), (), 1), window, threads, 0, held)
    return mapped + window**2 * 2 * held * len(names) * np.dtype(dtype_of(sources, names)).itemsize / 2**20
