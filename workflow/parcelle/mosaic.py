"""The mosaic: the maps of all tiles in one CRS, each pixel from the first tile that has data there.

Three parts that know nothing of each other's loops, so that a continent can be one job per block of the grid:
`lay_out` computes the grid from the maps' headers, `block` the pixels of a window of it, and `write` puts the
windows into one file.

Every product is resampled by nearest, from the exact position of each pixel centre: the products of a pixel
are those of one pixel of one tile, and stay consistent with each other. (GDAL's warper interpolates positions
within a block, so that its result depends on the blocks.)
"""

import functools
import math
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyproj
import rasterio
import rasterio.shutil
import shapely
from rasterio.windows import Window

from parcelle import files
from parcelle.errors import InputError, ParcelleError
from parcelle.grid import Grid, reproject, same_crs
from parcelle.nomenclature import LandClass
from parcelle.windows import in_order, windows

BLOCK = 1024
"""Side of the windows the mosaic is computed by. Memory grows with its square; no result depends on it."""

READ = 2048
"""Side of the largest window read from a map at once: more than `BLOCK` turned, less than a tile."""

CACHE = 256 * 2**20
"""GDAL's cache of blocks, in bytes; by default it takes 5 % of the machine."""

LIBRARIES = 150 * 2**20
"""Memory of the interpreter with its libraries, in bytes."""

# A class has no mean. A band of probabilities has one, but 0 is both "no data" and "never this class", and
# AVERAGE would leave the zeros out.
_OVERVIEWS = {"class": "MODE", "confidence": "AVERAGE", "validity": "AVERAGE", "probability": "NEAREST"}


@dataclass(frozen=True)
class TileMap:
    """The map of one tile: its file, its own grid, and what its pixels are."""

    path: Path
    grid: Grid
    dtype: str
    bands: int


@dataclass(frozen=True)
class Mosaic:
    """All maps of a product, and the grid they are brought to.

    Attributes:
        grid: Grid of the mosaic.
        maps: The tiles' maps; the first that has data at a pixel gives its value.
        footprints: Outline of each map, in the CRS of the mosaic.

    """

    grid: Grid
    maps: tuple[TileMap, ...]
    footprints: tuple[shapely.Polygon, ...]

    def over(self, window: Window) -> list[TileMap]:
        """Maps whose footprint meets a window of the mosaic, in their order."""
        x, y = self.grid.centres(window)
        half = self.grid.resolution / 2
        area = shapely.box(x[0] - half, y[-1] - half, x[-1] + half, y[0] + half)
        return [self.maps[i] for i in np.flatnonzero(shapely.intersects(self.footprints, area))]


def write(
    maps: Sequence[str | Path],
    output: str | Path,
    *,
    product: str,
    crs: str | None = None,
    resolution: float | None = None,
    origin: tuple[float, float] = (0, 0),
    classes: Sequence[LandClass] | None = None,
    threads: int = 1,
    tags: dict[str, str] | None = None,
    size: int = BLOCK,
    scratch: str | None = None,
) -> None:
    """Write the mosaic of a product as one cloud-optimised GeoTIFF.

    Args:
        maps: The tiles' maps of the product, in the plan's order: the first that has data (a band that is
            not 0) at a pixel gives its value.
        output: Path of the file; it appears only when whole, with its checksum beside.
        product: ``class``, ``confidence``, ``validity`` or ``probability``; it decides the overviews.
        crs: CRS of the mosaic; the tiles' if None.
        resolution: Side of a pixel in units of the CRS; the tiles' if None.
        origin: A point that a pixel corner falls on, in the CRS.
        classes: The nomenclature's classes, for ``class`` (colours, where pixels are uint8) and
            ``probability`` (names of the bands); None for others.
        threads: Windows computed at a time. The file's bytes do not depend on it.
        tags: Tags of the file, e.g. ``PARCELLE_VERSION`` and ``PARCELLE_SETTINGS``.
        size: Side of the windows in pixels. The file's bytes do not depend on it.
        scratch: Folder for drafts; beside the file if not given.

    Raises:
        StaleError: A map is not the file that was written.
        InputError: The maps are not of one kind.
        ParcelleError: The grid needs a setting that is not there, or makes no sense with it.

    """
    with ThreadPoolExecutor(threads) as pool:
        paths = list(pool.map(files.verify, maps))
    mosaic = lay_out(paths, crs=crs, resolution=resolution, origin=origin)
    look = _Look(product, _known(classes, product, mosaic), tags or {})
    with (
        rasterio.Env(GDAL_CACHEMAX=CACHE),
        files.whole(output) as whole,
        files.workspace(output, scratch) as folder,
    ):
        draft, cog = folder / "draft.tif", folder / "cog.tif"
        _assemble(mosaic, draft, look, threads, size)
        _to_cog(draft, cog, product, threads)  # GDAL puts its own temporary files beside
        shutil.move(cog, whole)  # scratch may be another file system


def memory(bands: int, itemsize: int, threads: float, size: int = BLOCK, pixels: float = math.inf) -> int:
    """Bound of the memory that `write` takes, in bytes.

    Args:
        bands: Number of bands of a map.
        itemsize: Bytes of a value of a map.
        threads: Windows computed at a time; fewer than threads, where the mosaic has no more.
        size: Side of the windows in pixels.
        pixels: Pixels of the mosaic; whatever their number if not given.

    """
    positions = 96 * size**2  # coordinates and indices of each pixel, and masks
    values = bands * itemsize * (3 * size**2 + min(READ**2, pixels))  # found, sorted, waiting pixels; those of a map
    cache = min(CACHE, 2 * bands * itemsize * pixels)
    return int(LIBRARIES + cache + threads * (positions + values) + bands * itemsize * size**2)


def lay_out(paths: Sequence[Path], *, crs: str | None, resolution: float | None, origin: tuple[float, float]) -> Mosaic:
    """Compute the grid of the mosaic from the headers of the maps.

    It is the union of the footprints, brought outwards to `origin` plus a multiple of the resolution: one
    more tile extends the grid and moves no pixel. Arguments and errors are those of `write`.

    """
    maps = tuple(_open(path) for path in paths)
    _check_kind(maps)
    crs = crs or _common_crs(maps)
    footprints = tuple(_footprint(one, crs) for one in maps)
    resolution = resolution or _common_resolution(maps, crs)
    _check_resolution(maps, footprints, resolution)
    return Mosaic(_snapped(shapely.total_bounds(footprints), crs, resolution, origin), maps, footprints)


def _open(path: Path) -> TileMap:
    """Read the header of a map."""
    try:
        with rasterio.open(path) as image:
            if image.nodata != 0:
                raise InputError(f"{path}: no data is {image.nodata}; in a map it must be 0.")
            return TileMap(path, Grid.of(image), image.dtypes[0], image.count)
    except rasterio.errors.RasterioIOError as error:
        raise InputError(f"{path} cannot be read as an image: {error}") from None


def _check_kind(maps: Sequence[TileMap]) -> None:
    if not maps:
        raise ParcelleError("There is no map to make a mosaic of.")
    first = maps[0]
    for other in maps[1:]:
        if (other.dtype, other.bands) != (first.dtype, first.bands):
            raise InputError(
                f"{other.path} has {other.bands} band(s) of {other.dtype}, {first.path} has {first.bands} of "
                f"{first.dtype}: they are not maps of one product. Make both again."
            )


def _common_crs(maps: Sequence[TileMap]) -> str:
    """CRS of all maps."""
    first = maps[0]
    for other in maps[1:]:
        if not same_crs(first.grid.crs, other.grid.crs):
            raise ParcelleError(
                f"The tiles have several CRS ({_short(first.grid.crs)} in {first.path}, "
                f"{_short(other.grid.crs)} in {other.path}): set `mosaic.crs`, e.g. EPSG:3035."
            )
    return first.grid.crs


def _common_resolution(maps: Sequence[TileMap], crs: str) -> float:
    """Resolution of all maps, if it means something in the CRS of the mosaic."""
    resolutions = sorted({one.grid.resolution for one in maps})
    if len(resolutions) > 1:
        low, high = resolutions[0], resolutions[-1]
        raise ParcelleError(f"The tiles have pixels of {low:g} and of {high:g}: set `mosaic.resolution`.")
    for one in maps:
        if _unit(one.grid.crs) != _unit(crs):
            raise ParcelleError(
                f"The mosaic's CRS {_short(crs)} is in {_unit(crs)}, {one.path} is in {_unit(one.grid.crs)}: "
                f"set `mosaic.resolution`, in {_unit(crs)}."
            )
    return resolutions[0]


def _unit(crs: str) -> str:
    return pyproj.CRS.from_user_input(crs).axis_info[0].unit_name


def _short(crs: str) -> str:
    """Name of a CRS: its code, or its name where it has none and is WKT."""
    return crs if len(crs) < 30 else pyproj.CRS.from_user_input(crs).name


def _footprint(one: TileMap, crs: str) -> shapely.Polygon:
    """Outline of a map in the CRS of the mosaic; its chords are within 2 cm of the edges of 110 km."""
    there = one.grid.footprint_in(crs)
    # Beyond the bounds of a projection coordinates are infinite, and so is the centroid; across its seam an
    # outline spans the whole Earth, and the centroid is elsewhere.
    if not one.grid.footprint().contains(reproject(there.centroid, crs, one.grid.crs)):
        raise ParcelleError(f"{one.path} cannot be brought to {_short(crs)}: set another `mosaic.crs`.")
    return there


def _check_resolution(maps: Sequence[TileMap], footprints: Sequence[shapely.Polygon], resolution: float) -> None:
    """Refuse a resolution in the wrong unit: degrees differ from metres by five orders of magnitude."""
    natural = np.sqrt(footprints[0].area / (maps[0].grid.width * maps[0].grid.height))
    if not natural / 1000 < resolution < natural * 1000:
        raise ParcelleError(
            f"mosaic.resolution is {resolution:g}, but a pixel of {maps[0].path} has a side of {natural:.3g} "
            "in units of the mosaic's CRS: give it in that unit."
        )


def _snapped(bounds: np.ndarray, crs: str, resolution: float, origin: tuple[float, float]) -> Grid:
    """Grid around left, bottom, right, top; a millionth of a pixel is rounding, not ground to cover."""
    low = np.floor((bounds[:2] - origin) / resolution + 1e-6)
    high = np.ceil((bounds[2:] - origin) / resolution - 1e-6)
    width, height = (high - low).astype(int).tolist()
    left, top = float(origin[0] + low[0] * resolution), float(origin[1] + high[1] * resolution)
    return Grid(crs, left, top, float(resolution), height, width)


def block(mosaic: Mosaic, window: Window) -> np.ndarray:
    """Compute a window of the mosaic.

    Only maps with a pixel in it that is still empty are opened, one at a time.

    Args:
        mosaic: What `lay_out` gave.
        window: Any window of its grid.

    Returns:
        Pixels ``(band, row, column)``; 0 where no map has data.

    """
    x, y = (axis.ravel() for axis in np.meshgrid(*mosaic.grid.centres(window)))
    pixels = np.zeros((mosaic.maps[0].bands, x.size), mosaic.maps[0].dtype)
    empty = np.arange(x.size)
    for one in mosaic.over(window):
        values = nearest(one, mosaic.grid.crs, x[empty], y[empty])
        found = values.any(axis=0)
        pixels[:, empty[found]] = values[:, found]
        empty = empty[~found]
    return pixels.reshape(-1, window.height, window.width)


def nearest(one: TileMap, crs: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Values of a map at some points.

    Args:
        one: The map.
        crs: CRS of the points.
        x: ``(point,)``.
        y: ``(point,)``.

    Returns:
        Values ``(band, point)`` of the pixel that holds each point; 0 outside the map. A point on the edge of
        two pixels belongs to the one to its right, or below.

    """
    grid = one.grid
    if to_map := _transformer(crs, grid.crs):
        x, y = to_map.transform(x, y)
    column, row = (x - grid.left) / grid.resolution, (grid.top - y) / grid.resolution
    inside = (column >= 0) & (column < grid.width) & (row >= 0) & (row < grid.height)
    values = np.zeros((one.bands, x.size), one.dtype)
    if inside.any():
        values[:, inside] = _pick(one, row[inside].astype(np.int32), column[inside].astype(np.int32))
    return values


def _pick(one: TileMap, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Values ``(band, point)`` of the pixels of a map at some rows and columns, read by windows."""
    values = np.empty((one.bands, row.size), one.dtype)
    top, left = int(row.min()), int(column.min())
    with rasterio.open(one.path) as image:
        for part in windows(int(row.max()) - top + 1, int(column.max()) - left + 1, READ):
            part = Window(left + part.col_off, top + part.row_off, part.width, part.height)
            r, c = row - part.row_off, column - part.col_off
            here = np.flatnonzero((r >= 0) & (r < part.height) & (c >= 0) & (c < part.width))
            if here.size:
                values[:, here] = image.read(window=part)[:, r[here], c[here]]
    return values


@functools.lru_cache(maxsize=256)
def _transformer(source: str, target: str) -> pyproj.Transformer | None:
    """Transformation between two CRS, None if they are one. It takes 20 ms to find; threads may share it."""
    if same_crs(source, target):
        return None
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


@dataclass(frozen=True)
class _Look:
    """What the file says beside its pixels."""

    product: str
    classes: tuple[LandClass, ...]
    tags: dict[str, str]

    def dress(self, out: rasterio.io.DatasetWriter) -> None:
        """Set tags, colours and names; before the first pixel, so that they go into the file's header."""
        out.update_tags(**self.tags)
        names = [c.name for c in self.classes] if self.product == "probability" else [self.product]
        for band, name in enumerate(names, 1):
            out.set_band_description(band, name)
        # A palette of uint16 has 65,536 entries, which few readers know: its colours are in the files beside.
        if self.product == "class" and out.dtypes[0] == "uint8":
            out.write_colormap(1, {0: (0, 0, 0, 0), **{c.code: (*c.rgb, 255) for c in self.classes}})


def _known(classes: Sequence[LandClass] | None, product: str, mosaic: Mosaic) -> tuple[LandClass, ...]:
    """Classes of the product, which must be those that the maps were made with."""
    if product not in ("class", "probability"):
        return ()
    if not classes:
        raise ParcelleError(f"The mosaic of `{product}` needs the classes of the nomenclature.")
    first, bands = mosaic.maps[0], len(classes) if product == "probability" else 1
    if first.bands != bands:
        raise InputError(
            f"{first.path} has {first.bands} band(s), `{product}` of {len(classes)} classes has {bands}: "
            "make the maps again with this nomenclature."
        )
    return tuple(classes)


def _assemble(mosaic: Mosaic, draft: Path, look: _Look, threads: int, size: int) -> None:
    """Write all windows of the mosaic to a plain GeoTIFF; where there is no tile, nothing."""
    grid, first = mosaic.grid, mosaic.maps[0]
    profile = {"driver": "GTiff", "dtype": first.dtype, "count": first.bands, "nodata": 0, "crs": grid.crs}
    shape = {"height": grid.height, "width": grid.width, "transform": grid.transform}
    layout = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "lzw", "bigtiff": "yes"}
    with rasterio.open(draft, "w", **profile, **shape, **layout, sparse_ok=True) as out:
        look.dress(out)
        work = (w for w in windows(grid.height, grid.width, size) if mosaic.over(w))
        for window, pixels in in_order(functools.partial(block, mosaic), work, threads):
            out.write(pixels, window=window)


def _to_cog(draft: Path, output: Path, product: str, threads: int) -> None:
    """Copy a GeoTIFF to a cloud-optimised one; blocks go in their order whatever the number of threads."""
    predictor = "NO" if product == "class" else "STANDARD"  # the difference of two codes means nothing
    rasterio.shutil.copy(
        draft,
        output,
        driver="COG",
        blocksize=512,
        compress="DEFLATE",
        predictor=predictor,
        overviews="IGNORE_EXISTING",
        overview_resampling=_OVERVIEWS.get(product, "NEAREST"),
        bigtiff="IF_SAFER",
        num_threads=threads,
    )
