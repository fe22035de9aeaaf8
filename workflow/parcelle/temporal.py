"""Along time, before and after gaps are filled: one observation a day, month or dekad; and smoother series.

All is done on some pixels of a row at a time, in sums of a fixed order: a pixel has the same bits in any window.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Self

import numpy as np

from parcelle.gapfill import HALF
from parcelle.kernels import compiled_once, kernel
from parcelle.periods import Composite, Filling, grouped

if TYPE_CHECKING:
    from parcelle.series import Sensor

LARGEST = 32767

# Of some bands: values (observation, band, row, column), the row and column in them where the pixels begin, and the
# places of the bands among all of the sensor.
Part = tuple[np.ndarray, tuple[int, int], np.ndarray]


class Observations:
    """The observations of some pixels of a row, of all bands; its memory serves row after row.

    Acquisitions of one day are one date: the mean of the valid ones. With a composite, the dates of a month or dekad
    are one observation, at its middle day: per band the `median` (of an even number, the mean of the two in the middle)
    or the `mean`; or the `medoid`, the date with the least sum of Euclidean distances, over all bands, to the others
    (Flood 2013, doi:10.3390/rs5126481), of equal ones the first. Integers of composites are rounded halves up.

    Attributes:
        days: Day number of each observation ``(observation,)`` int32.
        seen: Which of those that `make` made last are of any valid acquisition ``(observation, 1, pixel)`` bool.

    """

    def __init__(self, starts: np.ndarray, days: np.ndarray, composite: Composite | None):
        """Prepare for the acquisitions of a sensor.

        Args:
            starts: Place of the first acquisition of each date ``(date,)``.
            days: Day number of each date ``(date,)``.
            composite: What is made of months or dekads, if anything.

        """
        self._starts = np.asarray(starts, np.int64)
        self._method = composite.method if composite else ""
        self._first: np.ndarray = np.empty(0, np.int64)
        self.days = days
        if composite:
            self._first, self.days = grouped(days, composite.by)
        self._dates = self._values = np.empty((0, 0, 1, 0))
        self._dates_seen = self.seen = np.empty((0, 1, 0), bool)

    @classmethod
    def of(cls, sensor: "Sensor") -> Self | None:
        """For a sensor; None if every acquisition is an observation by itself."""
        composite = sensor.recipe.composite
        if composite is None and len(sensor.dates) == len(sensor.acquisitions):
            return None
        return cls(sensor.starts, sensor.days, composite)

    def make(self, parts: Sequence[Part], valid: np.ndarray) -> list[Part]:
        """Make the observations of some pixels, and write `seen`.

        Args:
            parts: Acquisitions, of all bands.
            valid: ``(acquisition, pixel)`` bool, contiguous.

        Returns:
            One part, of all bands; overwritten by the next call. What is not seen means nothing.

        """
        bands = sum(len(places) for _, _, places in parts)
        self._allocate(bands, parts[0][0].dtype, valid.shape[1])
        _ready(self._dates.dtype.name)
        _any(valid, self._starts, self._dates_seen)
        for values, at, places in parts:
            _means(values, *at, valid, self._starts, places, self._dates, False)
        if self._method:
            self._combine(bands)
        return [(self._values, (0, 0), np.arange(bands))]

    def _combine(self, bands: int) -> None:
        """Make composites of dates."""
        seen = self._dates_seen[:, 0]
        _any(seen, self._first[:-1], self.seen)
        if self._method == "mean":
            _means(self._dates, 0, 0, seen, self._first[:-1], np.arange(bands), self._values, True)
        else:
            _composite(self._dates, seen, self._first, self._method == "medoid", self._values)

    def _allocate(self, bands: int, dtype: np.dtype, pixels: int) -> None:
        """Make room, unless there is."""
        if self._dates.shape[-1] == pixels:
            return
        self._dates = np.empty((len(self._starts), bands, 1, pixels), dtype)
        self._dates_seen = np.empty((len(self._starts), 1, pixels), bool)
        self._values, self.seen = self._dates, self._dates_seen
        if self._method:
            self._values = np.empty((len(self.days), bands, 1, pixels), dtype)
            self.seen = np.empty((len(self.days), 1, pixels), bool)


@kernel
def _any(valid, starts, seen):  # type: ignore[no-untyped-def]
    """Whether any acquisition of a date is valid."""
    for d in range(len(starts)):
        last = starts[d + 1] if d + 1 < len(starts) else len(valid)
        seen[d, 0] = valid[starts[d]]
        for a in range(starts[d] + 1, last):
            seen[d, 0] |= valid[a]


@kernel
def _means(values, row, start, valid, starts, places, out, up):  # type: ignore[no-untyped-def]
    """Write of each date the mean of the valid acquisitions, of the bands at `places`.

    Integers are rounded to the nearest: of two the upper one with `up`, else the even one.
    """
    pixels, whole = valid.shape[1], out.itemsize == 2
    total, number = np.empty(pixels), np.empty(pixels)
    for d in range(len(starts)):
        first, last = starts[d], starts[d + 1] if d + 1 < len(starts) else len(valid)
        for k in range(values.shape[1]):
            target = out[d, places[k], 0]
            if last - first == 1:
                target[:] = values[first, k, row][start : start + pixels]
                continue
            total[:] = 0
            number[:] = 0
            for a in range(first, last):
                source, good = values[a, k, row][start : start + pixels], valid[a]
                for i in range(pixels):
                    total[i] += np.float64(source[i]) if good[i] else 0.0
                    number[i] += 1.0 if good[i] else 0.0
            for i in range(pixels):
                mean = total[i] / max(number[i], 1.0)
                target[i] = (np.floor(mean + 0.5) if up else np.rint(mean)) if whole else mean


@kernel
def _composite(values, seen, first, medoid, out):  # type: ignore[no-untyped-def]
    """Write the medoid or the median of the dates ``first[p]`` to ``first[p + 1] - 1`` that are seen, if any is."""
    bands, pixels, whole = values.shape[1], seen.shape[1], out.itemsize == 2
    dates, chosen = np.empty(len(values), np.uint64), np.empty(len(values))
    for p in range(len(first) - 1):
        for i in range(np.uint64(pixels)):
            count = 0
            for d in range(first[p], first[p + 1]):
                dates[count] = d
                count += seen[d, i]
            if medoid and count > 0:
                best = _medoid(values, dates[:count], i, chosen)
                for k in range(bands):
                    out[p, k, 0, i] = values[best, k, 0, i]
            elif count > 0:
                for k in range(np.uint64(bands)):
                    for j in range(count):
                        chosen[j] = values[dates[j], k, 0, i]
                    value = _median(chosen, count)
                    out[p, k, 0, i] = np.floor(value + 0.5) if whole else value


@kernel
def _median(values, count):  # type: ignore[no-untyped-def]
    """Sort the first few values in place, and take the one in the middle."""
    for i in range(1, count):
        value, j = values[i], i
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value
    half = count // 2
    return values[half] if count % 2 else (values[half - 1] + values[half]) / 2


@kernel
def _medoid(values, dates, pixel, totals):  # type: ignore[no-untyped-def]
    """Date with the least sum of distances to the others, the first of equal ones; `totals` is memory."""
    totals[: len(dates)] = 0
    for one in range(len(dates)):
        for other in range(one + 1, len(dates)):
            square = 0.0
            for k in range(values.shape[1]):
                a, b = values[dates[one], k, 0, pixel], values[dates[other], k, 0, pixel]
                square += (np.float64(a) - np.float64(b)) ** 2
            totals[one] += np.sqrt(square)
            totals[other] += np.sqrt(square)
    return dates[np.argmin(totals[: len(dates)])]


class Smoother:
    """Smooths series on regular dates, the same way for all pixels; the dates are taken to be equally far apart.

    `whittaker`: the series z that makes Σ (y − z)² + λ Σ (Δ²z)² least, Δ² being second differences (Eilers 2003,
    doi:10.1021/ac034173t); it solves (I + λ D'D) z = y. `savgol`: at each date the value of the polynomial that fits
    the window around it best, at the first and last dates that of the first and last window (Savitzky & Golay 1964).
    Other methods of filling leave series as they are.
    """

    def __init__(self, filling: Filling, dates: int):
        """Prepare for series of so many regular dates."""
        self._filling = filling
        if filling.method == "whittaker":
            self._factors = factors(dates, filling.smoothing)
        elif filling.method == "savgol":
            self._weights, self._starts = weights(dates, filling.window, filling.order)
        self._dates, self._series = dates, np.empty((0, 0))

    def smooth(self, planes: np.ndarray, bands: int) -> None:
        """Replace the series of all bands.

        Args:
            planes: ``(plane, pixel)`` int16 or float32: all bands on the first date, then on the next ones.
            bands: Number of bands.

        """
        if not self._filling.smooths:
            return
        if self._series.shape[1] != planes.shape[1]:
            self._series = np.empty((self._dates, planes.shape[1]))
        _ready(planes.dtype.name)
        if self._filling.method == "whittaker":
            _whittaker(planes, bands, *self._factors, self._series)
        else:
            _savgol(planes, bands, self._weights, self._starts, self._series)


def factors(dates: int, smoothing: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Factors L E L' of I + λ D'D, D being second differences.

    Returns:
        Diagonal of E, and of L the first and the second diagonal below that of ones, ``(date,)`` float64 each.

    """
    matrix = np.zeros((dates + 2, 3))
    matrix[:, 0] = 1
    for i in range(dates - 2):
        matrix[i : i + 3, 0] += smoothing * np.array([1, 4, 1])
        matrix[i : i + 2, 1] -= 2 * smoothing
        matrix[i, 2] += smoothing
    diagonal, below, second = (np.zeros(dates + 2) for _ in range(3))
    for i in range(dates):
        diagonal[i] = matrix[i, 0] - diagonal[i - 1] * below[i - 1] ** 2 - diagonal[i - 2] * second[i - 2] ** 2
        below[i] = (matrix[i, 1] - diagonal[i - 1] * below[i - 1] * second[i - 1]) / diagonal[i]
        second[i] = matrix[i, 2] / diagonal[i]
    return diagonal[:dates], below[:dates], second[:dates]


def weights(dates: int, window: int, order: int) -> tuple[np.ndarray, np.ndarray]:
    """What the dates of a window have to say in each date.

    Returns:
        Weights ``(date, place in the window)`` float64, the fractions that they are rounded once; and the first date of
        the window of each date ``(date,)``.

    """
    starts = np.clip(np.arange(dates) - window // 2, 0, dates - window)
    of_place = [_polynomial(window, order, place) for place in range(window)]
    return np.array([of_place[i - start] for i, start in enumerate(starts.tolist())]), starts


def _polynomial(window: int, order: int, place: int) -> list[float]:
    """Weights of equally spaced values in the least-squares polynomial's value at one of their places."""
    powers = [[Fraction(x) ** k for k in range(order + 1)] for x in range(-(window // 2), window // 2 + 1)]
    normal = [[sum((p[i] * p[j] for p in powers), Fraction()) for j in range(order + 1)] for i in range(order + 1)]
    solution = _solved(normal, powers[place])
    return [float(sum((p * s for p, s in zip(row, solution, strict=True)), Fraction())) for row in powers]


def _solved(matrix: list[list[Fraction]], right: list[Fraction]) -> list[Fraction]:
    """Solve a positive definite system without rounding."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for i, pivot in enumerate(rows):
        pivot[:] = [value / pivot[i] for value in pivot]
        for row in rows:
            if row is not pivot:
                row[:] = [a - row[i] * b for a, b in zip(row, pivot, strict=True)]
    return [row[-1] for row in rows]


@kernel
def _whittaker(planes, bands, diagonal, below, second, series):  # type: ignore[no-untyped-def]
    dates, pixels = series.shape
    for k in range(bands):
        for t in range(dates):
            z, plane = series[t], planes[t * bands + k]
            one, two = below[t - 1] if t > 0 else 0.0, second[t - 2] if t > 1 else 0.0
            z1, z2 = series[max(t - 1, 0)], series[max(t - 2, 0)]
            for i in range(pixels):
                z[i] = np.float64(plane[i]) - (one * z1[i] if t > 0 else 0.0) - (two * z2[i] if t > 1 else 0.0)
        for t in range(dates - 1, -1, -1):
            z, by = series[t], diagonal[t]
            one, two = below[t], second[t]
            z1, z2 = series[min(t + 1, dates - 1)], series[min(t + 2, dates - 1)]
            for i in range(pixels):
                last = (one * z1[i] if t < dates - 1 else 0.0) + (two * z2[i] if t < dates - 2 else 0.0)
                z[i] = z[i] / by - last
            _store(z, planes[t * bands + k])


@kernel
def _savgol(planes, bands, weights, starts, series):  # type: ignore[no-untyped-def]
    dates, pixels = series.shape
    total = np.empty(pixels)
    for k in range(bands):
        for t in range(dates):
            series[t] = planes[t * bands + k]
        for t in range(dates):
            total[:] = 0
            for j in range(weights.shape[1]):
                weight, z = weights[t, j], series[starts[t] + j]
                for i in range(pixels):
                    total[i] += weight * z[i]
            _store(total, planes[t * bands + k])


@kernel
def _store(values, plane):  # type: ignore[no-untyped-def]
    """Write values; integers rounded halves up, also where one falls short of a half by its last bits."""
    if plane.itemsize == 2:
        for i in range(len(plane)):
            plane[i] = min(max(np.floor(values[i] + HALF), -LARGEST), LARGEST)
    else:
        for i in range(len(plane)):
            plane[i] = values[i]


@compiled_once
def _ready(dtype: str) -> None:
    """Compile for values of a type."""
    values, planes, one = np.zeros((1, 1, 1, 1), dtype), np.zeros((1, 1), dtype), np.zeros(1)
    valid, starts, series = np.ones((1, 1), bool), np.zeros(1, np.int64), np.zeros((1, 1))
    _any(valid, starts, valid[None].copy())
    _means(values, 0, 0, valid, starts, starts, values.copy(), False)
    _composite(values, valid, np.array([0, 1]), False, values.copy())
    _whittaker(planes, 1, one + 1, one, one, series)
    _savgol(planes, 1, series + 1, starts, series)
