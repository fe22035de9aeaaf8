"""Samples: the features of the pixels that lie in reference polygons."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from rasterio.windows import Window

from parcelle import cube, features, files
from parcelle.acquisitions import Inventory
from parcelle.areas import covered
from parcelle.features import Recipe
from parcelle.grid import Grid
from parcelle.hashing import ranks
from parcelle.windows import in_order, windows

log = logging.getLogger(__name__)

# Side of the parts in which a large polygon is looked at.
PART = 1024

KEYS = ["polygon", "code", "region", "row", "column"]


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


def sample(inventory: Inventory, pieces: gpd.GeoDataFrame, recipes: Sequence[Recipe], options: Options) -> pd.DataFrame:
    """Read the features of all pixels in polygons; only windows that hold some are read.

    Returns:
        `KEYS` and one float32 column per feature, sorted by polygon, row and column.

    Raises:
        InputError: An image cannot be read.

    """
    wanted = pixels(pieces, inventory.grid)
    _report_without_pixels(pieces, wanted)
    kept = [part for part in _read(inventory, wanted, recipes, options) if len(part)]
    table = pd.concat(kept, ignore_index=True) if kept else _empty(features.names(recipes))
    if options.per_polygon_max:
        table = first_of_each_polygon(table, options.per_polygon_max)
    _report_invalid(wanted, table, options)
    return table.sort_values(["polygon", "row", "column"], ignore_index=True)


def first_of_each_polygon(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """Keep at most so many pixels of each polygon: the first in the order of the hash of (polygon, row, column).

    A pixel's place in that order depends on nothing but itself, hence not on windows or on other pixels' clouds.
    """
    order = ranks(table.polygon.to_numpy(), table.row.to_numpy(), table.column.to_numpy())
    place = pd.Series(order, table.index).groupby(table.polygon).rank(method="first")
    return table[place <= most]


def _read(
    inventory: Inventory, wanted: pd.DataFrame, recipes: Sequence[Recipe], options: Options
) -> Iterator[pd.DataFrame]:
    size, grid = options.window, inventory.grid
    by_window = dict(iter(wanted.groupby([wanted.row // size, wanted.column // size])))
    names = features.names(recipes)

    def one(window: Window) -> pd.DataFrame:
        part = by_window[window.row_off // size, window.col_off // size]
        data = cube.read(inventory, recipes, window, options.min_valid)
        rows, columns = part.row.to_numpy() - window.row_off, part.column.to_numpy() - window.col_off
        good = data.enough[rows, columns]
        part = part[good]
        if options.per_polygon_max:
            chosen = first_of_each_polygon(part.assign(place=np.flatnonzero(good)), options.per_polygon_max)
            part, good = chosen.drop(columns="place"), chosen.place.to_numpy()
        values = data.features(rows[good] * window.width + columns[good])
        return pd.concat([part.reset_index(drop=True), pd.DataFrame(values, columns=names)], axis=1)

    touched = (w for w in windows(grid.height, grid.width, size) if (w.row_off // size, w.col_off // size) in by_window)
    for _, part in in_order(one, touched, options.threads):
        yield part


def _empty(names: list[str]) -> pd.DataFrame:
    types = {"polygon": "str", "code": "int32", "region": "str", "row": "int32", "column": "int32"}
    return pd.DataFrame({k: pd.Series([], dtype=t) for k, t in (types | dict.fromkeys(names, "float32")).items()})


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


def write(table: pd.DataFrame, path: str) -> None:
    """Write the samples of a tile."""
    with files.whole(path) as draft:
        table.to_parquet(draft, index=False, compression="zstd")


def read(paths: Sequence[str], region: str, per_polygon_max: int | None = None) -> pd.DataFrame:
    """Samples of a region from all its tiles, with their `tile`; sorted by polygon, tile, row and column.

    Args:
        paths: `samples/{tile}.parquet` of the tiles.
        region: Name of the region.
        per_polygon_max: Most pixels of a polygon; one in several tiles may have more than that in their files.

    Raises:
        InputError: Two tiles have different features.
        StaleError: A file is not what was written.

    """
    parts: list[pd.DataFrame] = []
    for path in paths:
        table = pd.read_parquet(files.verify(path), filters=[("region", "==", region)])
        if parts:
            cube.check_features(list(table.columns)[len(KEYS) :], list(parts[0].columns)[len(KEYS) + 1 :], path)
        table.insert(len(KEYS), "tile", Path(path).stem)
        parts.append(table)
    table = pd.concat(parts, ignore_index=True).sort_values(["polygon", "tile", "row", "column"], ignore_index=True)
    return first_of_each_polygon(table, per_polygon_max).reset_index(drop=True) if per_polygon_max else table
