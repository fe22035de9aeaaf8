"""Checks of acquisitions: one look at the files of each, then what sets one apart from the others.

A look also tells how much of the tile is clear, from some of the blocks of its masks.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyproj
import rasterio
from rasterio.enums import Interleaving
from rasterio.windows import Window

from parcelle import decoding
from parcelle.acquisitions import ordered
from parcelle.errors import InputError
from parcelle.grid import Grid, in_metres, same_crs
from parcelle.images import GDAL, UNREADABLE, place
from parcelle.sensors import Acquisition, Asset, Mask, Problem

log = logging.getLogger(__name__)

# Most pixels along a side that a mask is looked at with.
SAMPLED = 512
# Pixels along a side of what is read at once where a file is read as a whole.
PART = 1024
# What an image in JPEG 2000 ends with (ISO/IEC 15444-1, table A.2: end of codestream).
_END = b"\xff\xd9"

Parts = Sequence[Asset | Mask]


@dataclass(frozen=True)
class Look:
    """What a look at the files of an acquisition shows.

    Attributes:
        fault: What is wrong with them, if anything.
        grids: Grid of each file.
        types: Type of the pixels of each file.
        clear: Share of the tile that no mask calls invalid, 0 to 1; None without masks.

    """

    fault: str | None
    grids: dict[str, Grid]
    types: dict[str, str]
    clear: float | None = None


def looks(acquisitions: Sequence[Acquisition], tile: Grid, full: bool = False, threads: int = 1) -> list[Look]:
    """Look at acquisitions; each file is opened once, and at most one part of it is in memory.

    Args:
        acquisitions: The acquisitions.
        tile: Grid of the tile.
        full: Whether every block is read, and not the headers and some of the masks alone.
        threads: Acquisitions at a time.

    """
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(partial(_look, tile=tile, full=full), acquisitions))


def _look(acquisition: Acquisition, tile: Grid, full: bool) -> Look:
    """Open every file of an acquisition, up to the first that is wrong."""
    parts: dict[str, list[Asset | Mask]] = {}
    every: Parts = (*acquisition.assets.values(), *acquisition.masks)
    for part in every:
        parts.setdefault(part.path, []).append(part)
    found, clear = Look(None, {}, {}), np.ones(_sampled(tile), bool)
    with rasterio.Env(**GDAL):
        for path, of_file in parts.items():
            try:
                with rasterio.open(path) as image:
                    found.grids[path], found.types[path] = Grid.of(image), image.dtypes[0]
                    if len(found.grids) == 1 and not found.grids[path].touches(tile):
                        return found  # it lies elsewhere, whatever its other files hold
                    why = _fault(image, of_file, full) or _clear_part(image, of_file, tile, clear)
            except rasterio.errors.RasterioIOError as error:
                why = f"cannot be opened ({error})"
            except InputError as error:
                return Look(str(error), found.grids, found.types)
            if why:
                return Look(f"{path} {why}", found.grids, found.types)
    return Look(None, found.grids, found.types, round(float(clear.mean()), 4) if acquisition.masks else None)


def _fault(image: rasterio.DatasetReader, parts: Parts, full: bool) -> str | None:
    """Say what is wrong with an image, if anything."""
    if missing := [p.band for p in parts if p.band > image.count]:
        return f"has {image.count} bands, but band {missing[0]} is asked for"
    if any(isinstance(p, Mask) and np.dtype(image.dtypes[p.band - 1]).kind not in "iu" for p in parts):
        return f"is a mask of type {image.dtypes[0]}, where whole numbers are expected"
    if why := _other_nodata(image, parts) or _truncation(image):
        return why
    return _unreadable(image, sorted({p.band for p in parts})) if full else None


def _other_nodata(image: rasterio.DatasetReader, parts: Parts) -> str | None:
    """Say where a file calls another number no data than its product does; NaN never is a value, whoever says so."""
    for part in parts:
        said = image.nodatavals[part.band - 1]
        if isinstance(part, Mask) or part.nodata is None or said is None or np.isnan([said, part.nodata]).any():
            continue
        if said != part.nodata:
            return f"says that no data is {said:g}, where {part.nodata:g} is what its product says"
    return None


def _truncation(image: rasterio.DatasetReader) -> str | None:
    """Say where a file ends too early: of an image in JPEG 2000, GDAL may read some number for what is missing."""
    if "://" in image.name or image.name.startswith("/vsi"):
        return None
    if image.driver.startswith("JP2"):
        return _truncation_of_boxes(image.name)
    return _truncation_of_blocks(image) if image.driver == "GTiff" else None


def _truncation_of_blocks(image: rasterio.DatasetReader) -> str | None:
    """Find a block that a GeoTIFF's index places beyond the end of the file."""
    size = Path(image.name).stat().st_size
    planes = 1 if image.interleaving == Interleaving.pixel else image.count
    height, width = image.block_shapes[0]
    for plane in range(1, planes + 1):
        for row in range(-(-image.height // height)):
            for column in range(-(-image.width // width)):
                offset = image.get_tag_item(f"BLOCK_OFFSET_{column}_{row}", "TIFF", bidx=plane)
                length = image.get_tag_item(f"BLOCK_SIZE_{column}_{row}", "TIFF", bidx=plane)
                if offset and int(offset) + int(length) > size:
                    end = int(offset) + int(length)
                    return f"is truncated: its block ({row}, {column}) ends at byte {end}, the file at {size}"
    return None


def _truncation_of_boxes(path: str) -> str | None:
    """Find a box of a JP2 file that ends beyond the file, or an image without its end (ISO/IEC 15444-1, annex I)."""
    size = end = Path(path).stat().st_size
    with Path(path).open("rb") as stream:
        if stream.read(2) != b"\xff\x4f":  # a codestream by itself has no boxes
            for kind, end in _boxes(stream, size):
                if end > size:
                    return f"is truncated: its box {kind!r} ends at byte {end}, the file at {size}"
        stream.seek(end - len(_END))
        return None if stream.read(len(_END)) == _END else f"is truncated: its image has no end at byte {end}"


def _boxes(stream: BinaryIO, size: int) -> Iterator[tuple[str, int]]:
    """Name of each box of a JP2 file and the byte behind it, up to the image; length 0 is the rest of the file."""
    start, kind = 0, ""
    while start < size and kind != "jp2c":
        stream.seek(start)
        head = stream.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8].decode("latin-1")
        length = int.from_bytes(head[8:16], "big") if length == 1 else length or size - start
        start += max(length, 8)
        yield kind, start


def _unreadable(image: rasterio.DatasetReader, bands: list[int]) -> str | None:
    """Name the first block of some bands that cannot be read, after reading all of them, some blocks at a time."""
    height, width = image.block_shapes[0]
    size = max(PART // height, 1) * height, max(PART // width, 1) * width
    for part in _cut(Window(0, 0, image.width, image.height), size):
        if _fails(image, bands, part):
            one_by_one = ((block, _fails(image, bands, block)) for block in _cut(part, (height, width)))
            where, why = next((found for found in one_by_one if found[1]), (part, "its blocks can, one by one"))
            return f"cannot be read in {place(where)} ({why})"
    return None


def _cut(area: Window, size: tuple[int, int]) -> Iterator[Window]:
    """Parts of an area of so many rows and columns, row by row; the last ones are cut."""
    bottom, right = area.row_off + area.height, area.col_off + area.width
    for row in range(area.row_off, bottom, size[0]):
        for column in range(area.col_off, right, size[1]):
            yield Window(column, row, min(size[1], right - column), min(size[0], bottom - row))


def _fails(image: rasterio.DatasetReader, bands: list[int], window: Window) -> str | None:
    """Why a window cannot be read, if so."""
    try:
        image.read(bands, window=window)
    except UNREADABLE as error:
        return str(error.__cause__ or error).splitlines()[0]
    return None


def _clear_part(image: rasterio.DatasetReader, parts: Parts, tile: Grid, clear: np.ndarray) -> str | None:
    """Take from the points of the tile those that the masks of a file call invalid; say if they cannot be read."""
    for mask in parts:
        if isinstance(mask, Mask):
            try:
                clear &= _clear(image, mask, tile)
            except UNREADABLE as error:
                return _unreadable(image, [mask.band]) or f"cannot be read ({error.__cause__ or error})"
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
) -> tuple[list[Acquisition], list[Problem]]:
    """Open every file once; say which acquisitions are good, and what is wrong with the others.

    Args:
        acquisitions: Those of one sensor.
        bands: Bands in use.
        grid: Grid of the tile.
        sizes: Pixel size of each band of products that are cut to tiles; None of others.
        full: Whether every block is read.
        threads: Acquisitions at a time.

    Returns:
        The good ones, with the clear share of each, and the others; both by time.

    """
    every, tiled = ordered(acquisitions), sizes is not None
    found = {a.id: look for a, look in zip(every, looks(every, grid, full, threads), strict=True)}
    every = every if tiled else _here(every, found, grid)
    faults = {a.id: why for a in every if (why := found[a.id].fault or _lacking(a, bands))}
    readable = [a for a in every if a.id not in faults]
    if tiled:
        faults |= _strangers(readable, {name: look.types for name, look in found.items()}, "of another type")
        faults |= _strangers(readable, {name: look.grids for name, look in found.items()}, "on another grid")
    for acquisition in readable:
        grids = found[acquisition.id].grids
        if why := _beside(grids, grid) or (_apart(grids) or _odd_size(acquisition, grids, sizes) if sizes else None):
            faults.setdefault(acquisition.id, why)
    good = [replace(a, clear=found[a.id].clear) for a in every if a.id not in faults]
    return good, [Problem(a.id, faults[a.id], a.date) for a in every if a.id in faults]


def _here(acquisitions: Sequence[Acquisition], found: Mapping[str, Look], tile: Grid) -> tuple[Acquisition, ...]:
    """Those that have ground in common with a tile: products that are not cut to tiles may lie elsewhere."""
    away = {a.id for a in acquisitions if not any(grid.touches(tile) for grid in found[a.id].grids.values())}
    here = tuple(a for a in acquisitions if a.id not in away or found[a.id].fault)
    if len(here) < len(acquisitions):
        log.info("%d lie beside the tile", len(acquisitions) - len(here))
    return here


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
    """Name a file of an acquisition that does not begin where the coarsest of them does."""
    coarsest, first = max(grids.items(), key=lambda item: item[1].resolution)
    for path, grid in grids.items():
        beside = max(abs(grid.left - first.left), abs(grid.top - first.top)) > first.resolution
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
