"""Reduce the speckle of radar images: on linear power, row by row, from the valid pixels around each.

Sums are those of a pixel's own neighbourhood, always added up in the same order, from zero: a running sum would depend
on where a window begins.
"""

from typing import TYPE_CHECKING

import numpy as np

from parcelle.kernels import compiled_once, kernel

if TYPE_CHECKING:
    from parcelle.features import Recipe
    from parcelle.resample import Rows
    from parcelle.series import Group, Series

# Equivalent number of looks of Sentinel-1 IW GRD at high resolution (Sentinel-1 Product Definition, MPC-0239).
LOOKS = 4.4


class Filter:
    """Filters the bands of one pixel size; for one thread, whose memory it keeps.

    `lee` is Lee (1980), for each image by itself. With the mean m and the variance v of the power in a square, and
    s = 1 / `LOOKS` the variance of speckle: m + k (I − m), where k = (v − s m²) / (v + s² m²), and at least 0.

    `quegan` is Quegan & Yu (2001) for uncorrelated images: E_k / N × Σ I_i / E_i over the N images that are valid at
    the pixel, with E_i the mean of image i in the square.
    """

    def __init__(self, recipe: "Recipe", group: "Group", rows: "Rows", layers: int):
        """Prepare for a group of bands of so many acquisitions; `rows` interpolates them, where they are coarse."""
        self._filter = _lee if recipe.speckle == "lee" else _quegan
        self._window, self._factor = recipe.speckle_window, group.factor
        self._rows, self._bands = rows, len(group.bands)
        self._made: np.ndarray = np.empty((layers, self._bands, 1, 0), np.float32)
        # Interpolated rows, each at the place of its number modulo the window; and what they were made of.
        self._kept: np.ndarray = np.empty((layers, self._bands, self._window, 0), np.float32)
        self._held: np.ndarray = np.full(self._window, -1)
        self._series: Series | None = None
        self._columns = 0, 0

    def read(self, series: "Series", i: int, row: int, column: int, count: int, wanted: np.ndarray) -> np.ndarray:
        """Filter some pixels of a row of the tile.

        Args:
            series: Its values are linear power. What lies around the pixels must be held.
            i: Place of the group.
            row: Row of the tile.
            column: First column of the tile.
            count: Number of pixels.
            wanted: Acquisitions with a valid pixel among them ``(acquisition,)`` bool.

        Returns:
            dB ``(acquisition, band, 1, pixel)``, where pixels are valid; overwritten by the next call.

        """
        half, around, held = self._window // 2, series.around, series.held
        rows = range(max(row - half, around.row_off), min(row + half + 1, around.row_off + around.height))
        start = max(column - half, around.col_off)
        stop = min(column + count + half, around.col_off + around.width)
        values, lines, left = self._lines(series, i, rows, start, stop)
        if self._made.shape[3] != count:
            self._made = np.empty((*self._made.shape[:3], count), np.float32)
        place = rows.start - held.row_off, start - held.col_off
        centre = row - rows.start, column - start
        _ready()
        self._filter(values, lines, left, series.clear, *place, stop - start, *centre, half, wanted, self._made)
        return self._made

    def _lines(
        self, series: "Series", i: int, rows: range, start: int, stop: int
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Values that hold some rows of the tile, the places of the rows in them, and of the column `start`."""
        values, box = series.values[i], series.boxes[i]
        if self._factor == 1:
            return values, np.array(rows) - box.row_off, start - box.col_off
        if self._series is not series or self._columns != (start, stop):
            self._series, self._columns = series, (start, stop)
            self._held[:] = -1
        for row in rows:
            if self._held[row % self._window] != row:
                origin = box.row_off, box.col_off
                self._keep(row, self._rows.read(values, series.read, origin, row, start, stop - start))
        return self._kept, np.array(rows) % self._window, start % self._factor

    def _keep(self, row: int, line: np.ndarray) -> None:
        """Keep an interpolated row ``(acquisition, band, 1, column)`` for the rows below."""
        if self._kept.shape[3] != line.shape[3]:
            self._kept = np.empty((*self._kept.shape[:3], line.shape[3]), np.float32)
        self._kept[:, :, row % self._window] = line[:, :, 0]
        self._held[row % self._window] = row


@kernel
def _lee(values, lines, left, clear, top, first, width, centre, own, half, wanted, made):  # type: ignore[no-untyped-def]
    """Filter each image by itself.

    `lines` are places in `values` of the rows around, and `left` of the first column; `top` and `first` are their
    places in `clear`; `width` columns are there. The pixels begin at the row `centre` and the column `own` of these.
    """
    count, speckle = made.shape[3], 1.0 / LOOKS
    # Beyond the image: 0, which changes no sum.
    columns, number, mean, square = np.zeros(count + 2 * half), np.empty(count), np.empty(count), np.empty(count)
    part = columns[half - own : half - own + width]
    for d in np.flatnonzero(wanted):
        _count(clear[d], top, len(lines), first, part)
        _across(columns, number)
        for b in range(values.shape[1]):
            line, out = values[d, b, lines[centre]][left + own : left + own + count], made[d, b, 0]
            _down(values[d, b], lines, left, clear[d], top, first, False, part)
            _across(columns, mean)
            _down(values[d, b], lines, left, clear[d], top, first, True, part)
            _across(columns, square)
            for i in range(count):
                # NumPy's division: that of Python would ask each time whether it is by 0, where nothing is valid.
                m = np.divide(mean[i], number[i])
                v = np.divide(square[i], number[i]) - m * m
                gain = max(np.divide(v - speckle * m * m, v + speckle * speckle * m * m), 0.0)
                out[i] = m + gain * (np.float64(line[i]) - m)
            _decibels(out)


@kernel
def _quegan(values, lines, left, clear, top, first, width, centre, own, half, wanted, made):  # type: ignore[no-untyped-def]
    """Filter all images together; arguments as those of `_lee`."""
    bands, count = values.shape[1], made.shape[3]
    columns, number, mean = np.zeros(count + 2 * half), np.empty(count), np.empty(count)
    part = columns[half - own : half - own + width]
    ratio, images = np.zeros((bands, count)), np.zeros(count)
    for d in np.flatnonzero(wanted):
        good = clear[d, top + centre][first + own : first + own + count]
        _count(clear[d], top, len(lines), first, part)
        _across(columns, number)
        for i in range(count):
            images[i] += 1.0 if good[i] else 0.0
        for b in range(bands):
            line, out, total = values[d, b, lines[centre]][left + own : left + own + count], made[d, b, 0], ratio[b]
            _down(values[d, b], lines, left, clear[d], top, first, False, part)
            _across(columns, mean)
            for i in range(count):
                m = np.divide(mean[i], number[i])
                out[i] = m
                total[i] += np.divide(np.float64(line[i]), m) if good[i] else 0.0
    for d in np.flatnonzero(wanted):
        for b in range(bands):
            _scale(made[d, b, 0], ratio[b], images)
            _decibels(made[d, b, 0])


@kernel
def _count(clear, top, rows, first, columns):  # type: ignore[no-untyped-def]
    """Number of valid pixels in each column."""
    columns[:] = 0.0
    for k in range(top, top + rows):
        good = clear[k][first : first + len(columns)]
        for i in range(len(columns)):
            columns[i] += 1.0 if good[i] else 0.0


@kernel
def _down(image, lines, left, clear, top, first, squared, columns):  # type: ignore[no-untyped-def]
    """Sum of the valid pixels in each column, or of their squares, from top to bottom."""
    columns[:] = 0.0
    for k in range(len(lines)):
        line = image[lines[k]][left : left + len(columns)]
        good = clear[top + k][first : first + len(columns)]
        if squared:
            for i in range(len(columns)):
                value = np.float64(line[i])
                columns[i] += value * value if good[i] else 0.0
        else:
            for i in range(len(columns)):
                columns[i] += np.float64(line[i]) if good[i] else 0.0


@kernel
def _across(columns, total):  # type: ignore[no-untyped-def]
    """Sum of the columns around each pixel, from left to right."""
    total[:] = 0.0
    for k in range(len(columns) - len(total) + 1):
        part = columns[k : k + len(total)]
        for i in range(len(total)):
            total[i] += part[i]


@kernel
def _scale(row, factor, number):  # type: ignore[no-untyped-def]
    for i in range(len(row)):
        row[i] = np.float64(row[i]) * np.divide(factor[i], number[i])


@kernel
def _decibels(row):  # type: ignore[no-untyped-def]
    for i in range(len(row)):
        row[i] = 10 * np.log10(np.float64(row[i]))


@compiled_once
def _ready() -> None:
    """Compile."""
    values, clear, made = np.ones((1, 1, 1, 1), np.float32), np.ones((1, 1, 1), bool), np.empty((1, 1, 1, 1), "f4")
    for one in (_lee, _quegan):
        one(values, np.zeros(1, int), 0, clear, 0, 0, 1, 0, 0, 1, np.ones(1, bool), made)
