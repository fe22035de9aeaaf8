"""Bring coarser bands to the tile's grid, the same way in every window."""

import numba
import numpy as np
from numba.extending import overload

from parcelle.kernels import compiled_once, kernel

# The largest value of a series of integers, which are of 16 bits.
LARGEST = 32767

# How many coarse pixels beyond the ones under a window have a say in it.
MARGIN = {"nearest": 0, "bilinear": 1, "cubic": 2}


def taps(start: int, count: int, factor: int, size: int, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Coarse pixels that make up fine pixels along one axis, and their weights.

    Centres of fine pixel i lie at (i + 0.5) / factor − 0.5 in coarse pixels. Cubic is Keys (1981) with a = −0.5,
    as GDAL's. Beyond the image its outermost pixel is repeated.

    Args:
        start: First fine pixel.
        count: Number of fine pixels.
        factor: Fine pixels in a coarse one.
        size: Coarse pixels along the axis.
        method: `nearest`, `bilinear` or `cubic`.

    Returns:
        Indices ``(count, tap)`` and float32 weights ``(count, tap)``; the weights of a pixel add up to 1.

    """
    return taps_of(np.arange(start, start + count), factor, size, method)


def taps_of(fine: np.ndarray, factor: int, size: int, method: str) -> tuple[np.ndarray, np.ndarray]:
    """`taps` of any fine pixels ``(pixel,)``."""
    if method == "nearest":
        return (fine // factor)[:, None], np.ones((len(fine), 1), np.float32)
    position = (fine + 0.5) / factor - 0.5
    base = np.floor(position).astype(int)
    offsets = np.arange(0, 2) if method == "bilinear" else np.arange(-1, 3)
    distance = np.abs((position - base)[:, None] - offsets)
    weights = np.maximum(1 - distance, 0) if method == "bilinear" else _keys(distance)
    return np.clip(base[:, None] + offsets, 0, size - 1), weights.astype(np.float32)


def _keys(d: np.ndarray, a: float = -0.5) -> np.ndarray:
    """Cubic convolution kernel at distance `d` (Keys 1981, eq. 15)."""
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


class Rows:
    """Interpolates coarse images to rows of the tile's grid; its memory serves row after row.

    First along columns of pixels, then along rows, in float32; integers are rounded to the nearest, halves up.
    Overshoots of cubic interpolation end at what the type holds.
    """

    def __init__(self, factor: int, size: tuple[int, int], method: str, layers: tuple[int, int], dtype: type):
        """Prepare for images of `size` coarse pixels; `layers` is the number of (dates, bands)."""
        self._factor, self._size, self._method = factor, size, method
        self._layers, self._dtype = layers, dtype
        # The weights of the pixels within a coarse one are the same everywhere but for the image's edges, where the
        # outermost pixels are repeated: taken far from both.
        indices, self._weights = taps(8 * factor, factor, factor, 17, method)
        self._first = np.asarray(indices[:, 0] - 8)
        self._rows: np.ndarray = np.empty(0, dtype)

    def read(
        self, values: np.ndarray, wanted: np.ndarray, origin: tuple[int, int], row: int, start: int, count: int
    ) -> np.ndarray:
        """Interpolate some pixels of a row.

        Args:
            values: ``(date, band, row, column)`` of coarse pixels, contiguous.
            wanted: Dates that count ``(date,)`` bool; nobody asks for the others, which are left as they are.
            origin: Row and column of the coarse image where `values` starts.
            row: Row of the tile.
            start: First column of the tile.
            count: Number of pixels.

        Returns:
            ``(date, band, 1, column)`` from the column `start` rounded down to a multiple of the factor; overwritten
            by the next call.

        """
        indices, weights = taps(row, 1, self._factor, self._size[0], self._method)
        first, last = start // self._factor, -(-(start + count) // self._factor)
        width = (last - first) * self._factor
        if self._rows.shape[-1] != width:
            self._rows = np.empty((*self._layers, 1, width), self._dtype)
        _ready(np.dtype(self._dtype).name)
        down = indices[0] - origin[0], weights[0]
        result = self._rows[:, :, 0]
        _upsample(values, wanted, *down, first, origin[1], self._size[1], self._first, self._weights, result)
        return self._rows


@kernel
def _upsample(values, wanted, rows, down, first, origin, size, offsets, across, result):  # type: ignore[no-untyped-def]
    """Interpolate one row of all bands.

    `rows` are places in `values`, with weights `down`; the result starts at the coarse column `first`; `across` are the
    weights ``(pixel within a coarse one, tap)`` of the coarse columns from `offsets` on.
    """
    factor, taps = across.shape
    left = offsets.min()
    coarse = np.empty(result.shape[2] // factor + offsets.max() - left + taps - 1, np.float32)
    for d in np.flatnonzero(wanted):
        for b in range(values.shape[1]):
            _combine(values[d, b], rows, down, first + left, origin, size, coarse)
            if factor == 2 and taps == 2:
                _double(coarse, across, result[d, b])
            else:
                _spread(coarse, offsets - left, across, result[d, b])


@kernel
def _combine(image, rows, weights, first, origin, size, coarse):  # type: ignore[no-untyped-def]
    """Weighted sum of coarse rows, from the column `first` on; beyond the image its outermost pixels are repeated."""
    inside, beyond = max(first, 0), min(first + len(coarse), size)
    part = coarse[inside - first : beyond - first]
    line = image[rows[0]][inside - origin : beyond - origin]
    for i in range(len(part)):
        part[i] = weights[0] * np.float32(line[i])
    for k in range(1, len(rows)):
        line = image[rows[k]][inside - origin : beyond - origin]
        for i in range(len(part)):
            part[i] += weights[k] * np.float32(line[i])
    coarse[: inside - first] = part[0]
    coarse[beyond - first :] = part[len(part) - 1]


@kernel
def _double(coarse, across, row):  # type: ignore[no-untyped-def]
    """Two pixels from each coarse one, of two taps each: the common case, as a loop that fills whole registers."""
    w0, w1, w2, w3 = across[0, 0], across[0, 1], across[1, 0], across[1, 1]
    before, here, after = coarse[:-2], coarse[1:-1], coarse[2:]
    for i in range(len(row) // 2):
        row[2 * i] = _rounded(before[i] * w0 + here[i] * w1, row)
        row[2 * i + 1] = _rounded(here[i] * w2 + after[i] * w3, row)


@kernel
def _spread(coarse, offsets, across, row):  # type: ignore[no-untyped-def]
    """Pixels from each coarse one, any number of any number of taps."""
    factor, taps = across.shape
    count = len(row) // factor
    total = np.empty(count, np.float32)
    for p in range(factor):
        total[:] = 0
        for k in range(taps):
            # Not even times 0: what stands for a value that is not observed may have become infinite.
            if across[p, k] != 0:
                part = coarse[offsets[p] + k : offsets[p] + k + count]
                for i in range(count):
                    total[i] += part[i] * across[p, k]
        for i in range(count):
            row[i * factor + p] = _rounded(total[i], row)


def _rounded(value, row):  # type: ignore[no-untyped-def]
    """Bring a value to the type of a row; the loops get the variant of their type."""
    raise NotImplementedError


@overload(_rounded, inline="always")
def _rounded_for(value, row):  # type: ignore[no-untyped-def]
    if row.dtype == numba.int16:
        return lambda value, row: np.int16(
            np.int32(min(max(value, np.float32(-LARGEST)), np.float32(LARGEST)) + np.float32(32768.5)) - np.int32(32768)
        )
    return lambda value, row: value


@compiled_once
def _ready(dtype: str) -> None:
    """Compile for values of a type."""
    values, two = np.zeros((1, 1, 3, 3), dtype), np.array([0, 1])
    weights, across = np.ones(2, np.float32), np.ones((2, 2), np.float32)
    _upsample(values, np.ones(1, bool), two, weights, 0, 0, 3, two - 1, across, np.zeros((1, 1, 1, 2), dtype)[:, :, 0])


def all_valid(valid: np.ndarray, rows: tuple, columns: tuple, origin: tuple[int, int]) -> np.ndarray:
    """Whether every coarse pixel that contributes to a fine one is valid.

    Args:
        valid: ``(row, column)`` of coarse pixels.
        rows: `taps` of the rows.
        columns: `taps` of the columns.
        origin: Row and column of the coarse image where `valid` starts.

    Returns:
        ``(row, column)`` of fine pixels.

    """
    if valid.all():
        return np.ones((len(rows[0]), len(columns[0])), bool)
    down = _every(valid, rows, origin[0], axis=0)
    return _every(down, columns, origin[1], axis=1)


def _every(valid: np.ndarray, tap: tuple, origin: int, axis: int) -> np.ndarray:
    indices, weights = tap
    shape = (-1, 1) if axis == 0 else (1, -1)
    result = np.True_
    for k in range(indices.shape[1]):
        result = result & (np.take(valid, indices[:, k] - origin, axis) | (weights[:, k] == 0).reshape(shape))
    return np.asarray(result)
