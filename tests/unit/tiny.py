"""A tile of some thousand pixels with known classes and clouds: its images, its polygons, its recipes."""

import datetime
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import shapely

from parcelle.acquisitions import Inventory, ordered
from parcelle.features import RATIO, Recipe
from parcelle.grid import Grid
from parcelle.nomenclature import LandClass, Nomenclature
from parcelle.reference import COLUMNS
from parcelle.sensors import Acquisition, Asset, Mask

GRID = Grid("EPSG:32631", 500_000, 5_000_000, 10, 50, 70)
CLASSES = Nomenclature(
    (LandClass(12, "wheat", "#ff0000"), LandClass(3, "forest", "#00ff00"), LandClass(5, "water", "#0000ff"))
)
REGULAR = ("2018-03-01", "2018-04-01", "2018-05-01")
MEANS = {3: (400, 2500, 1500), 5: (300, 200, 100), 12: (900, 3000, 2200)}
PATCH = 10


@dataclass(frozen=True)
class Scene:
    """An inventory and what it was made of: classes, and per sensor the valid dates ``(date, row, column)``."""

    inventory: Inventory
    truth: np.ndarray
    valid: dict[str, np.ndarray]

    @property
    def counts(self):
        """Valid dates of each sensor."""
        return {name: valid.sum(axis=0) for name, valid in self.valid.items()}


def image(path, grid, pixels, nodata=None, block=None):
    """A GeoTIFF of strips, or of blocks of so many pixels along a side."""
    pixels = pixels if pixels.ndim == 3 else pixels[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = {"height": grid.height, "width": grid.width, "count": len(pixels), "dtype": pixels.dtype}
    blocks = {"tiled": True, "blockxsize": block, "blockysize": block} if block else {}
    with rasterio.open(
        path, "w", driver="GTiff", crs=grid.crs, transform=grid.transform, nodata=nodata, **shape, **blocks
    ) as out:
        out.write(pixels)
    return str(path)


def recipes(radar=False, additional=()):
    indices = (("ndvi", "(b8-b4)/(b8+b4)", RATIO), *((text, text, 0) for text in additional))
    s2 = Recipe("s2", True, ("b4", "b8", "b11"), True, "bilinear", indices, REGULAR)
    s1 = Recipe("s1", False, ("vv",), False, "nearest", (), REGULAR[:2])
    return [s2, s1] if radar else [s2]


def patches(grid=GRID, codes=(12, 3, 5)):
    """Class of each pixel: squares of `PATCH` pixels."""
    rows, columns = np.indices((grid.height, grid.width)) // PATCH
    return np.asarray(codes)[(rows * 2 + columns) % len(codes)]


def scene(folder, grid=GRID, dates=6, radar=False, seed=0, block=None):
    """Clouds on a third of the 5 × 5 pixel squares of each date; the last six columns are never seen.

    The radar sees all of it on three dates, but for its first four rows. `block` as in `image`.
    """
    random, truth = np.random.default_rng(seed), patches(grid)
    days = [datetime.datetime(2018, 3, 1, 10, tzinfo=datetime.UTC) + datetime.timedelta(12 * i) for i in range(dates)]
    optical = [_optical(folder, grid, truth, day, random, block) for day in days]
    found, valid = [a for a, _ in optical], {"s2": np.array([v for _, v in optical])}
    if radar:
        found += [_radar(folder, grid, truth, day, random, block) for day in days[:3]]
        valid["s1"] = np.ones((3, grid.height, grid.width), bool)
        valid["s1"][:, :4] = False
    return Scene(Inventory("T1", grid, ordered(found)), truth, valid)


def _optical(folder, grid, truth, day, random, block):
    name = f"S2_{day:%Y%m%d}"
    growth = 1 + 0.4 * np.sin(day.timetuple().tm_yday / 20)
    means = np.array([[MEANS[c][b] for c in sorted(MEANS)] for b in range(3)])[:, np.searchsorted(sorted(MEANS), truth)]
    pixels = np.rint(means * growth + random.normal(0, 700, means.shape)).astype(np.int16)
    coarse = Grid(grid.crs, grid.left, grid.top, 20, -(-grid.height // 2), -(-grid.width // 2))
    clear = np.kron(random.random((grid.height // 5 + 1, grid.width // 5 + 1)) > 0.33, np.ones((5, 5), bool))
    clear = clear[: grid.height, : grid.width].copy()
    clear[:, -6:] = False
    fine = image(folder / f"{name}.tif", grid, pixels[:2], -10000, block)
    swir = image(folder / f"{name}_20m.tif", coarse, pixels[2, ::2, ::2].copy(), -10000, block)
    mask = image(folder / f"{name}_mask.tif", grid, np.where(clear, 0, 2).astype(np.uint8), block=block)
    assets = {"b4": Asset(fine, 1, 1e-4, 0, -10000), "b8": Asset(fine, 2, 1e-4, 0, -10000)}
    assets["b11"] = Asset(swir, 1, 1e-4, 0, -10000)
    return Acquisition(name, "s2", day, assets, (Mask(mask, 1, (2,)),)), clear


def _radar(folder, grid, truth, day, random, block):
    name = f"S1_{day:%Y%m%d}"
    pixels = (-20 + truth + random.normal(0, 5, truth.shape)).astype(np.float32)
    pixels[:4] = np.nan
    path = image(folder / f"{name}.tif", grid, pixels, block=block)
    return Acquisition(name, "s1", day, {"vv": Asset(path)})


def squares(truth, grid=GRID, region=None):
    """A piece of reference per square of the truth, a pixel and a bit inside of it; `region` gives it by (x, y)."""
    rows = []
    for row in range(0, grid.height, PATCH):
        for column in range(0, grid.width, PATCH):
            x, y = grid.left + 10 * column, grid.top - 10 * row
            shape = shapely.box(x + 13, y - 10 * PATCH + 13, x + 10 * PATCH - 13, y - 13)
            name = "whole" if region is None else region(shape.centroid.x, shape.centroid.y)
            place = (shape.centroid.x, shape.centroid.y)
            rows.append((f"p{row:03}{column:03}", truth[row, column], name, *place, "", shape))
    return gpd.GeoDataFrame(pd.DataFrame(rows, columns=COLUMNS), geometry="geometry", crs=grid.crs)


def pieces(*shapes, code=1, region="whole", crs=GRID.crs):
    """Pieces of reference `a`, `b`, … of some shapes."""
    names = [chr(ord("a") + i) for i in range(len(shapes))]
    table = {"polygon": names, "code": code, "region": region, "x": 0.0, "y": 0.0, "field": ""}
    return gpd.GeoDataFrame(table, geometry=list(shapes), crs=crs)[COLUMNS]
