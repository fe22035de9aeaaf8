"""Blocks of pixels with a margin around them, on which external functions are called."""

import functools
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from rasterio.windows import Window

from parcelle.errors import InputError
from parcelle.external import External, Refuse, SensorSeries, find, margin_of
from parcelle.features import Recipe
from parcelle.grid import Grid
from parcelle.images import place
from parcelle.series import Sensor, Series, grown

# Fewest rows of a block, where there are that many: a call takes some time by itself.
ROWS = 16


class Part(Protocol):
    """What makes rows of the series of one sensor, in and around a window."""

    sensor: Sensor

    def filled(self, series: Series, row: int, start: int, count: int) -> np.ndarray:
        """Gap-filled values of some pixels of a row ``(date × band, pixel)``."""
        ...

    def observed(self, series: Series, row: int, start: int, count: int) -> np.ndarray:
        """Acquisitions of some pixels of a row ``(acquisition, band, pixel)``; 0 where they are not valid."""
        ...


class Functions:
    """The external functions of a tile, ready to be called; for several threads."""

    def __init__(self, external: Sequence[External], grid: Grid):
        """Import them.

        Raises:
            SettingsError: One cannot be imported.

        """
        self._of, self._grid = [(one, find(one.function)) for one in external], grid
        self.margin = margin_of(external)
        self.count = sum(len(one.features) for one in external)

    def rows(self, least: int) -> int:
        """Rows of a block, at least so many: the larger the margin, the more rows share it."""
        return max(least, ROWS, 2 * self.margin) if self._of else least

    def features(
        self, parts: Sequence[Part], series: Sequence[Series], row: int, start: int, needed: np.ndarray
    ) -> np.ndarray:
        """Call them on a block.

        Args:
            parts: Of each sensor.
            series: Of each sensor, for a window.
            row: First row of the window.
            start: First column of the window.
            needed: Pixels of the block whose features must be finite ``(row, column)`` bool.

        Returns:
            ``(feature, row, column)`` float32.

        Raises:
            InputError: A function fails, or gives what is no number at a pixel that needs one.

        """
        made = np.zeros((self.count, *needed.shape), np.float32)
        if self.count and needed.any():
            window = series[0].window
            inside = Window(window.col_off + start, window.row_off + row, needed.shape[1], needed.shape[0])
            around = grown(inside, self.margin, self._grid)
            seen = {p.sensor.recipe.sensor: _block(p, s, around) for p, s in zip(parts, series, strict=True)}
            self._make(seen, inside, around, needed, made)
        return made

    def _make(
        self,
        seen: Mapping[str, SensorSeries],
        inside: Window,
        around: Window,
        needed: np.ndarray,
        made: np.ndarray,
    ) -> None:
        top, left = inside.row_off - around.row_off, inside.col_off - around.col_off
        first = 0
        for external, function in self._of:
            planes = external.call(function, seen, (around.height, around.width), _refused(external, inside))
            own = made[first : first + len(planes)]
            own[:] = planes[:, top : top + inside.height, left : left + inside.width]
            _refuse_undefined(external, own, needed, inside)
            first += len(planes)


def _block(part: Part, series: Series, around: Window) -> SensorSeries:
    """Make the series of one sensor on a block, which may reach beyond the window, but not beyond its margin."""
    recipe, row, start = part.sensor.recipe, *_from(around, series.window)
    values = np.empty((len(recipe.dates) * len(recipe.bands), around.height, around.width), recipe.dtype)
    for i in range(around.height):
        values[:, i] = part.filled(series, row + i, start, around.width)
    top, left = _from(around, series.held)
    return SensorSeries(
        recipe,
        values.reshape(len(recipe.dates), len(recipe.bands), around.height, around.width),
        [acquisition.date for acquisition in part.sensor.acquisitions],
        series.clear[:, top : top + around.height, left : left + around.width],
        functools.partial(_raw, part, series, around),
    )


def _raw(part: Part, series: Series, around: Window) -> np.ndarray:
    """Acquisitions on a block ``(acquisition, band, row, column)``."""
    recipe, row, start = part.sensor.recipe, *_from(around, series.window)
    shape = len(part.sensor.acquisitions), len(recipe.bands), around.height, around.width
    values: np.ndarray = np.empty(shape, recipe.dtype)
    for i in range(around.height):
        values[:, :, i] = part.observed(series, row + i, start, around.width)
    return values


def _from(area: Window, origin: Window) -> tuple[int, int]:
    """Where an area begins, counted from another one."""
    return area.row_off - origin.row_off, area.col_off - origin.col_off


def _refused(external: External, inside: Window) -> Refuse:
    def error(what: str) -> InputError:
        return InputError(f"external.{external.name}: {external.function} {what} at {place(inside)}")

    return error


def _refuse_undefined(external: External, planes: np.ndarray, needed: np.ndarray, inside: Window) -> None:
    undefined = ~np.isfinite(planes) & needed
    if undefined.any():
        feature, row, column = np.argwhere(undefined)[0]
        value, name = planes[feature, row, column], external.names[feature]
        where = f"row {inside.row_off + row}, column {inside.col_off + column} (window of {place(inside)})"
        raise InputError(
            f"external.{external.name}: {external.function} gives {value} for {name} at {where}: write it so that it "
            "is a finite number at all valid pixels."
        )


def pixel_bytes(recipe: Recipe, size: Mapping[str, float]) -> float:
    """Bytes of one pixel of a block: values, acquisitions and their validity; and as much for what functions make."""
    item = np.dtype(recipe.dtype).itemsize
    filled = len(recipe.dates) * len(recipe.bands) * item
    return 2 * (filled + size["acquisitions"] * (size["bands"] * item + 1))


def memory_mb(
    recipes: Sequence[Recipe], external: Sequence[External], size: Mapping[str, Mapping[str, float]], columns: int
) -> float:
    """Memory of a block of so many columns, with its margin, in MiB; `size` is that of each sensor."""
    if not external:
        return 0
    margin = margin_of(external)
    pixels = (max(ROWS, 2 * margin) + 2 * margin) * (columns + 2 * margin)
    features = 3 * 8 * sum(len(one.features) for one in external)
    return pixels * (features + sum(pixel_bytes(r, size[r.sensor]) for r in recipes)) / 2**20
