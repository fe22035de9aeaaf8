"""Small rasters and acquisitions for the tests of what reads them, and their series."""

import datetime
from types import SimpleNamespace

import numpy as np
import rasterio

from parcelle import cube, series
from parcelle.acquisitions import Inventory
from parcelle.features import Recipe
from parcelle.grid import Grid
from parcelle.images import Images
from parcelle.sensors import Acquisition
from parcelle.strips import Memory

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


def read_series(acquisitions, bands, window=TILE.whole, dtype=np.int16, resampling="bilinear", grid=TILE):
    """Series of a window on the tile's grid: values (date, band, row, column) and validity (date, row, column).

    The regular dates are those of the acquisitions, so that gap-filling gives back what was observed. What is held of
    the acquisitions, at the files' own pixel sizes, is `held`; `blocks` were decoded.
    """
    days = series.dates_of(acquisitions)
    recipe = Recipe("s2", True, tuple(bands), dtype is np.int16, resampling, (), tuple(map(str, days)))
    with Images() as images:
        tile = cube.Tile(Inventory("31TCJ", grid, tuple(acquisitions)), [recipe], 1, images)
        part = tile.alone(window, (window.height, window.width), Memory())
        for job in part.reading:
            job()
    (sensor,), (held,) = tile.sensors, part.series
    features = cube.Whole(part).features().reshape(window.height, window.width, len(days), len(bands))
    values = np.ascontiguousarray(features.transpose(2, 3, 0, 1))
    valid = np.logical_or.reduceat(held.valid, sensor.starts)
    return SimpleNamespace(
        dates=sensor.dates, days=sensor.days, values=values, valid=valid, held=held, blocks=images.blocks
    )
