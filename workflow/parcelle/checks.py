"""Checks of acquisitions: one look at the files of each, then what sets one apart from the others.

A look also tells how much of the tile is clear, from some of the blocks of its masks.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import rasterio
from rasterio.windows import Window

from parcelle import checksums, damage, decoding, opening
from parcelle.acquisitions import ordered
from parcelle.damage import Parts
from parcelle.errors import InputError
from parcelle.grid import Grid, in_metres, same_crs
from parcelle.images import GDAL, UNREADABLE
from parcelle.sensors import Acquisition, Asset, Mask, Problem

log = logging.getLogger(__name__)

# Most pixels along a side that a mask is looked at with.
SAMPLED = 512


@dataclass(frozen=True)
class Look:
    """What a look at the files of an acquisition shows.

    Attributes:
        fault: What is wrong with them, if anything.
        grids: Grid of each file.
        types: Type of the pixels of each file.
        clear: Share of the tile that no mask calls invalid, 0 to 1; None without masks.
        away: Whether the first file lies elsewhere than the tile; no other was looked at then.
        checksums: SHA-256 of each file, where all of it was read.

    """

    fault: str | None
    grids: dict[str, Grid]
    types: dict[str, str]
    clear: float | None = None
    away: bool = False
    checksums: Mapping[str, str] = field(default_factory=dict)


def looks(
    acquisitions: Sequence[Acquisition],
    tile: Grid,
    full: bool = False,
    threads: int = 1,
    drivers: Sequence[str] | None = opening.DRIVERS,
) -> list[Look]:
    """Look at acquisitions; each file is opened once, and at most one part of it is in memory.

    Args:
        acquisitions: The acquisitions.
        tile: Grid of the tile.
        full: Whether every block is read, and not the headers and some of the masks alone.
        threads: Acquisitions at a time.
        drivers: Drivers of GDAL that may open a file; None for any.

    """
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(partial(_look, tile=tile, full=full, drivers=drivers), acquisitions))


def _look(acquisition: Acquisition, tile: Grid, full: bool, drivers: Sequence[str] | None) -> Look:
    """Open every file of an acquisition, up to the first that is wrong."""
    parts: dict[str, list[Asset | Mask]] = {}
    every: Parts = (*acquisition.assets.values(), *acquisition.masks)
    for part in every:
        parts.setdefault(part.path, []).append(part)
    found, clear = Look(None, {}, {}), np.ones(_sampled(tile), bool)
    with rasterio.Env(**GDAL):
        for path, of_file in parts.items():
            try:
                with opening.image(path, drivers) as image:
                    found.grids[path], found.types[path] = Grid.of(image), image.dtypes[0]
                    if len(found.grids) == 1 and not found.grids[path].touches(tile):
                        return replace(found, away=True)
                    why = damage.fault(image, of_file, full) or _clear_part(image, of_file, tile, clear)
            except rasterio.errors.RasterioIOError as error:
                why = f"cannot be opened ({opening.reason(error, drivers)})"
            except InputError as error:
                return Look(str(error), found.grids, found.types)
            if why:
                return Look(f"{path} {why}", found.grids, found.types)
    why, sums = damage.unpacked(parts) if full else (None, {})
    if why:
        return Look(why, found.grids, found.types)
    if full:  # what was read just now is still in the machine's memory
        sums |= {path: digest for path in parts if path not in sums and (digest := checksums.of(path))}
    return replace(found, clear=round(float(clear.mean()), 4) if acquisition.masks else None, checksums=sums)


def _clear_part(image: rasterio.DatasetReader, parts: Parts, tile: Grid, clear: np.ndarray) -> str | None:
    """Take from the points of the tile those that the masks of a file call invalid; say if they cannot be read."""
    for mask in parts:
        if isinstance(mask, Mask):
            try:
                clear &= _clear(image, mask, tile)
            except UNREADABLE as error:
                return damage.unreadable(image, [mask.band]) or f"cannot be read ({error.__cause__ or error})"
    return None


def _clear(image: rasterio.DatasetReader, mask: Mask, tile: Grid) -> np.ndarray:
    """Which points of the tile a mask does not call invalid ``(row, column)`` bool; none beyond the mask.

    An overview of the mask is read if it has some, else those of its blocks that hold points.
    """
    rows, columns = _points(tile, Grid.of(image))
    inside = (rows >= 0) & (rows < image.height) & (columns >= 0) & (columns < image.width)
    clear = np.zeros(inside.shape, bool)
    if not inside.any():
        return clear
    rows, columns = rows[inside].astype(int), columns[inside].astype(int)
    top, left = int(rows.min()), int(columns.min())
    window = Window(left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top)
    shape = min(window.height, SAMPLED), min(window.width, SAMPLED)
    found = decoding.clear(image.read(mask.band, window=window, out_shape=shape), mask)
    clear[inside] = found[(rows - top) * shape[0] // window.height, (columns - left) * shape[1] // window.width]
    return clear


def _sampled(tile: Grid) -> tuple[int, int]:
    """Rows and columns of points that a tile is looked at with."""
    return min(tile.height, SAMPLED), min(tile.width, SAMPLED)


@lru_cache(maxsize=8)
def _points(tile: Grid, image: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Where regular points of a tile lie in an image: row and column, each ``(row, column)`` float."""
    height, width = _sampled(tile)
    down, across = (np.arange(height) + 0.5) * tile.height / height, (np.arange(width) + 0.5) * tile.width / width
    x, y = np.meshgrid(tile.left + across * tile.resolution, tile.top - down * tile.resolution)
    if not same_crs(tile.crs, image.crs):
        x, y = pyproj.Transformer.from_crs(tile.crs, image.crs, always_xy=True).transform(x, y)
    return (image.top - y) / image.resolution, (x - image.left) / image.resolution


def checked(
    acquisitions: list[Acquisition],
    bands: Sequence[str],
    grid: Grid,
    sizes: Mapping[str, float] | None,
    full: bool,
    threads: int,
    drivers: Sequence[str] | None,
) -> tuple[list[Acquisition], list[Problem]]:
    """Open every file once; say which acquisitions are good, and what is wrong with the others.

    Args:
        acquisitions: Those of one sensor.
        bands: Bands in use.
        grid: Grid of the tile.
        sizes: Pixel size of each band of products that are cut to tiles; None of others.
        full: Whether every block is read.
        threads: Acquisitions at a time.
        drivers: Drivers of GDAL that may open a file; None for any.

    Returns:
        The good ones, with the clear share of each, and the others; both by time.

    """
    every, tiled = ordered(acquisitions), sizes is not None
    found = {a.id: look for a, look in zip(every, looks(every, grid, full, threads, drivers), strict=True)}
    every = every if tiled else _here(every, found)
    faults = {a.id: why for a in every if (why := _alone(a, found[a.id], bands, grid))}
    readable = [a for a in every if a.id not in faults]
    if tiled:
        faults |= _strangers(readable, {name: look.types for name, look in found.items()}, "of another type")
        faults |= _strangers(readable, {name: look.grids for name, look in found.items()}, "on another grid")
    for acquisition in readable:
        grids = found[acquisition.id].grids
        if why := _beside(grids, grid) or (_apart(grids) or _odd_size(acquisition, grids, sizes) if sizes else None):
            faults.setdefault(acquisition.id, why)
    looked = [(a, found[a.id]) for a in every if a.id not in faults]
    good = [replace(a, clear=look.clear, checksums=look.checksums) for a, look in looked]
    return good, [Problem(a.id, faults[a.id], a.date) for a in every if a.id in faults]


def _here(acquisitions: Sequence[Acquisition], found: Mapping[str, Look]) -> tuple[Acquisition, ...]:
    """Those that have ground in common with a tile: products that are not cut to tiles may lie elsewhere."""
    here = tuple(a for a in acquisitions if not found[a.id].away)
    if len(here) < len(acquisitions):
        log.info("%d lie beside the tile", len(acquisitions) - len(here))
    return here


def _alone(acquisition: Acquisition, look: Look, bands: Sequence[str], tile: Grid) -> str | None:
    """Say what is wrong with an acquisition, whatever the others are like."""
    return look.fault or _lacking(acquisition, bands) or (_beside(look.grids, tile) if look.away else None)


def _lacking(acquisition: Acquisition, bands: Sequence[str]) -> str | None:
    """Name the bands in use that an acquisition does not have."""
    missing = [band for band in bands if band not in acquisition.assets]
    return f"it has no band {', '.join(missing)}" if missing else None


def _beside(grids: Mapping[str, Grid], tile: Grid) -> str | None:
    """Name a file that has no ground in common with the tile."""
    for path, grid in grids.items():
        if not grid.touches(tile):
            return f"{path} does not touch the tile: it covers {grid}, the tile is {tile}"
    return None


def _apart(grids: Mapping[str, Grid]) -> str | None:
    """Name a file of an acquisition that does not begin and end where the coarsest of them does, to its last pixel."""
    coarsest, first = max(grids.items(), key=lambda item: item[1].resolution)
    for path, grid in grids.items():
        beside = max(abs(a - b) for a, b in zip(grid.bounds, first.bounds, strict=True)) > first.resolution
        if beside or not same_crs(grid.crs, first.crs):
            return f"{path} is on another grid: {grid}, where {Path(coarsest).name} has {first}"
    return None


def _odd_size(acquisition: Acquisition, grids: Mapping[str, Grid], sizes: Mapping[str, float]) -> str | None:
    """Name an image whose pixels are not as large as its band's: that of another band, under a wrong name."""
    for band, asset in acquisition.assets.items():
        found, size = grids[asset.path], sizes[band]
        if abs(found.resolution - size) > size / 100 and in_metres(found.crs):
            return f"{asset.path} has pixels of {found.resolution:g} m, where those of {band} are of {size:g} m"
    return None


def _strangers(
    acquisitions: Sequence[Acquisition], found: Mapping[str, Mapping[str, Any]], what: str
) -> dict[str, str]:
    """Acquisitions with a file that is not as the same file of most others: of their grid, or of their type."""
    faults: dict[str, str] = {}
    places: dict[str, list[tuple[str, str]]] = {}
    for acquisition in acquisitions:
        parts = {name: asset.path for name, asset in acquisition.assets.items()}
        parts |= {f"mask {i}": mask.path for i, mask in enumerate(acquisition.masks)}
        for name, path in parts.items():
            places.setdefault(name, []).append((acquisition.id, path))
    for of_part in places.values():
        count = Counter(found[name][path] for name, path in of_part)
        (usual, number), total = count.most_common(1)[0], len(of_part)
        for name, path in of_part:
            if found[name][path] != usual:
                where = f"where {number} of {total} acquisitions have {usual}"
                faults.setdefault(name, f"{path} is {what}: {found[name][path]}, {where}")
    return faults
