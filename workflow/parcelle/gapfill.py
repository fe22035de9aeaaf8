"""Fill the gaps of a series: linear in time between valid observations, on regular dates."""

import contextlib
import fcntl
import functools
from pathlib import Path

import numba
import numpy as np

BLOCK = 4096


def fill(values: np.ndarray, valid: np.ndarray, days: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Interpolate each pixel and band on regular dates.

    Between the nearest valid observations before and after, linear in time; before the first and after the last valid
    one, its value. A pixel without any is 0. Integers are rounded to the nearest, halves to even. A pixel's result
    depends on nothing but that pixel, and has the same bits in any window.

    Args:
        values: ``(date, band, row, column)`` int16 or float32.
        valid: ``(date, row, column)`` bool.
        days: Day number of each date, ascending, ``(date,)``.
        targets: Day numbers of the regular dates, ascending, ``(regular date,)``.

    Returns:
        ``(regular date, band, row, column)`` of the type of `values`.

    """
    dates, bands, height, width = values.shape
    flat = np.ascontiguousarray(values).reshape(dates, bands, height * width)
    seen = np.ascontiguousarray(valid).reshape(dates, height * width)
    filled = np.zeros((len(targets), bands, height * width), values.dtype)
    rounded = np.issubdtype(values.dtype, np.integer)
    _compile(values.dtype)
    _fill(flat, seen, np.asarray(days, np.int32), np.asarray(targets, np.int32), rounded, filled)
    return filled.reshape(len(targets), bands, height, width)


@functools.cache
def _compile(dtype: np.dtype) -> None:
    """Compile the kernel for a type, or load it from disk, while no other process does.

    numba numbers its cached files by a list that two processes may change at once; each type could then get the code
    of the other. A file system without locks is left to luck, as numba leaves every one.
    """
    folder = Path(str(_fill.stats.cache_path))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "gapfill.lock").open("w") as lock, contextlib.suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX)
        day = np.zeros(1, np.int32)
        values = np.zeros((1, 1, 1), dtype)
        _fill(values, np.ones((1, 1), bool), day, day, np.issubdtype(dtype, np.integer), values.copy())


@numba.njit(nogil=True, cache=True)
def _neighbours(seen, days, target, start, stop, before, after):  # type: ignore[no-untyped-def]
    """Nearest valid date not after, and not before, `target` for the pixels from `start` to `stop`; −1 if none."""
    dates = seen.shape[0]
    for i in range(stop - start):
        before[i] = -1
        after[i] = -1
    for d in range(dates):
        if days[d] <= target:
            for i in range(stop - start):
                if seen[d, start + i]:
                    before[i] = d
    for d in range(dates - 1, -1, -1):
        if days[d] >= target:
            for i in range(stop - start):
                if seen[d, start + i]:
                    after[i] = d
    for i in range(stop - start):
        if before[i] < 0:
            before[i] = after[i]
        if after[i] < 0:
            after[i] = before[i]


@numba.njit(nogil=True, cache=True)
def _times(days, target, count, before, after, elapsed, span):  # type: ignore[no-untyped-def]
    """Days from the earlier neighbour to `target`, and to the later one; 0 of 1 where they are one."""
    for i in range(count):
        elapsed[i] = 0.0
        span[i] = 1.0
        if before[i] >= 0 and after[i] != before[i]:
            elapsed[i] = target - days[before[i]]
            span[i] = days[after[i]] - days[before[i]]


@numba.njit(nogil=True, cache=True)
def _fill(values, seen, days, targets, rounded, filled):  # type: ignore[no-untyped-def]
    bands, pixels = values.shape[1], values.shape[2]
    before = np.empty(BLOCK, np.int32)
    after = np.empty(BLOCK, np.int32)
    elapsed = np.empty(BLOCK, np.float64)
    span = np.empty(BLOCK, np.float64)
    for start in range(0, pixels, BLOCK):
        stop = min(start + BLOCK, pixels)
        for t in range(len(targets)):
            _neighbours(seen, days, targets[t], start, stop, before, after)
            _times(days, targets[t], stop - start, before, after, elapsed, span)
            for b in range(bands):
                for i in range(stop - start):
                    if before[i] >= 0:
                        first = float(values[before[i], b, start + i])
                        step = float(values[after[i], b, start + i]) - first
                        # Divided last: of integers, the product is exact, and so is a half that is rounded to even.
                        value = first + step * elapsed[i] / span[i]
                        filled[t, b, start + i] = np.rint(value) if rounded else value
