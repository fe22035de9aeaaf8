"""Pictures of the mosaics, read from their overviews: memory does not grow with the country."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyproj
import rasterio
from PIL import Image
from rasterio.enums import Resampling

from parcelle import files, scores
from parcelle.errors import InputError
from parcelle.grid import Grid

# Megabytes of decoded blocks that GDAL keeps.
CACHE = 64
RAMP = "viridis"


@dataclass(frozen=True)
class Bar:
    """A scale bar: what it stands for, and its length as a share of the picture's width."""

    label: str
    share: float


@dataclass(frozen=True)
class MapPicture:
    """A picture of a mosaic.

    Attributes:
        png: The picture; transparent where there is no data.
        size: Width and height in pixels of the picture.
        step: Pixels of the mosaic along a side of a pixel of the picture.
        crs: Name of the mosaic's CRS.
        pixel: Side of the mosaic's pixels, with its unit.
        bar: Scale bar.
        tags: Tags of the file.
        high: Value at the upper end of the colour ramp.

    """

    png: bytes
    size: tuple[int, int]
    step: int
    crs: str
    pixel: str
    bar: Bar
    tags: dict[str, str]
    high: int = 0


def class_map(path: str | Path, codes: Sequence[int], colours: Sequence[tuple[int, int, int]], side: int) -> MapPicture:
    """Draw a mosaic of classes.

    Args:
        path: `mosaic/class.tif`.
        codes: Codes of the nomenclature.
        colours: Red, green and blue of each, 0 to 255.
        side: Most pixels of the picture's longer side.

    Raises:
        StaleError: The file is not the one that was written.
        InputError: A class of the map is not in the nomenclature.

    """
    grid, tags, values = _read(path, side, Resampling.nearest)
    index = scores.positions(values.ravel(), [0, *codes], str(path)).reshape(values.shape)
    return _picture(grid, tags, index, np.array(colours), 0)


def ramp_map(path: str | Path, side: int, high: int | None = None) -> MapPicture:
    """Draw a mosaic of numbers with a colour ramp that is even to the eye, from 0 to `high`.

    Args:
        path: A mosaic of one band, whose nodata is 0.
        side: Most pixels of the picture's longer side.
        high: Value of the ramp's upper end; the largest of the picture if None.

    Raises:
        StaleError: The file is not the one that was written.
        InputError: A value lies above `high`.

    """
    grid, tags, values = _read(path, side, Resampling.average)
    largest = int(values.max())
    high = high or max(largest, 1)
    if largest > high:
        raise InputError(f"{path} holds {largest}, more than the {high} it can hold. Make the maps again.")
    index = np.where(values > 0, 1 + np.rint(values / high * 254), 0).astype(int)
    return _picture(grid, tags, index, ramp_colours(255), high)


def ramp_colours(number: int, name: str = RAMP, start: float = 0) -> np.ndarray:
    """Colours along a ramp, or along the part of it from `start` on: ``(number, 3)``, 0 to 255."""
    import matplotlib

    return np.rint(matplotlib.colormaps[name](np.linspace(start, 1, number))[:, :3] * 255).astype(int)


def gradient(name: str = RAMP, start: float = 0) -> str:
    """Colours of a ramp, or of the part of it from `start` on, as the stops of a CSS gradient."""
    return ", ".join("#{:02x}{:02x}{:02x}".format(*colour) for colour in ramp_colours(9, name, start))


def scale_bar(grid: Grid) -> Bar:
    """Scale bar of 1, 2 or 5 times a power of ten, at most a quarter of the picture's width."""
    axis = pyproj.CRS.from_user_input(grid.crs).axis_info[0]
    angular = axis.unit_name == "degree"
    width = grid.width * grid.resolution * (1 if angular else axis.unit_conversion_factor)
    power = 10.0 ** np.floor(np.log10(width / 4))
    length = float(power * max(n for n in (1, 2, 5) if n * power <= width / 4))
    if angular:
        return Bar(f"{length:g}°", length / width)
    return Bar(f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m", length / width)


def _read(path: str | Path, side: int, resampling: Resampling) -> tuple[Grid, dict[str, str], np.ndarray]:
    """Read a mosaic at coarser pixels; GDAL takes the next finer of the file's overviews, not the whole."""
    with rasterio.Env(GDAL_CACHEMAX=CACHE), rasterio.open(files.verify(path)) as image:
        step = -(-max(image.height, image.width) // side)
        shape = (-(-image.height // step), -(-image.width // step))
        return Grid.of(image), image.tags(), image.read(1, out_shape=shape, resampling=resampling)


def _picture(grid: Grid, tags: dict[str, str], index: np.ndarray, colours: np.ndarray, high: int) -> MapPicture:
    crs = pyproj.CRS.from_user_input(grid.crs)
    unit = {"metre": "m", "degree": "°"}.get(crs.axis_info[0].unit_name, crs.axis_info[0].unit_name)
    height, width = index.shape
    return MapPicture(
        png=_png(index, colours),
        size=(width, height),
        step=-(-max(grid.height, grid.width) // max(height, width)),
        crs=grid.crs if grid.crs.startswith("EPSG:") else crs.name,
        pixel=f"{grid.resolution:g} {unit}",
        bar=scale_bar(grid),
        tags=tags,
        high=high,
    )


def _png(index: np.ndarray, colours: np.ndarray) -> bytes:
    """Encode a picture whose pixel 0 is transparent, and i the colour i - 1; with a palette where it fits."""
    palette = np.zeros((len(colours) + 1, 4), np.uint8)
    palette[1:] = np.column_stack([colours, np.full(len(colours), 255)])
    if len(palette) <= 256:
        image = Image.fromarray(index.astype(np.uint8))
        image.putpalette(palette.tobytes(), "RGBA")
    else:
        image = Image.fromarray(palette[index])
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()
