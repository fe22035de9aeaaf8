"""Small rasters and acquisitions for the tests of what reads them."""

import datetime

import numpy as np
import rasterio

from parcelle.grid import Grid
from parcelle.sensors import Acquisition

TILE = Grid("EPSG:32631", 500_000, 4_900_020, 10, 21, 18)


def coarser(grid, factor):
    """The grid of pixels `factor` times as large that nests with `grid`."""
    height, width = -(-grid.height // factor), -(-grid.width // factor)
    return Grid(grid.crs, grid.left, grid.top, grid.resolution * factor, height, width)


def save(path, pixels, grid=TILE, **profile):
    """Write a GeoTIFF, ``(row, column)`` or ``(band, row, column)``; give back its path as text."""
    pixels = pixels if pixels.ndim == 3 else pixels[None]
    place = {"crs": grid.crs, "transform": grid.transform, "height": grid.height, "width": grid.width}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", driver="GTiff", dtype=pixels.dtype, count=len(pixels), **place, **profile) as image:
        image.write(pixels)
    return str(path)


def constant(value, grid=TILE, dtype="int16"):
    return np.full((grid.height, grid.width), value, dtype)


def noise(grid=TILE, bands=1, low=0, high=10_000, dtype="int16", seed=0):
    """Pixels that no interpolation gets right by chance."""
    random = np.random.default_rng(seed)
    return random.integers(low, high, (bands, grid.height, grid.width)).astype(dtype)


def acquired(day, assets, masks=(), hour=10, sensor="s2", name=None):
    """An acquisition of March 2018."""
    time = datetime.datetime(2018, 3, day, hour, 50, 31, tzinfo=datetime.UTC)
    return Acquisition(name or f"{sensor}-{day}-{hour}", sensor, time, assets, tuple(masks))
