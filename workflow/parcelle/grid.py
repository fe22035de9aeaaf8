"""The pixels of a raster on the ground: CRS, affine transform, shape."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Self

import numpy as np
import pyproj
import rasterio
import shapely
from rasterio.windows import Window

from parcelle import opening
from parcelle.errors import InputError


@dataclass(frozen=True)
class Grid:
    """A grid of square, north-up pixels.

    Attributes:
        crs: As text, e.g. ``EPSG:32631``; WKT where there is no code.
        left: Easting of the left edge of the first column.
        top: Northing of the top edge of the first row.
        resolution: Side of a pixel, in units of the CRS.
        height: Number of rows.
        width: Number of columns.

    """

    crs: str
    left: float
    top: float
    resolution: float
    height: int
    width: int

    @classmethod
    def of(cls, image: rasterio.DatasetReader) -> Self:
        """Grid of an open raster.

        Raises:
            InputError: It has no CRS, one that is not tied to the Earth, or no corner; or its pixels are rotated or not
                square.

        """
        t = image.transform
        if image.crs is None:
            raise InputError(f"{image.name} has no CRS. Write one into it, e.g. with gdal_edit -a_srs.")
        if not np.isfinite(tuple(t)[:6]).all():
            raise InputError(f"{image.name} has a corner or a pixel size that is no number: write its grid into it.")
        if t.b or t.d or t.a <= 0 or not np.isclose(t.a, -t.e):
            raise InputError(f"{image.name} has rotated or oblong pixels ({tuple(t)[:6]}): warp it to square ones.")
        crs = _text(image.crs)
        if not on_earth(crs):
            raise InputError(
                f"{image.name} has a CRS that is not tied to the Earth ({image.crs}): write its own into it."
            )
        return cls(crs, t.c, t.f, t.a, image.height, image.width)

    @classmethod
    def of_file(cls, path: str, drivers: Sequence[str] | None = None) -> Self:
        """Grid of a raster file, of which nothing beside it is looked at; some drivers of GDAL may open it, or any.

        Raises:
            InputError: It cannot be opened, or has no grid.

        """
        try:
            with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"), opening.image(path, drivers) as image:
                return cls.of(image)
        except rasterio.errors.RasterioIOError as error:
            raise InputError(f"{path} cannot be read as an image: {opening.reason(error, drivers)}") from None

    @classmethod
    def from_dict(cls, content: dict) -> Self:
        """Read what `to_dict` gave."""
        return cls(**content)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @property
    def transform(self) -> rasterio.Affine:
        """From (column, row) to coordinates."""
        return rasterio.Affine(self.resolution, 0, self.left, 0, -self.resolution, self.top)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top."""
        bottom = self.top - self.height * self.resolution
        return self.left, bottom, self.left + self.width * self.resolution, self.top

    @property
    def whole(self) -> Window:
        """All pixels."""
        return Window(0, 0, self.width, self.height)

    @cached_property
    def pixel_area(self) -> float:
        """Area of a pixel in square units of the CRS (m² for a projected one)."""
        return self.resolution**2

    def footprint(self) -> shapely.Polygon:
        """Outline, with a vertex every 32nd of a side so that it can be brought to another CRS."""
        left, bottom, right, top = self.bounds
        return shapely.segmentize(shapely.box(left, bottom, right, top), max(right - left, top - bottom) / 32)

    def footprint_in(self, crs: Any) -> shapely.Polygon:
        """Outline in another CRS."""
        return reproject(self.footprint(), self.crs, crs)

    def centres(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates of the pixel centres of a window: x ``(column,)`` and y ``(row,)``."""
        columns = np.arange(window.col_off, window.col_off + window.width)
        rows = np.arange(window.row_off, window.row_off + window.height)
        return self.left + (columns + 0.5) * self.resolution, self.top - (rows + 0.5) * self.resolution

    def touches(self, other: Self) -> bool:
        """Whether the two share some ground."""
        if same_crs(self.crs, other.crs):
            (left, bottom, right, top), (l2, b2, r2, t2) = self.bounds, other.bounds
            return left < r2 and l2 < right and bottom < t2 and b2 < top
        return self.footprint_in(other.crs).intersects(other.footprint())

    def nest(self, fine: Self) -> int | None:
        """How many pixels of `fine` lie along a side of one of these, if these cover `fine` edge to edge.

        The last row and column may reach beyond `fine` by less than one of these pixels. None if the grids do not
        nest.
        """
        factor = round(self.resolution / fine.resolution)
        tolerance = fine.resolution * 1e-3
        nested = (
            factor >= 1
            and same_crs(self.crs, fine.crs)
            and abs(self.resolution - factor * fine.resolution) * self.width < tolerance
            and abs(self.left - fine.left) < tolerance
            and abs(self.top - fine.top) < tolerance
            and -(-fine.width // factor) == self.width
            and -(-fine.height // factor) == self.height
        )
        return factor if nested else None

    def __str__(self) -> str:
        """For messages."""
        corner = f"({self.left:.10g}, {self.top:.10g})"
        return f"{self.crs} {corner}, {self.width} × {self.height} pixels of {self.resolution:g}"


def _text(crs: Any) -> str:
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else crs.to_wkt()


@lru_cache(maxsize=64)
def on_earth(crs: Any) -> bool:
    """Whether a CRS can be brought to longitude and latitude: a local or an unknown one cannot."""
    try:
        pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    except pyproj.exceptions.ProjError:
        return False
    return True


def in_metres(crs: Any) -> bool:
    """Whether a CRS is projected, with metres on both axes."""
    found = pyproj.CRS.from_user_input(crs)
    return found.is_projected and all(axis.unit_conversion_factor == 1 for axis in found.axis_info[:2])


def same_crs(a: Any, b: Any) -> bool:
    """Whether two CRS are one."""
    return a == b or pyproj.CRS.from_user_input(a) == pyproj.CRS.from_user_input(b)


def reproject(geometry: Any, source: Any, target: Any) -> Any:
    """Bring a shapely geometry, or an array of them, from one CRS to another (vertices only)."""
    if same_crs(source, target):
        return geometry
    to = pyproj.Transformer.from_crs(source, target, always_xy=True)
    return shapely.transform(geometry, lambda x, y: to.transform(x, y), interleaved=False)


def mgrs_grid(tile: str, resolution: float = 10) -> Grid:
    """Grid of a Sentinel-2 tile from its MGRS name, at 10 m or another pixel size that divides 109,800 m.

    The corner is that of the 100 km square, brought outwards to a multiple of 60 m; north of the equator from 0 m,
    south of it from 10,000 km (Sentinel-2 Products Specification, tiling grid).

    Raises:
        InputError: The name is not that of a 100 km square.

    """
    import mgrs

    name = tile.removeprefix("T")
    try:
        with warnings.catch_warnings():
            # It warns of every square whose corner lies in the next band; those that do not exist are found below.
            warnings.simplefilter("ignore", RuntimeWarning)
            zone, hemisphere, left, bottom = mgrs.MGRS().MGRSToUTM(name + "0000000000")
    except Exception as error:  # the library raises its own, untyped errors
        raise InputError(
            f"tile {tile!r} is not an MGRS 100 km square such as 31TCJ ({error}); set `grid: header`."
        ) from None
    south = hemisphere == "S"
    left, top = round(left), round(bottom) + 100_000
    top = 10_000_000 - (10_000_000 - top) // 60 * 60 if south else -(-top // 60) * 60
    crs, side = f"EPSG:{32700 + zone if south else 32600 + zone}", round(109_800 / resolution)
    grid = Grid(crs, left // 60 * 60, top, resolution, side, side)
    if not _in_band(grid, name.lstrip("0123456789")[0].upper()):
        raise InputError(
            f"tile {tile!r} is not an MGRS 100 km square: there is none of that name between the latitudes of its band."
        )
    return grid


def _in_band(grid: Grid, letter: str) -> bool:
    """Whether a grid touches a latitude band; they are 8° high from 80°S on, the last one 12°."""
    lower = -80 + 8 * "CDEFGHJKLMNPQRSTUVWX".index(letter)
    upper = 84 if letter == "X" else lower + 8
    _, south, _, north = grid.footprint_in("EPSG:4326").bounds
    return south < upper and north > lower
