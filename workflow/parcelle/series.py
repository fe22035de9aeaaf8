"""The series of a window: values and validity of all acquisitions of one sensor, as they lie in the files.

Bands stay at their own pixel size until a row of them is needed: memory and time are those of the pixels there are.
"""

import datetime
import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import lcm

import numpy as np
from rasterio.windows import Window

from parcelle import decoding, resample
from parcelle.acquisitions import ordered
from parcelle.errors import InputError
from parcelle.features import Recipe
from parcelle.grid import Grid
from parcelle.images import Images
from parcelle.sensors import Acquisition, Mask


@dataclass(frozen=True)
class Group:
    """Bands of one pixel size.

    Attributes:
        bands: Their places among the bands in use.
        factor: Pixels of the tile along a side of one of theirs.
        size: Rows and columns of their images.
        method: How they are interpolated.

    """

    bands: tuple[int, ...]
    factor: int
    size: tuple[int, int]
    method: str

    @property
    def margin(self) -> int:
        """Coarse pixels around a window that have a say in it."""
        return resample.MARGIN[self.method] if self.factor > 1 else 0

    def under(self, window: Window, margin: int = 0) -> Window:
        """Coarse pixels under a window of the tile, and around it."""
        top = max(window.row_off // self.factor - margin, 0)
        left = max(window.col_off // self.factor - margin, 0)
        bottom = min(-(-(window.row_off + window.height) // self.factor) + margin, self.size[0])
        right = min(-(-(window.col_off + window.width) // self.factor) + margin, self.size[1])
        return Window(left, top, right - left, bottom - top)

    def above(self, part: Window) -> Window:
        """Pixels of the tile above some coarse ones; at its border, some beyond."""
        f = self.factor
        return Window(part.col_off * f, part.row_off * f, part.width * f, part.height * f)


class Scattered:
    """Some pixels are asked for: only the blocks of the files that hold them are read."""

    def __init__(self, rows: np.ndarray, columns: np.ndarray):
        """Rows and columns of the tile ``(pixel,)``."""
        self.rows, self.columns = rows, columns
        self._known: dict[tuple[Group, tuple[int, int], tuple[int, ...]], list[Window]] = {}

    def near(self, window: Window, reach: int) -> "Scattered":
        """Those in a window, or at most so many pixels beside it."""
        rows, columns = self.rows - window.row_off + reach, self.columns - window.col_off + reach
        down = (rows >= 0) & (rows < window.height + 2 * reach)
        across = (columns >= 0) & (columns < window.width + 2 * reach)
        return Scattered(self.rows[down & across], self.columns[down & across])

    def within(self, window: Window) -> np.ndarray:
        """Which pixels of a window are asked for ``(row, column)`` bool."""
        inside, asked = self.near(window, 0), np.zeros((window.height, window.width), bool)
        asked[inside.rows - window.row_off, inside.columns - window.col_off] = True
        return asked

    def parts(self, group: Group, block: tuple[int, int], area: Window) -> list[Window]:
        """What the blocks of an image that have a say in an area of it have in common with the area."""
        key = group, block, (area.row_off, area.col_off, area.height, area.width)
        if key not in self._known:
            height, width = block
            blocks = (Window(c * width, r * height, width, height) for r, c in self._blocks(group, block, area))
            self._known[key] = [_common(one, area) for one in blocks]
        return self._known[key]

    def _blocks(self, group: Group, block: tuple[int, int], area: Window) -> list[list[int]]:
        """Row and column of the blocks with coarse pixels in an area that have a say."""
        rows, down = resample.taps_of(self.rows, group.factor, group.size[0], group.method)
        columns, across = resample.taps_of(self.columns, group.factor, group.size[1], group.method)
        down *= (rows >= area.row_off) & (rows < area.row_off + area.height)
        across *= (columns >= area.col_off) & (columns < area.col_off + area.width)
        hold = np.zeros((-(-group.size[0] // block[0]), -(-group.size[1] // block[1])), bool)
        for i, j in itertools.product(range(rows.shape[1]), range(columns.shape[1])):
            say = down[:, i] * across[:, j] != 0
            hold[rows[say, i] // block[0], columns[say, j] // block[1]] = True
        return np.argwhere(hold).tolist()


@dataclass
class Series:
    """Values of a window.

    Attributes:
        window: Pixels of the tile that it is for.
        fresh: Pixels of the tile whose files are read for it; what else it needs is known from windows before.
        boxes: Of each group, the part of the images that is held.
        values: Of each group ``(acquisition, band, row, column)``: int16 reflectance × 10,000, or float32 dB or K.
        clear: What masks say of the window and of `fresh` ``(acquisition, row, column)`` bool.
        known: Whether all values above, and to the left of `fresh` are known ``(acquisition, 2)`` bool.
        read: Acquisitions whose bands were read, since not all was masked ``(acquisition,)`` bool.
        flawed: Acquisitions with values in `fresh` that are not observed ``(acquisition,)`` bool.
        suspect: Acquisitions with such values around it ``(acquisition,)`` bool.
        wanted: Pixels that are asked for, in `fresh` and around it; all if None.

    """

    window: Window
    fresh: Window
    boxes: list[Window]
    values: list[np.ndarray]
    clear: np.ndarray
    known: np.ndarray
    read: np.ndarray
    flawed: np.ndarray
    suspect: np.ndarray
    wanted: Scattered | None = None

    @property
    def valid(self) -> np.ndarray:
        """Pixels of the window that are observed and clear in all bands ``(acquisition, row, column)`` bool."""
        return self.clear[:, : self.window.height, : self.window.width]

    def parts(self, place: int, group: Group, block: tuple[int, int], box: Window) -> Sequence[Window]:
        """Parts of an image to read of what is held of it: what is fresh, and what is not known around it."""
        (above, left), fresh = self.known[place], group.under(self.fresh)
        # What is known to the left reaches up as far as the box.
        top = fresh.row_off if above and left else box.row_off
        start = fresh.col_off if left else box.col_off
        area = Window(start, top, box.col_off + box.width - start, box.row_off + box.height - top)
        return self.wanted.parts(group, block, area) if self.wanted else [area]


class Sensor:
    """What is read of a tile for one sensor.

    Attributes:
        recipe: How its features are made.
        acquisitions: Ordered by time.
        dates: Days, ascending; acquisitions of one day are one date.
        groups: Its bands by pixel size.

    """

    def __init__(self, acquisitions: Sequence[Acquisition], recipe: Recipe, grid: Grid, images: Images):
        """Read the headers.

        Raises:
            InputError: An image cannot be read, or does not nest with the grid.

        """
        self.recipe, self.acquisitions = recipe, ordered(acquisitions)
        self.dates = dates_of(acquisitions)
        self._grid, self._images = grid, images
        self.groups = self._groups()

    @cached_property
    def days(self) -> np.ndarray:
        """Dates as day numbers ``(date,)`` int32."""
        return np.array([d.toordinal() for d in self.dates], np.int32)

    @cached_property
    def starts(self) -> np.ndarray:
        """Place of the first acquisition of each date ``(date,)``."""
        return np.searchsorted([a.date.toordinal() for a in self.acquisitions], self.days)

    def blocks(self) -> list[tuple[int, int]]:
        """Rows and columns of the tile under a block of the files of the first acquisition; 0 columns: all of them."""
        found = []
        for path in self._paths():
            header = self._images.header(path)
            factor, (height, width) = self._factor(path), header.block
            found.append((height * factor, 0 if width >= header.grid.width else width * factor))
        return found

    def multiple(self) -> int:
        """Pixels of the tile that windows have to be multiples of, so that none cuts a coarse pixel."""
        return lcm(*(self._factor(path) for path in self._paths()))

    def read(self, place: int, series: Series) -> None:
        """Read an acquisition: its masks, and its bands unless all is masked.

        Args:
            place: Its place among `acquisitions`.
            series: Where to put it; other threads may read others.

        Raises:
            InputError: An image cannot be read.

        """
        clear = series.clear[place]
        self._read_masks(place, series, clear)
        series.read[place] = clear.any()
        if not series.read[place]:
            return
        complete = [self._read_group(place, i, series) for i in range(len(self.groups))]
        series.flawed[place] = not all(complete)
        if series.flawed[place] or series.suspect[place]:
            self._clear_flaws(place, series)

    def _clear_flaws(self, place: int, series: Series) -> None:
        """Take from the valid pixels those with a value that is not observed, or made of one that is not."""
        valid, window = series.valid[place], series.window
        for group, box, values in zip(self.groups, series.boxes, series.values, strict=True):
            good = decoding.observed(values[place])
            if group.factor == 1:
                top, left = window.row_off - box.row_off, window.col_off - box.col_off
                valid &= good[top : top + window.height, left : left + window.width]
            else:
                rows = resample.taps(window.row_off, window.height, group.factor, group.size[0], group.method)
                columns = resample.taps(window.col_off, window.width, group.factor, group.size[1], group.method)
                valid &= resample.all_valid(good, rows, columns, (box.row_off, box.col_off))

    def _paths(self) -> set[str]:
        """Files of the first acquisition."""
        first = self.acquisitions[0]
        return {*(first.assets[band].path for band in self.recipe.bands), *(mask.path for mask in first.masks)}

    def _groups(self) -> tuple[Group, ...]:
        """Bands by pixel size.

        Raises:
            InputError: A band has several: the acquisitions are not of one product.

        """
        found: dict[tuple[int, tuple[int, int]], list[int]] = defaultdict(list)
        for i, band in enumerate(self.recipe.bands):
            kinds = {self._kind(a.assets[band].path): a.assets[band].path for a in self.acquisitions}
            if len(kinds) > 1:
                first, second, *_ = kinds.values()
                raise InputError(f"band {band} has pixels of one size in {first}, of another in {second}.")
            found[next(iter(kinds))].append(i)
        return tuple(Group(tuple(b), f, size, self.recipe.resampling) for (f, size), b in found.items())

    def _kind(self, path: str) -> tuple[int, tuple[int, int]]:
        grid = self._images.header(path).grid
        return self._factor(path), (grid.height, grid.width)

    def _factor(self, path: str) -> int:
        grid = self._images.header(path).grid
        factor = grid.nest(self._grid)
        if factor is None:
            raise InputError(f"{path} is on the grid {grid}, which does not nest with the tile's: {self._grid}.")
        return factor

    def _read_masks(self, place: int, series: Series, clear: np.ndarray) -> None:
        """Write what the masks say of the fresh pixels."""
        fresh = series.fresh
        top, left = clear.shape[0] - fresh.height, clear.shape[1] - fresh.width
        target = clear[top:, left:]
        target[:] = series.wanted.within(fresh) if series.wanted else True
        for mask in self.acquisitions[place].masks:
            self._read_mask(place, mask, series, target)

    def _read_mask(self, place: int, mask: Mask, series: Series, target: np.ndarray) -> None:
        """Take from the fresh pixels ``(row, column)`` those that a mask calls invalid, by nearest."""
        header, factor = self._images.header(mask.path), self._factor(mask.path)
        group = Group((), factor, (header.grid.height, header.grid.width), "nearest")
        for part in series.parts(place, group, header.block, group.under(series.fresh)):
            flags = self._images.read(mask.path, [mask.band], part)[0]
            above = _common(group.above(part), series.fresh)
            clear = decoding.nearest(decoding.clear(flags, mask), factor, (part.row_off, part.col_off), above)
            target[_within(above, series.fresh)] &= clear

    def _read_group(self, place: int, i: int, series: Series) -> bool:
        """Read the bands of one pixel size; whether all of what was read is observed."""
        group, box, values = self.groups[i], series.boxes[i], series.values[i][place]
        acquisition, complete = self.acquisitions[place], True
        for path, bands in _by_file(acquisition, [self.recipe.bands[k] for k in group.bands]).items():
            assets = [acquisition.assets[self.recipe.bands[group.bands[k]]] for k in bands]
            for part in series.parts(place, group, self._images.header(path).block, box):
                rows, columns = _within(part, box)
                straight = values[bands[0] : bands[0] + 1, rows, columns]
                raw = self._images.read(path, [asset.band for asset in assets], part, straight)
                for band, asset, k in zip(raw, assets, bands, strict=True):
                    complete &= decoding.store(band, asset, values[k], rows.start, columns.start)
        return complete


def dates_of(acquisitions: Iterable[Acquisition]) -> tuple[datetime.date, ...]:
    """Days with at least one acquisition, ascending."""
    return tuple(sorted({a.date for a in acquisitions}))


def _by_file(acquisition: Acquisition, bands: Sequence[str]) -> dict[str, list[int]]:
    """Places in `bands` of what each file holds, so that a block with several bands is decoded once."""
    files: dict[str, list[int]] = defaultdict(list)
    for i, band in enumerate(bands):
        files[acquisition.assets[band].path].append(i)
    return files


def _common(first: Window, second: Window) -> Window:
    """Pixels that lie in both of two windows."""
    top, left = max(first.row_off, second.row_off), max(first.col_off, second.col_off)
    bottom = min(first.row_off + first.height, second.row_off + second.height)
    right = min(first.col_off + first.width, second.col_off + second.width)
    return Window(left, top, right - left, bottom - top)


def _within(part: Window, box: Window) -> tuple[slice, slice]:
    """Rows and columns of a part in an array that holds a box."""
    row, column = part.row_off - box.row_off, part.col_off - box.col_off
    return slice(row, row + part.height), slice(column, column + part.width)
