"""Which region a pixel lies in, and whether it is the tile's own."""

import threading
from dataclasses import dataclass
from typing import Any, Self

import geopandas as gpd
import numpy as np
import shapely
from rasterio.windows import Window

from parcelle import files
from parcelle.grid import Grid

_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Areas:
    """Regions of a tile by name, in the order of their names, and the part of it that no earlier tile covers."""

    regions: dict[str, Any]
    own: Any

    @classmethod
    def read(cls, path: str) -> Self:
        """Read what `planning.write_areas` wrote."""
        frame = gpd.read_parquet(files.verify(path))
        regions = frame[frame.kind == "region"]
        own = frame.geometry[frame.kind == "own"].iloc[0]
        geometries = dict(zip(regions.name, regions.geometry, strict=True))
        for geometry in (*geometries.values(), own):
            shapely.prepare(geometry)
        return cls(geometries, own)

    def region_of(self, grid: Grid, window: Window) -> np.ndarray:
        """Place of each pixel's region among `regions`; −1 outside all: ``(row, column)`` int16.

        A pixel belongs to the first region that its centre lies in, or on the border of.
        """
        result = np.full((window.height, window.width), -1, np.int16)
        for i, geometry in enumerate(self.regions.values()):
            free = result < 0
            if not free.any():
                break
            result[free & covered(geometry, grid, window)] = i
        return result

    def near(self, grid: Grid, window: Window) -> bool:
        """Whether a region may hold a pixel of a window, which may reach beyond the grid."""
        with _ONE_AT_A_TIME:
            return any(shapely.intersects(geometry, _ground(grid, window)) for geometry in self.regions.values())

    def own_pixels(self, grid: Grid, window: Window) -> np.ndarray:
        """Pixels whose centre lies in the tile's own part: ``(row, column)`` bool."""
        return covered(self.own, grid, window)


def covered(geometry: Any, grid: Grid, window: Window) -> np.ndarray:
    """Pixels whose centre lies in a polygon or on its border: ``(row, column)`` bool.

    Centres are compared as coordinates, not drawn, so that the answer does not depend on the window. One thread at a
    time: the index of a prepared polygon grows while it is asked, and two threads in it crash or lie.
    """
    with _ONE_AT_A_TIME:
        return _covered(geometry, grid, window)


def _covered(geometry: Any, grid: Grid, window: Window) -> np.ndarray:
    x, y = grid.centres(window)
    if shapely.covers(geometry, shapely.box(x[0], y[-1], x[-1], y[0])):
        return np.ones((window.height, window.width), bool)
    if not shapely.intersects(geometry, _ground(grid, window)):
        return np.zeros((window.height, window.width), bool)
    return shapely.intersects_xy(geometry, np.tile(x, len(y)), np.repeat(y, len(x))).reshape(len(y), len(x))


def _ground(grid: Grid, window: Window) -> shapely.Polygon:
    """Outline of a window's pixels."""
    left, top = grid.left + window.col_off * grid.resolution, grid.top - window.row_off * grid.resolution
    return shapely.box(left, top - window.height * grid.resolution, left + window.width * grid.resolution, top)
