"""Samples: the features of the pixels that lie in reference polygons."""

import functools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from rasterio.windows import Window

from parcelle import features
from parcelle.acquisitions import Inventory
from parcelle.areas import covered
from parcelle.cube import CHUNK, Cube, Maker, Tile, Walk
from parcelle.features import Source
from parcelle.grid import Grid
from parcelle.images import GDAL, Images
from parcelle.samples import KEYS, first_of_each_polygon
from parcelle.series import Scattered
from parcelle.strips import Step
from parcelle.windows import Job, overlapped, windows

log = logging.getLogger(__name__)

# Side of the parts in which a large polygon is looked at.
PART = 1024

# Pixels of a row with fewer pixels between them are made together: what they cost is less than a further call.
APART = 32

# Jobs that a window's pixels are divided into.
JOBS = 8


@dataclass(frozen=True)
class Options:
    """How pixels are chosen, and how a tile is walked."""

    min_valid: int
    per_polygon_max: int | None
    window: int
    threads: int


def pixels(pieces: gpd.GeoDataFrame, grid: Grid) -> pd.DataFrame:
    """Pixels whose centre lies in a piece of a polygon.

    A pixel in several polygons goes to the one whose name sorts first.

    Returns:
        `KEYS`, sorted by polygon, row and column.

    """
    found = [_pixels_of(piece, grid) for piece in pieces.itertuples()]
    table = pd.concat(found, ignore_index=True) if found else pd.DataFrame({k: [] for k in KEYS})
    table = table.astype({"polygon": str, "code": "int32", "region": str, "row": "int32", "column": "int32"})
    table = table.sort_values(["polygon", "region", "row", "column"], ignore_index=True)
    return table.drop_duplicates(["row", "column"], ignore_index=True).sort_values(
        ["polygon", "row", "column"], ignore_index=True
    )


def _pixels_of(piece: Any, grid: Grid) -> pd.DataFrame:
    """Pixels of one piece; a large one is looked at part by part, since only its answer has to fit in memory."""
    found = []
    if around := _around(piece.geometry, grid):
        for part in windows(around.height, around.width, PART):
            window = Window(around.col_off + part.col_off, around.row_off + part.row_off, part.width, part.height)
            rows, columns = np.nonzero(covered(piece.geometry, grid, window))
            found.append((rows + window.row_off, columns + window.col_off))
    rows, columns = (np.concatenate([np.empty(0, int), *(pair[axis] for pair in found)]) for axis in (0, 1))
    names = {"polygon": piece.polygon, "code": piece.code, "region": piece.region}
    return pd.DataFrame(names | {"row": rows, "column": columns})


def _around(geometry: Any, grid: Grid) -> Window | None:
    """Pixels around a polygon, within the grid; None if there are none."""
    x0, y0, x1, y1 = shapely.bounds(geometry)
    left = max(int((x0 - grid.left) // grid.resolution), 0)
    top = max(int((grid.top - y1) // grid.resolution), 0)
    right = min(int((x1 - grid.left) // grid.resolution) + 1, grid.width)
    bottom = min(int((grid.top - y0) // grid.resolution) + 1, grid.height)
    return Window(left, top, right - left, bottom - top) if right > left and bottom > top else None


def sample(inventory: Inventory, pieces: gpd.GeoDataFrame, sources: Sequence[Source], options: Options) -> pd.DataFrame:
    """Read the features of all pixels in polygons; only blocks of the files that hold some are read.

    Returns:
        `KEYS` and one column per feature (int16 or float32), sorted by polygon, row and column.

    Raises:
        InputError: An image cannot be read.

    """
    wanted = pixels(pieces, inventory.grid)
    _report_without_pixels(pieces, wanted)
    kept = [part for part in _read(inventory, wanted, sources, options) if len(part)]
    table = pd.concat(kept, ignore_index=True) if kept else _empty(sources)
    if options.per_polygon_max:
        table = first_of_each_polygon(table, options.per_polygon_max)
    _report_invalid(wanted, table, options)
    return table.sort_values(["polygon", "row", "column"], ignore_index=True)


def _read(
    inventory: Inventory, wanted: pd.DataFrame, sources: Sequence[Source], options: Options
) -> Iterator[pd.DataFrame]:
    with Images() as images:
        tile = Tile(inventory, sources, options.min_valid, images)
        sampler = _Sampler(tile, wanted, options)
        for _, parts in overlapped(sampler.walk.steps, sampler.reading, sampler.computing, options.threads, GDAL):
            yield from parts
        log.info("%d blocks decoded, %.1f MiB", images.blocks, images.decoded / 2**20)


class _Sampler:
    """Gives the jobs that read windows and make the features of their pixels. Two windows are in memory at a time."""

    def __init__(self, tile: Tile, wanted: pd.DataFrame, options: Options):
        self._tile, self._options, self._wanted = tile, options, wanted
        self._scattered = Scattered(wanted.row.to_numpy(), wanted.column.to_numpy())
        # Nothing is done about windows without pixels: with an area of interest, that is most of them.
        self.walk = Walk(tile, options.window, lambda window: len(self._scattered.near(window, 0).rows) > 0)
        self._cubes: dict[Step, Cube] = {}

    def reading(self, step: Step) -> Sequence[Job]:
        """Jobs that read the blocks of a window that hold pixels."""
        cube = self._cubes[step] = self.walk.begin(step, self._scattered)
        return cube.reading

    def computing(self, step: Step) -> list[Job]:
        """Jobs that make the features of some pixels each."""
        cube, part = self._cubes.pop(step), _inside(self._wanted, step.window)
        part = part[cube.enough_at(part.row.to_numpy(), part.column.to_numpy())]
        if self._options.per_polygon_max:
            part = first_of_each_polygon(part, self._options.per_polygon_max)
        part = part.sort_values(["row", "column"], ignore_index=True)
        size = max(-(-len(part) // JOBS), 1)
        return [functools.partial(self._make, cube, part[i : i + size]) for i in range(0, len(part), size)]

    def _make(self, cube: Cube, part: pd.DataFrame) -> pd.DataFrame:
        """Features of some pixels, which are sorted by row and column."""
        maker, window = Maker(self._tile), cube.window
        values: np.ndarray = np.empty((len(part), self._tile.features), self._tile.dtype)
        rows, columns = part.row.to_numpy() - window.row_off, part.column.to_numpy() - window.col_off
        for first, last in _spans(rows, columns):
            start = int(columns[first])
            places = columns[first:last] - start
            needed = np.zeros(places[-1] + 1, bool)
            needed[places] = True
            values[first:last] = maker.features(cube, int(rows[first]), start, len(needed), needed)[:, places].T
        return pd.concat([part.reset_index(drop=True), pd.DataFrame(values, columns=self._tile.names)], axis=1)


def _inside(wanted: pd.DataFrame, window: Window) -> pd.DataFrame:
    rows, columns = wanted.row - window.row_off, wanted.column - window.col_off
    return wanted[(rows >= 0) & (rows < window.height) & (columns >= 0) & (columns < window.width)]


def _spans(rows: np.ndarray, columns: np.ndarray) -> Iterator[tuple[int, int]]:
    """Ranges of pixels that lie near each other on one row; both arrays are sorted by row, then column."""
    first = 0
    for i in range(1, len(rows) + 1):
        if (
            i == len(rows)
            or rows[i] != rows[first]
            or columns[i] - columns[i - 1] > APART
            or columns[i] - columns[first] >= CHUNK
        ):
            yield first, i
            first = i


def _empty(sources: Sequence[Source]) -> pd.DataFrame:
    types = {"polygon": "str", "code": "int32", "region": "str", "row": "int32", "column": "int32"}
    values = dict.fromkeys(features.names(sources), np.dtype(features.dtype_of(sources)).name)
    return pd.DataFrame({k: pd.Series([], dtype=t) for k, t in (types | values).items()})


def _report_without_pixels(pieces: gpd.GeoDataFrame, wanted: pd.DataFrame) -> None:
    """Name the polygons that hold no pixel centre, by where they are: their own names are hashes."""
    without = pieces[~pieces.polygon.isin(wanted.polygon)].drop_duplicates("polygon")
    if len(without):
        places = ", ".join(f"({x:.0f}, {y:.0f})" for x, y in zip(without.x, without.y, strict=True))
        log.warning("%d polygons hold no pixel centre here and give no sample, at %s", len(without), places)


def _report_invalid(wanted: pd.DataFrame, table: pd.DataFrame, options: Options) -> None:
    for code, count in wanted.code.value_counts().sort_index().items():
        log.info("class %s: %d pixels in polygons, %d samples", code, count, (table.code == code).sum())
    if not options.per_polygon_max and len(table) < len(wanted):
        log.warning(
            "%d pixels have fewer than %d valid dates and are no samples",
            len(wanted) - len(table),
            options.min_valid,
        )
