"""Bring images that lie on another grid onto the tile's, the same way in every window.

Where a pixel of the tile lies in an image is computed at nodes, whose places do not depend on windows, and linear
between them; so a pixel has the same value whatever else is read with it. Nodes every 16 pixels follow a projection to
a thousandth of a pixel.
"""

from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor

import numpy as np
import pyproj
from rasterio.windows import Window

from parcelle.grid import Grid, same_crs
from parcelle.kernels import compiled_once, kernel

# Pixels of the tile from one node to the next.
STEP = 16

# Pixels of the image around a place that have a say in it.
MARGIN = {"nearest": 1, "bilinear": 1, "cubic": 2}

# Places are rounded to a millionth of a pixel: where grids are aligned, weights are exactly 0 and 1.
PARTS = 2.0**20

METHODS = ("nearest", "bilinear", "cubic")


@dataclass(frozen=True)
class Warp:
    """From a tile's pixels to places in an image on another grid."""

    image: Grid
    tile: Grid

    def source(self, window: Window, method: str) -> Window | None:
        """Pixels of the image that have a say in a window of the tile; None if there are none."""
        rows, columns = self._nodes(window)[2]
        if not (np.isfinite(rows).any() and np.isfinite(columns).any()):
            return None
        margin = MARGIN[method]
        top, bottom = floor(np.nanmin(rows)) - margin, ceil(np.nanmax(rows)) + margin
        left, right = floor(np.nanmin(columns)) - margin, ceil(np.nanmax(columns)) + margin
        top, left = max(top, 0), max(left, 0)
        bottom, right = min(bottom, self.image.height), min(right, self.image.width)
        return Window(left, top, right - left, bottom - top) if bottom > top and right > left else None

    def values(self, raw: np.ndarray, source: Window, window: Window, method: str) -> np.ndarray:
        """Interpolate a band.

        A value is known only if every pixel that contributes to it is. Beyond the image there is none; at its edge the
        outermost pixels are repeated. Where the image has several pixels in one of the tile, several places in it are
        interpolated, and their mean is taken.

        Args:
            raw: ``(row, column)`` float32 of the pixels `source`, NaN where not observed.
            source: From the method of that name.
            window: Pixels of the tile.
            method: `nearest`, `bilinear` or `cubic` (Keys 1981, a = −0.5).

        Returns:
            ``(row, column)`` float32 of the window; NaN where not known.

        """
        out = np.empty((window.height, window.width), np.float32)
        parts = 1 if method == "nearest" else self._finer
        self._run(raw, source, window, METHODS.index(method), parts, out)
        return out

    def nearest(self, flags: np.ndarray, source: Window, window: Window, beyond: bool) -> np.ndarray:
        """Take the nearest pixel of a mask.

        Args:
            flags: ``(row, column)`` bool of the pixels `source`.
            source: From the method of that name.
            window: Pixels of the tile.
            beyond: What stands beyond the image.

        """
        out = np.empty((window.height, window.width), np.float32)
        self._run(flags.astype(np.float32), source, window, METHODS.index("nearest"), 1, out)
        return np.where(np.isnan(out), beyond, out > 0.5)

    @cached_property
    def _finer(self) -> int:
        """Pixels of the image along a side of one of the tile's, in the middle of the tile; at least 1."""
        middle = Window(self.tile.width // 2, self.tile.height // 2, 1, 1)
        rows, columns = self._nodes(middle)[2]
        sides = np.hypot(np.diff(rows, axis=1), np.diff(columns, axis=1)) / STEP
        return max(round(float(np.median(sides))), 1) if np.isfinite(sides).all() else 1

    def _nodes(self, window: Window) -> tuple[int, int, tuple[np.ndarray, np.ndarray]]:
        """Nodes around a window: numbers of their first row and column, and where they lie in the image."""
        first_row, first_column = window.row_off // STEP, window.col_off // STEP
        down = np.arange(first_row, (window.row_off + window.height - 1) // STEP + 2) * STEP
        across = np.arange(first_column, (window.col_off + window.width - 1) // STEP + 2) * STEP
        x, y = np.meshgrid(self.tile.left + across * self.tile.resolution, self.tile.top - down * self.tile.resolution)
        if not same_crs(self.tile.crs, self.image.crs):
            x, y = _transformer(self.tile.crs, self.image.crs).transform(x, y)
        with np.errstate(invalid="ignore"):  # where the projection is not defined
            rows = (self.image.top - np.asarray(y)) / self.image.resolution
            columns = (np.asarray(x) - self.image.left) / self.image.resolution
        rows[~np.isfinite(rows)], columns[~np.isfinite(columns)] = np.nan, np.nan
        return first_row, first_column, (rows, columns)

    def _run(self, raw: np.ndarray, source: Window, window: Window, method: int, parts: int, out: np.ndarray) -> None:
        first_row, first_column, (rows, columns) = self._nodes(window)
        _ready()
        place = window.row_off - first_row * STEP, window.col_off - first_column * STEP
        size = self.image.height, self.image.width
        _warp(np.ascontiguousarray(raw, np.float32), source.row_off, source.col_off, *size, rows, columns, *place,
              parts, method, out)  # fmt: skip


def _transformer(source: str, target: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


@kernel
def _warp(raw, top, left, height, width, rows, columns, row, column, parts, method, out):  # type: ignore[no-untyped-def]
    """Interpolate all pixels of a window, which starts `row` rows and `column` columns behind the first node."""
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            total = 0.0
            for i in range(parts):
                for j in range(parts):
                    y, x = (i + 0.5) / parts, (j + 0.5) / parts
                    p, q = _between(rows, row + r, y, column + c, x), _between(columns, row + r, y, column + c, x)
                    inside = (p >= 0) & (p <= height) & (q >= 0) & (q <= width)
                    total += _at(raw, top, left, height, width, p, q, method) if inside else np.nan
            out[r, c] = np.float32(total / (parts * parts))


@kernel
def _between(nodes, row, y, column, x):  # type: ignore[no-untyped-def]
    """Linear between four nodes, at the place (y, x) in a pixel, to a millionth of a pixel."""
    i, j = row // STEP, column // STEP
    # Within the cell first: the sum of a row and a part of one would be rounded, window by window in another way.
    v, u = (row - i * STEP + y) / STEP, (column - j * STEP + x) / STEP
    above = nodes[i, j] * (1 - u) + nodes[i, j + 1] * u
    below = nodes[i + 1, j] * (1 - u) + nodes[i + 1, j + 1] * u
    return np.rint((above * (1 - v) + below * v) * PARTS) / PARTS


@kernel
def _at(raw, top, left, height, width, p, q, method):  # type: ignore[no-untyped-def]
    """Value at a place of the image; NaN if a pixel with a weight is."""
    if method == 0:
        return raw[min(int(p), height - 1) - top, min(int(q), width - 1) - left]
    r, c = int(np.floor(p - 0.5)), int(np.floor(q - 0.5))
    dr, dc = p - 0.5 - r, q - 0.5 - c
    first, last = (0, 2) if method == 1 else (-1, 3)
    total = 0.0
    for i in range(first, last):
        down = _weight(abs(dr - i), method)
        if down == 0.0:
            continue
        line = min(max(r + i, 0), height - 1) - top
        for j in range(first, last):
            across = _weight(abs(dc - j), method)
            if across != 0.0:
                total += down * across * raw[line, min(max(c + j, 0), width - 1) - left]
    return total


@kernel
def _weight(distance, method):  # type: ignore[no-untyped-def]
    """Weight of a pixel at some distance: linear, or cubic convolution (Keys 1981, eq. 15, a = −0.5)."""
    if method == 1:
        return max(1.0 - distance, 0.0)
    if distance <= 1.0:
        return (1.5 * distance - 2.5) * distance * distance + 1.0
    if distance < 2.0:
        return ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
    return 0.0


@compiled_once
def _ready() -> None:
    """Compile."""
    nodes = np.zeros((2, 2))
    _warp(np.zeros((1, 1), np.float32), 0, 0, 1, 1, nodes, nodes, 0, 0, 1, 1, np.empty((1, 1), np.float32))
