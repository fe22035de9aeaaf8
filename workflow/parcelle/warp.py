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
    p, q, total = np.empty(out.shape[1]), np.empty(out.shape[1]), np.empty(out.shape[1])
    for r in range(out.shape[0]):
        total[:] = 0.0
        for i in range(parts):
            for j in range(parts):
                y, x = (i + 0.5) / parts, (j + 0.5) / parts
                _places(rows, row + r, y, column, x, p)
                _places(columns, row + r, y, column, x, q)
                if method == 0:
                    _add_nearest(raw, top, left, height, width, p, q, total)
                elif method == 1:
                    _add_bilinear(raw, top, left, height, width, p, q, total)
                else:
                    _add_cubic(raw, top, left, height, width, p, q, total)
        for c in range(out.shape[1]):
            out[r, c] = np.float32(total[c] / (parts * parts))


@kernel
def _places(nodes, row, y, column, x, out):  # type: ignore[no-untyped-def]
    """Where the places (y, x) in the pixels of a row lie, to a millionth of a pixel: linear between four nodes."""
    i = row // STEP
    # Within the cell first: the sum of a row and a part of one would be rounded, window by window in another way.
    v = (row - i * STEP + y) / STEP
    c = 0
    while c < len(out):
        j = (column + c) // STEP
        start = column + c - j * STEP
        count = min(STEP - start, len(out) - c)
        first = nodes[i, j] * (1 - v) + nodes[i + 1, j] * v
        second = nodes[i, j + 1] * (1 - v) + nodes[i + 1, j + 1] * v
        for k in range(count):
            u = (start + k + x) / STEP
            out[c + k] = np.rint((first * (1 - u) + second * u) * PARTS) / PARTS
        c += count


@kernel
def _add_nearest(raw, top, left, height, width, p, q, total):  # type: ignore[no-untyped-def]
    for c in range(len(total)):
        if p[c] >= 0 and p[c] <= height and q[c] >= 0 and q[c] <= width:
            total[c] += raw[min(int(p[c]), height - 1) - top, min(int(q[c]), width - 1) - left]
        else:
            total[c] = np.nan


@kernel
def _add_bilinear(raw, top, left, height, width, p, q, total):  # type: ignore[no-untyped-def]
    for c in range(len(total)):
        if p[c] >= 0 and p[c] <= height and q[c] >= 0 and q[c] <= width:
            # At the border the outermost pixels are repeated; a pixel of weight 0 is not looked at.
            a, b = min(max(p[c] - 0.5, 0.0), height - 1.0), min(max(q[c] - 0.5, 0.0), width - 1.0)
            i, j = int(a), int(b)
            v, u = a - i, b - j
            below, right = (i + 1 if v > 0 else i) - top, (j + 1 if u > 0 else j) - left
            first = raw[i - top, j - left] * (1 - u) + raw[i - top, right] * u
            second = raw[below, j - left] * (1 - u) + raw[below, right] * u
            total[c] += first * (1 - v) + second * v
        else:
            total[c] = np.nan


@kernel
def _add_cubic(raw, top, left, height, width, p, q, total):  # type: ignore[no-untyped-def]
    down, across = np.empty(4), np.empty(4)
    for c in range(len(total)):
        if p[c] >= 0 and p[c] <= height and q[c] >= 0 and q[c] <= width:
            r, k = int(np.floor(p[c] - 0.5)), int(np.floor(q[c] - 0.5))
            _keys(p[c] - 0.5 - r, down)
            _keys(q[c] - 0.5 - k, across)
            for i in range(4):
                # A pixel of weight 0 is not looked at.
                if down[i] != 0.0:
                    line = raw[min(max(r + i - 1, 0), height - 1) - top]
                    part = 0.0
                    for j in range(4):
                        if across[j] != 0.0:
                            part += across[j] * line[min(max(k + j - 1, 0), width - 1) - left]
                    total[c] += down[i] * part
        else:
            total[c] = np.nan


@kernel
def _keys(t, weights):  # type: ignore[no-untyped-def]
    """Weights of four pixels, `t` behind the second one, in cubic convolution (Keys 1981, eq. 15, a = −0.5)."""
    r = 1.0 - t
    weights[0] = ((-0.5 * t + 1.0) * t - 0.5) * t
    weights[1] = (1.5 * t - 2.5) * t * t + 1.0
    weights[2] = (1.5 * r - 2.5) * r * r + 1.0
    weights[3] = ((-0.5 * r + 1.0) * r - 0.5) * r


@compiled_once
def _ready() -> None:
    """Compile."""
    nodes = np.zeros((2, 2))
    _warp(np.zeros((1, 1), np.float32), 0, 0, 1, 1, nodes, nodes, 0, 0, 1, 1, np.empty((1, 1), np.float32))
