"""Fill the gaps of a series: linear in time between valid observations, on regular dates.

All bands of a pixel share its dates and its mask, so the neighbours of a regular date are looked for once. Clouds are
larger than pixels: neighbours on a row mostly have the same two dates, and such a run is interpolated at once.
"""

import numba
import numpy as np
from numba.extending import overload

from parcelle.kernels import compiled_once, kernel
from parcelle.periods import LINEAR, Filling

# Halves are rounded up. The rest makes sure of it where a product of a reciprocal falls short of a half by its last
# bit; fractions of days come closer than that to a half only for gaps of 500,000 days.
HALF = 0.5 + 2**-20


def fill(
    values: np.ndarray, valid: np.ndarray, days: np.ndarray, targets: np.ndarray, out: np.ndarray | None = None
) -> np.ndarray:
    """Interpolate each pixel and band on regular dates.

    Between the nearest valid observations before and after, linear in time; before the first and after the last valid
    one, its value. A pixel without any is 0. Integers are rounded to the nearest, halves up. A pixel's result depends
    on nothing but that pixel, and has the same bits in any window.

    Args:
        values: ``(date, band, row, column)`` int16 or float32.
        valid: ``(date, row, column)`` bool.
        days: Day number of each date, ascending, ``(date,)``.
        targets: Day numbers of the regular dates, ascending, ``(regular date,)``.
        out: Where to put the result, contiguous; new memory if None.

    Returns:
        ``(regular date, band, row, column)`` of the type of `values`.

    """
    values, valid = np.ascontiguousarray(values), np.ascontiguousarray(valid)
    bands, height, width = values.shape[1:]
    filled = np.empty((len(targets), bands, height, width), values.dtype) if out is None else out
    planes = filled.reshape(len(targets) * bands, height * width)
    near = Neighbours(len(targets), width)
    for row in range(height):
        near.find(valid, row, 0, days, targets)
        near.fill(values, row, 0, np.arange(bands), planes, bands, row * width)
    return filled


class Neighbours:
    """Nearest valid dates around each regular date, of some pixels of a row; its memory serves row after row."""

    def __init__(self, targets: int, pixels: int):
        self._before = np.empty((targets, pixels), np.int16)
        self._after = np.empty((targets, pixels), np.int16)
        self._days = self._targets = np.empty(0, np.int32)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of regular dates and of pixels."""
        return self._before.shape

    def find(
        self,
        valid: np.ndarray,
        row: int,
        start: int,
        days: np.ndarray,
        targets: np.ndarray,
        filling: Filling = LINEAR,
    ) -> None:
        """Look for the neighbours of the pixels of `row` from column `start` on; arguments as those of `fill`.

        Where gaps are not filled, both neighbours are the nearest valid observation within reach, of two the earlier.
        """
        self._days, self._targets = np.asarray(days, np.int32), np.asarray(targets, np.int32)
        _ready("int16")
        near = self._days, self._targets, self._before, self._after
        _neighbours(valid, row, start, *near)
        if filling.method == "none":
            _nearest(*near, float(filling.within))

    def fill(
        self,
        values: np.ndarray,
        row: int,
        start: int,
        places: np.ndarray,
        planes: np.ndarray,
        step: int,
        column: int = 0,
    ) -> None:
        """Interpolate some bands of the pixels that neighbours were found for.

        Args:
            values: ``(date, band, row, column)`` int16 or float32.
            row: Row in `values`.
            start: Column in `values` of the first pixel.
            places: Plane of each band for the first regular date ``(band,)``.
            planes: Written: ``(plane, pixel)``.
            step: Planes from one regular date to the next.
            column: Where the pixels begin in `planes`.

        """
        _ready(str(values.dtype))
        near = self._days, self._targets, self._before, self._after
        _fill(values, row, start, *near, places, planes, step, column)


@kernel
def _neighbours(valid, row, start, days, targets, before, after):  # type: ignore[no-untyped-def]
    """Nearest valid date not after, and not before, each target; the other one where there is none, −1 if neither."""
    pixels, dates = before.shape[1], len(days)
    nearest = np.full(pixels, np.int16(-1))
    d = 0
    for t in range(len(targets)):
        while d < dates and days[d] <= targets[t]:
            _take(valid[d, row][start : start + pixels], np.int16(d), nearest)
            d += 1
        before[t] = nearest
    nearest[:] = np.int16(-1)
    d = dates - 1
    for t in range(len(targets) - 1, -1, -1):
        while d >= 0 and days[d] >= targets[t]:
            _take(valid[d, row][start : start + pixels], np.int16(d), nearest)
            d -= 1
        _join(before[t], after[t], nearest)


@kernel
def _take(seen, date, nearest):  # type: ignore[no-untyped-def]
    for i in range(len(nearest)):
        nearest[i] = date if seen[i] else nearest[i]


@kernel
def _join(before, after, nearest):  # type: ignore[no-untyped-def]
    for i in range(len(nearest)):
        after[i] = nearest[i] if nearest[i] >= 0 else before[i]
        before[i] = before[i] if before[i] >= 0 else nearest[i]


@kernel
def _nearest(days, targets, before, after, within):  # type: ignore[no-untyped-def]
    """Put the nearer of both neighbours in the place of both, and −1 if it is more than `within` days away."""
    for t in range(len(targets)):
        earlier, later = before[t], after[t]
        for i in range(len(earlier)):
            b, a = earlier[i], later[i]
            if b >= 0:
                near = a if abs(days[a] - targets[t]) < abs(days[b] - targets[t]) else b
                earlier[i] = later[i] = near if abs(days[near] - targets[t]) <= within else np.int16(-1)


@kernel
def _fill(values, row, start, days, targets, before, after, places, planes, step, column):  # type: ignore[no-untyped-def]
    # One flat array and unsigned places: no view is made per run, and no place is checked for being negative.
    flat = values.reshape(-1)
    bands, rows, columns = values.shape[1], values.shape[2], values.shape[3]
    band, date, pixels = rows * columns, bands * rows * columns, before.shape[1]
    ends, per_day = np.empty(pixels, np.int64), np.empty(pixels, np.float64)
    for t in range(len(targets)):
        earlier, later = before[t], after[t]
        runs = _runs(earlier, later, days, ends, per_day)
        for k in range(bands):
            plane = planes[t * step + places[k]][column : column + pixels]
            origin = row * columns + start + k * band
            i = 0
            for run in range(runs):
                b, a = earlier[i], later[i]
                if b < 0:
                    plane[i : ends[run]] = 0
                else:
                    first, second = np.uint64(origin + b * date), np.uint64(origin + a * date)
                    elapsed = np.int32(targets[t] - days[b])
                    for p in range(np.uint64(i), np.uint64(ends[run])):
                        plane[p] = _between(flat[first + p], flat[second + p], elapsed, per_day[run])
                i = ends[run]


@kernel
def _runs(before, after, days, ends, per_day):  # type: ignore[no-untyped-def]
    """Find runs of pixels with the same neighbours: write where each ends, and 1 / days between; give their number."""
    count = 0
    for i in range(1, len(before) + 1):
        b, a = before[i - 1], after[i - 1]
        if i == len(before) or before[i] != b or after[i] != a:
            gap = days[a] - days[b] if b >= 0 else 0
            per_day[count] = 1.0 / gap if gap else 0.0
            ends[count] = i
            count += 1
    return count


def _between(first, second, elapsed, per_day):  # type: ignore[no-untyped-def]
    """Value at `elapsed` days after the first of two dates; the loops get the variant of their type."""
    raise NotImplementedError


@overload(_between, inline="always")
def _between_of(first, second, elapsed, per_day):  # type: ignore[no-untyped-def]
    return _of_integers if isinstance(first, numba.types.Integer) else _of_floats


def _of_integers(first, second, elapsed, per_day):  # type: ignore[no-untyped-def]
    # The product of two numbers of 17 and 15 bits is exact, and so is its sum; a positive number is rounded by cutting.
    rise = (np.int32(second) - np.int32(first)) * elapsed
    return np.int16(np.int32(np.float64(rise) * per_day + (65536 + HALF)) + (np.int32(first) - np.int32(65536)))


def _of_floats(first, second, elapsed, per_day):  # type: ignore[no-untyped-def]
    rise = (np.float64(second) - np.float64(first)) * elapsed
    return np.float32(np.float64(first) + rise * per_day)


@compiled_once
def _ready(dtype: str) -> None:
    """Compile for values of a type."""
    near = np.zeros((1, 2), np.int16)
    day, valid = np.zeros(1, np.int32), np.ones((1, 1, 2), bool)
    _neighbours(valid, 0, 0, day, day, near, near.copy())
    _nearest(day, day, near, near.copy(), 0.0)
    values = np.zeros((1, 1, 1, 2), dtype)
    _fill(values, 0, 0, day, day, near, near, np.zeros(1, np.int64), np.zeros((1, 2), dtype), 1, 0)
