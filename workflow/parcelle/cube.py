"""What models see of a window: the features of its pixels, and which pixels have enough dates.

Sampling and mapping both go through here, so that a pixel has the same features in both, bit for bit. Features are made
row by row, plane by plane, in memory that stays in the processor's cache; a window's features are never all there.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import lcm

import numpy as np
import rasterio
from rasterio.windows import Window

from parcelle import features, strips
from parcelle.acquisitions import Inventory
from parcelle.blocks import Functions
from parcelle.errors import InputError
from parcelle.features import Source
from parcelle.images import GDAL, Images
from parcelle.planes import Planes
from parcelle.series import Scattered, Sensor, Series
from parcelle.strips import Memory, Step

# Most pixels of a row whose features are made at a time.
CHUNK = 1024

# Fewest coarse pixels along a side of a window: more than what it leaves to its neighbours.
LEAST = 8


class Tile:
    """What is read of a tile.

    Attributes:
        inventory: Grid and acquisitions.
        sensors: One per recipe.
        min_valid: Fewest valid dates of a pixel, in every sensor.
        names: Names of the features.
        features: Their number.
        dtype: Their type.
        functions: External functions that give the last of them.

    """

    def __init__(self, inventory: Inventory, sources: Sequence[Source], min_valid: int, images: Images):
        """Read the headers.

        Raises:
            InputError: An image cannot be read.
            SettingsError: An external function cannot be imported.

        """
        self.inventory, self.min_valid = inventory, min_valid
        with rasterio.Env(**GDAL):
            recipes = features.of_sensors(sources)
            self.sensors = tuple(Sensor(inventory.of(r.sensor), r, inventory.grid, images) for r in recipes)
        self.names, self.dtype = features.names(sources), features.dtype_of(sources)
        self.features = len(self.names)
        self.functions = Functions(features.externals(sources), inventory.grid)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.inventory.grid.height, self.inventory.grid.width

    @property
    def back(self) -> int:
        """Pixels that a window is mapped up and to the left of what is read."""
        return max(group.margin * group.factor for sensor in self.sensors for group in sensor.groups)

    def enough(self, counts: Sequence[np.ndarray]) -> np.ndarray:
        """Whether pixels have enough valid dates in every sensor, from their numbers; of no date, one is enough."""
        least = (1 if sensor.recipe.static else self.min_valid for sensor in self.sensors)
        return np.logical_and.reduce([count >= number for count, number in zip(counts, least, strict=True)])

    def windows(self, size: int) -> list[Window]:
        """Windows of about `size` × `size` pixels that are multiples of the files' blocks.

        Files of strips are read in full width; blocks that are larger than `size` are not looked at.
        """
        rows, columns = self.shape
        blocks = [block for sensor in self.sensors for block in sensor.blocks()]
        coarsest = lcm(*(sensor.multiple() for sensor in self.sensors))
        least = max(LEAST, -(-4 * self.back // coarsest)) * coarsest
        width = columns
        if all(block_width for _, block_width in blocks):
            width = min(_multiple({block_width for _, block_width in blocks}, least, size), columns)
        height = min(_multiple({height for height, _ in blocks}, least, size * size // width), rows)
        return [
            Window(column, row, min(width, columns - column), min(height, rows - row))
            for row in range(0, rows, height)
            for column in range(0, columns, width)
        ]

    def alone(
        self, window: Window, largest: tuple[int, int], memory: Memory, wanted: Scattered | None = None
    ) -> "Cube":
        """Make room for a window that is read by itself; none has more rows and columns than `largest`."""
        series = tuple(strips.alone(sensor, window, largest, self.shape, memory, wanted) for sensor in self.sensors)
        jobs = [
            functools.partial(sensor.read, i, one)
            for sensor, one in zip(self.sensors, series, strict=True)
            for i in range(len(sensor.acquisitions))
        ]
        return Cube(self, window, series, tuple(jobs))


def _multiple(blocks: set[int], least: int, most: int) -> int:
    """Largest multiple of `least` and of the blocks that is at most `most`, without blocks that make it larger."""
    step = least
    for block in sorted(blocks):
        if lcm(step, block) <= most:
            step = lcm(step, block)
    return max(most // step, 1) * step


class Walk:
    """The windows of a tile, one after the other. Two are in memory at a time: one is read, one is mapped.

    Attributes:
        steps: The windows, in order.
        left_out: What no window of `steps` holds, since nothing of it is asked for.

    """

    def __init__(self, tile: Tile, size: int, near: Callable[[Window], bool] | None = None):
        """Walk by windows of about `size` × `size` pixels.

        Args:
            tile: The tile.
            size: Side of a window.
            near: Whether any pixel of a window is asked for; of other windows nothing is read. All are if None.

        """
        self._back = back = tile.back
        self._tile = tile
        every = strips.steps(tile.windows(size), tile.shape, back)
        # What a pixel is made of may lie in the next window, twice as far as windows are shifted at most.
        self.steps = [step for step in every if near is None or near(_around(step.fresh, 2 * back))]
        kept = set(self.steps)
        self.left_out = [step.window for step in every if step not in kept]
        self._walks = [strips.Walk(sensor, tile.shape, self.steps, back) for sensor in tile.sensors]
        self._memories = itertools.cycle((Memory(), Memory()))

    def begin(self, step: Step, wanted: Scattered | None = None) -> "Cube":
        """Make room for a window; the one before is read, and the one before that is no longer needed.

        Args:
            step: The window.
            wanted: Pixels of the tile that are asked for, the same for every window; all if None.

        """
        memory, near = next(self._memories), wanted and wanted.near(step.fresh, self._back)
        series, jobs = zip(*(walk.begin(step, memory, near) for walk in self._walks), strict=True)
        return Cube(self._tile, step.window, series, tuple(itertools.chain(*jobs)))


def _around(window: Window, pixels: int) -> Window:
    """A window with so many pixels more on each side."""
    return Window(
        window.col_off - pixels, window.row_off - pixels, window.width + 2 * pixels, window.height + 2 * pixels
    )


@dataclass(frozen=True)
class Valid:
    """What is valid in some rows.

    Attributes:
        validity: Number of valid optical dates ``(row, column)`` uint16; of all dates where no sensor is optical.
        enough: Whether every sensor has at least `min_valid` valid dates ``(row, column)`` bool.
        clear: Per sensor, number of valid pixels of each date ``(date,)`` int64, of those that are counted.

    """

    validity: np.ndarray
    enough: np.ndarray
    clear: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Cube:
    """A window of a tile.

    Attributes:
        tile: The tile.
        window: The window.
        series: Those of its sensors.
        reading: Jobs that read it, one per acquisition; any thread may do any of them.

    """

    tile: Tile
    window: Window
    series: tuple[Series, ...]
    reading: tuple[Callable[[], None], ...]

    def valid(self, rows: slice, counted: np.ndarray | None = None) -> Valid:
        """Count valid dates of some rows of the window; clear pixels those of `counted` ``(row, column)`` only."""
        seen = [_seen(sensor, s.valid[:, rows]) for sensor, s in zip(self.tile.sensors, self.series, strict=True)]
        counts = [s.sum(axis=0, dtype=np.uint16) for s in seen]
        optical = [c for c, sensor in zip(counts, self.tile.sensors, strict=True) if sensor.recipe.optical]
        whole = counted is None or counted.all()
        return Valid(
            np.asarray(np.sum(optical or counts, axis=0, dtype=np.uint16)),
            self.tile.enough(counts),
            tuple(np.count_nonzero(s if whole else s & counted, axis=(1, 2)).astype(np.int64) for s in seen),
        )

    def enough_at(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Whether pixels of the tile, which lie in the window, have enough valid dates ``(pixel,)`` bool."""
        rows, columns = rows - self.window.row_off, columns - self.window.col_off
        counts = [
            _seen(sensor, s.valid[:, rows, columns]).sum(axis=0)
            for sensor, s in zip(self.tile.sensors, self.series, strict=True)
        ]
        return self.tile.enough(counts)


def _seen(sensor: Sensor, valid: np.ndarray) -> np.ndarray:
    """Validity of dates, from that of acquisitions ``(acquisition, …)``: any of those of a day."""
    if len(sensor.dates) == len(valid):
        return valid
    return np.logical_or.reduceat(valid, sensor.starts, axis=0)


class Maker:
    """Makes the features of one row after the other; for one thread, whose memory it keeps."""

    def __init__(self, tile: Tile):
        self._tile = tile
        self._parts = [Planes(sensor, tile.dtype) for sensor in tile.sensors]
        self._planes: np.ndarray = np.empty((0, 0), tile.dtype)

    def rows(self, cube: Cube, first: int, needed: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
        """Features of some rows of a window, in full width.

        Args:
            cube: The window.
            first: First row of the window.
            needed: Pixels whose features must be numbers ``(row, column)`` bool; where there are none, nothing is made.

        Yields:
            Row in `needed`, first column, and what `features` gives of some pixels from there on.

        """
        width = needed.shape[1]
        size = -(-width // -(-width // CHUNK))
        for start in range(0, width, size):
            part = needed[:, start : start + size]
            outside = self._outside(cube, first, start, part)
            for row in np.flatnonzero(part.any(axis=1)).tolist():
                yield row, start, self._row(cube, first + row, start, part[row], outside[:, row])

    def features(self, cube: Cube, row: int, start: int, count: int, needed: np.ndarray | None = None) -> np.ndarray:
        """Features of some pixels of a row.

        Args:
            cube: The window.
            row: Row of the window.
            start: First column of the window.
            count: Number of pixels.
            needed: Pixels whose features must be numbers ``(pixel,)`` bool; all if None.

        Returns:
            ``(feature, pixel)`` int16 or float32, in the order of the sources; overwritten by the next call.

        Raises:
            InputError: An expression, or an external function, gives a value that is not finite.

        """
        if needed is None:
            needed = np.ones(count, bool)
        return self._row(cube, row, start, needed, self._outside(cube, row, start, needed[None])[:, 0])

    def _outside(self, cube: Cube, row: int, start: int, needed: np.ndarray) -> np.ndarray:
        """External features of some pixels ``(feature, row, column)``."""
        return self._tile.functions.features(self._parts, cube.series, row, start, needed)

    def _row(self, cube: Cube, row: int, start: int, needed: np.ndarray, outside: np.ndarray) -> np.ndarray:
        """Features of some pixels of a row; the external ones are there already ``(feature, pixel)``."""
        if self._planes.shape[1] != len(needed):
            self._planes = np.empty((self._tile.features, len(needed)), self._tile.dtype)
        first = 0
        for part, series in zip(self._parts, cube.series, strict=True):
            last = first + part.count
            if part.count:
                part.make(series, row, start, self._planes[first:last], needed)
            first = last
        self._planes[first:] = outside
        return self._planes


def read(inventory: Inventory, sources: Sequence[Source], window: Window, min_valid: int) -> "Whole":
    """Read a window at once, on this thread: for a look at a small one.

    Raises:
        InputError: An image cannot be read.

    """
    with rasterio.Env(**GDAL), Images() as images:
        tile = Tile(inventory, sources, min_valid, images)
        cube = tile.alone(window, (window.height, window.width), Memory())
        for job in cube.reading:
            job()
        return Whole(cube)


class Whole:
    """A window that was read; its attributes are those of `Valid`, of all rows."""

    def __init__(self, cube: Cube):
        self._cube, self._maker = cube, Maker(cube.tile)
        valid = cube.valid(slice(None))
        self.validity, self.enough, self.clear = valid.validity, valid.enough, valid.clear

    def features(self) -> np.ndarray:
        """Features of all pixels ``(row, column, feature)``; those of pixels without a valid date mean nothing."""
        window = self._cube.window
        made = np.empty((window.height, window.width, self._cube.tile.features), self._cube.tile.dtype)
        for row in range(window.height):
            made[row] = self._maker.features(self._cube, row, 0, window.width, self.enough[row]).T
        return made


def check_features(found: Sequence[str], expected: Sequence[str], where: str) -> None:
    """Refuse features that are not those a model or a table was made of.

    Raises:
        InputError: Names the first difference.

    """
    if list(found) == list(expected):
        return
    pairs = zip(found, expected, strict=False)
    i = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(found), len(expected)))
    a, b = (names[i] if i < len(names) else "nothing" for names in (found, expected))
    raise InputError(
        f"{where}: feature {i + 1} is {a}, where {b} is expected ({len(found)} features, {len(expected)} expected). "
        "Train again with these settings, or go back to those of the model."
    )
