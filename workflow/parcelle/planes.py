"""The features of one sensor, row by row: from what is held of a window to regular dates and indices."""

import numpy as np

from parcelle.errors import InputError
from parcelle.gapfill import Neighbours
from parcelle.programs import Program
from parcelle.resample import Rows
from parcelle.series import Sensor, Series
from parcelle.speckle import Filter
from parcelle.temporal import Observations, Smoother


class Planes:
    """Makes the features of one sensor, a row at a time; for one thread, whose memory it keeps."""

    def __init__(self, sensor: Sensor, dtype: type):
        self.sensor, self._recipe = sensor, sensor.recipe
        self.count = len(self._recipe.names)
        self._same = np.dtype(dtype) == np.dtype(self._recipe.dtype)
        self._near = Neighbours(0, 0)
        layers = len(sensor.acquisitions)
        self._rows = [
            Rows(g.factor, g.size, g.method, (layers, len(g.bands)), self._recipe.dtype) for g in sensor.groups
        ]
        self._joined = Observations.of(sensor)
        self._smoother, self._days = Smoother(self._recipe.filling, len(self._recipe.dates)), self._recipe.days
        pairs = zip(sensor.groups, self._rows, strict=True)
        self._filters = [Filter(self._recipe, g, rows, layers) for g, rows in pairs] if self._recipe.power else []
        self._programs = [
            Program.of(e, self._recipe.bands, scale)
            for e, (_, _, scale) in zip(self._recipe.expressions, self._recipe.indices, strict=True)
        ]

    def make(self, series: Series, row: int, start: int, planes: np.ndarray, needed: np.ndarray | None) -> None:
        """Write the features ``(feature, pixel)``."""
        dates, bands, count = len(self._recipe.dates), len(self._recipe.bands), planes.shape[1]
        filled = planes if self._same else np.empty((dates * bands, count), self._recipe.dtype)
        self._fill(series, row, start, filled)
        if not self._same:
            planes[: dates * bands] = filled
        for i, (program, (name, text, _)) in enumerate(zip(self._programs, self._recipe.indices, strict=True)):
            undefined = program.run(planes, 0, dates, bands, dates * (bands + i))
            if (undefined if needed is None else undefined & needed).any():
                raise InputError(
                    f"{self._recipe.sensor}: {text!r} ({name}) is not a finite number at some pixels (logarithm or "
                    "root of a negative value?). Write it so that it is defined everywhere."
                )

    def filled(self, series: Series, row: int, start: int, count: int) -> np.ndarray:
        """Gap-filled values ``(date × band, pixel)`` of some pixels of a row, which may lie in the window's margin."""
        planes: np.ndarray = np.empty((len(self._recipe.dates) * len(self._recipe.bands), count), self._recipe.dtype)
        self._fill(series, row, start, planes)
        return planes

    def observed(self, series: Series, row: int, start: int, count: int) -> np.ndarray:
        """Acquisitions of such pixels ``(acquisition, band, pixel)``; 0 where they are not valid."""
        place = series.window.row_off + row, series.window.col_off + start
        line, first = place[0] - series.held.row_off, place[1] - series.held.col_off
        valid = series.clear[:, line, first : first + count]
        made: np.ndarray = np.empty((len(valid), len(self._recipe.bands), count), self._recipe.dtype)
        for i, group in enumerate(self.sensor.groups):
            values, at = self._observed(series, i, *place, count, np.any(valid, axis=1))
            made[:, list(group.bands)] = values[:, :, at[0], at[1] : at[1] + count]
        return np.where(valid[:, None], made, made.dtype.type(0))

    def _fill(self, series: Series, row: int, start: int, planes: np.ndarray) -> None:
        """Bring all bands to the regular dates."""
        sensor, bands, count = self.sensor, len(self._recipe.bands), planes.shape[1]
        if self._near.shape != (len(self._recipe.dates), count):
            self._near = Neighbours(len(self._recipe.dates), count)
        place = series.window.row_off + row, series.window.col_off + start
        line, first = place[0] - series.held.row_off, place[1] - series.held.col_off
        valid = np.ascontiguousarray(series.clear[:, line, first : first + count])
        wanted = np.asarray(valid.any(axis=1))
        parts = [
            (*self._observed(series, i, *place, count, wanted), np.array(group.bands))
            for i, group in enumerate(sensor.groups)
        ]
        seen, days = valid[:, None], sensor.days
        if self._joined:
            parts, seen, days = self._joined.make(parts, valid), self._joined.seen, self._joined.days
        self._near.find(seen, 0, 0, days, self._days, self._recipe.filling)
        for values, at, places in parts:
            self._near.fill(values, *at, places, planes, bands)
        self._smoother.smooth(planes, bands)

    def _observed(
        self, series: Series, i: int, row: int, column: int, count: int, wanted: np.ndarray
    ) -> tuple[np.ndarray, tuple[int, int]]:
        """Values of one group of bands for some pixels of a row of the tile; without speckle, where that is filtered.

        Returns:
            ``(acquisition, band, row, column)``, and the row and column in it where the pixels begin.

        """
        if self._filters:
            return self._filters[i].read(series, i, row, column, count, wanted), (0, 0)
        group, values, box = self.sensor.groups[i], series.values[i], series.boxes[i]
        if group.factor == 1:
            return values, (row - box.row_off, column - box.col_off)
        origin = box.row_off, box.col_off
        return self._rows[i].read(values, wanted, origin, row, column, count), (0, column % group.factor)
