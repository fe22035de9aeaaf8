"""What windows leave to their neighbours, so that no block of a file is decoded twice.

A pixel at the border of a 20 m block is interpolated with one of the next block. Were every window read with a margin,
nine blocks would be decoded for one. So each window is mapped a little up and to the left of what is read for it, and
keeps its last rows and columns for the windows below and to the right.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from rasterio.windows import Window

from parcelle.series import Group, Scattered, Sensor, Series


@dataclass
class Memory:
    """Memory for the series of a window, used for one after the other: new memory costs as much as reading."""

    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def take(self, name: str, shape: tuple[int, ...], dtype: type, most: int) -> np.ndarray:
        """Give an array, of at most `most` values; what it held before is still there."""
        if name not in self.arrays:
            self.arrays[name] = np.zeros(most, dtype)
        return self.arrays[name][: int(np.prod(shape))].reshape(shape)


@dataclass(frozen=True)
class Step:
    """A window that is mapped, and the pixels whose files are read for it; where it lies among all windows."""

    window: Window
    fresh: Window
    row: int
    column: int


def steps(windows: Sequence[Window], shape: tuple[int, int], back: int) -> list[Step]:
    """Windows that are mapped when files are read by `windows`, which cover a grid row by row.

    Args:
        windows: What is read.
        shape: Rows and columns of the grid.
        back: Pixels that a window is mapped up and to the left of what is read.

    """
    tops = sorted({w.row_off for w in windows})
    lefts = sorted({w.col_off for w in windows})
    return [_step(w, tops.index(w.row_off), lefts.index(w.col_off), shape, back) for w in windows]


def _step(fresh: Window, row: int, column: int, shape: tuple[int, int], back: int) -> Step:
    top, left = max(fresh.row_off - back, 0), max(fresh.col_off - back, 0)
    last_row, last_column = fresh.row_off + fresh.height == shape[0], fresh.col_off + fresh.width == shape[1]
    bottom = fresh.row_off + fresh.height - (0 if last_row else back)
    right = fresh.col_off + fresh.width - (0 if last_column else back)
    return Step(Window(left, top, right - left, bottom - top), fresh, row, column)


class Walk:
    """Series of one sensor, window after window."""

    def __init__(self, sensor: Sensor, shape: tuple[int, int], every: Sequence[Step], back: int):
        """Walk a grid of `shape` by steps; `back` as in `steps`."""
        self._sensor, self._shape, self._back = sensor, shape, back
        self._most = _most(sensor, every, shape)
        self._groups = [*sensor.groups, _masks(sensor, shape)]
        # Memory for the last rows of windows, in full width.
        count, dtype = len(sensor.acquisitions), sensor.recipe.dtype
        shapes = [(count, len(g.bands), self._lines(g), g.size[1]) for g in sensor.groups]
        lines = self._lines(self._groups[-1])
        self._below = [*(np.zeros(s, dtype) for s in shapes), np.zeros((count, lines, shape[1]), bool)]
        self._flags: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}
        self._now: tuple[Step, Series] | None = None

    def begin(
        self, step: Step, memory: Memory, wanted: Scattered | None = None
    ) -> tuple[Series, list[Callable[[], None]]]:
        """Make room for a window, once the one before is read; give its series, and the jobs that read it."""
        before, series = self._now, empty(self._sensor, step, self._shape, memory, self._most, wanted)
        self._flags[step.row, step.column] = series.read, series.flawed
        self._now = step, series
        return series, [functools.partial(self._read, i, step, series, before) for i in range(len(series.clear))]

    def _lines(self, group: Group) -> int:
        """Rows and columns that a window leaves to its neighbours."""
        return -(-self._back // group.factor) + group.margin

    def _read(self, place: int, step: Step, series: Series, before: tuple[Step, Series] | None) -> None:
        """Read one acquisition, after taking what is known of it; each has memory of its own."""
        if before:
            self._keep(place, *before)
            self._take(place, step, series, before[1] if _beside(before[0], step) else None)
        above, left, corner = (self._flags.get((step.row - r, step.column - c)) for r, c in ((1, 0), (0, 1), (1, 1)))
        self._forget(series, place, above is None, left is None)
        series.known[place] = [flags is None or flags[0][place] for flags in (above, left)]
        series.suspect[place] = any(flags is not None and flags[1][place] for flags in (above, left, corner))
        self._sensor.read(place, series)

    def _forget(self, series: Series, place: int, above: bool, left: bool) -> None:
        """Take nothing for clear that lies in windows which were left out: what is held of it is of others."""
        rows, columns = series.fresh.row_off - series.held.row_off, series.fresh.col_off - series.held.col_off
        if above:
            series.clear[place][:rows, columns:] = False
        if left:
            series.clear[place][:, :columns] = False

    def _keep(self, place: int, step: Step, series: Series) -> None:
        """Keep the last rows of a window, for those below."""
        for group, below, (box, array) in zip(self._groups, self._below, _arrays(series), strict=True):
            fresh, rows = group.under(step.fresh), self._lines(group)
            # The last windows may have fewer rows than they would leave; there is no window below them.
            if rows and fresh.height >= rows:
                left = fresh.col_off - box.col_off
                below[place][..., fresh.col_off : fresh.col_off + fresh.width] = array[place][..., -rows:, left:]

    def _take(self, place: int, step: Step, series: Series, before: Series | None) -> None:
        """Fill the rows above what is read, and the columns to the left of it; nobody asks for what is not there."""
        old_arrays = [array for _, array in _arrays(before)] if before else [None] * len(self._groups)
        for group, below, (box, array), old in zip(self._groups, self._below, _arrays(series), old_arrays, strict=True):
            fresh = group.under(step.fresh)
            rows, columns = fresh.row_off - box.row_off, fresh.col_off - box.col_off
            if columns and old is not None:
                array[place][..., :columns] = old[place][..., -columns:]
            if rows:
                last = fresh.col_off + fresh.width
                array[place][..., :rows, columns:] = below[place][..., -rows:, fresh.col_off : last]


def _arrays(series: Series) -> list[tuple[Window, np.ndarray]]:
    """All that is held of a window ``(acquisition, …, row, column)``: values by group, and what the masks say."""
    return [*zip(series.boxes, series.values, strict=True), (series.held, series.clear)]


def _beside(left: Step, right: Step) -> bool:
    """Whether a window is the next one of its row."""
    return left.row == right.row and left.column + 1 == right.column


def _masks(sensor: Sensor, shape: tuple[int, int]) -> Group:
    """What is known of validity: pixels of the tile."""
    return Group((), 1, shape, "nearest", sensor.recipe.reach)


def _boxes(sensor: Sensor, step: Step, shape: tuple[int, int]) -> list[Window]:
    """Of each group, the coarse pixels that are held of a window; last, the pixels of the tile."""
    groups = (*sensor.groups, _masks(sensor, shape))
    return [_joined(g.under(step.window, g.margin), g.under(step.fresh)) for g in groups]


def _most(sensor: Sensor, every: Sequence[Step], shape: tuple[int, int]) -> list[int]:
    """Of each box, the most pixels in any of the windows."""
    sizes = [[box.height * box.width for box in _boxes(sensor, step, shape)] for step in every]
    return [max(of_box) for of_box in zip(*sizes, strict=True)]


def alone(
    sensor: Sensor,
    window: Window,
    largest: tuple[int, int],
    shape: tuple[int, int],
    memory: Memory,
    wanted: Scattered | None,
) -> Series:
    """Make room for a window that is read by itself, with its margin; none has more rows and columns than `largest`."""
    masks = _masks(sensor, shape)
    step = Step(window, masks.under(window, masks.margin), 0, 0)
    reach = 2 * masks.margin
    sides = [[-(-(side + reach) // g.factor) + 2 * g.margin + 1 for side in largest] for g in (*sensor.groups, masks)]
    return empty(sensor, step, shape, memory, [rows * columns for rows, columns in sides], wanted)


def empty(
    sensor: Sensor,
    step: Step,
    shape: tuple[int, int],
    memory: Memory,
    most: list[int],
    wanted: Scattered | None = None,
) -> Series:
    """Make room for the series of a window; nothing around it is known."""
    count, name = len(sensor.acquisitions), sensor.recipe.sensor
    *boxes, held = _boxes(sensor, step, shape)
    values = [
        memory.take(
            f"{name}/{i}",
            (count, len(group.bands), box.height, box.width),
            sensor.recipe.dtype,
            count * len(group.bands) * most[i],
        )
        for i, (group, box) in enumerate(zip(sensor.groups, boxes, strict=True))
    ]
    clear = memory.take(name, (count, held.height, held.width), bool, count * most[-1])
    read, flawed, suspect = (np.zeros(count, bool) for _ in range(3))
    around = _masks(sensor, shape).under(step.window, sensor.recipe.reach)
    known = np.zeros((count, 2), bool)
    return Series(step.window, step.fresh, around, held, boxes, values, clear, known, read, flawed, suspect, wanted)


def _joined(first: Window, second: Window) -> Window:
    """Smallest window around two."""
    top, left = min(first.row_off, second.row_off), min(first.col_off, second.col_off)
    bottom = max(first.row_off + first.height, second.row_off + second.height)
    right = max(first.col_off + first.width, second.col_off + second.width)
    return Window(left, top, right - left, bottom - top)
