"""The series of a window: values and validity of all acquisitions of one sensor, as they lie in the files.

Bands stay at their own pixel size until a row of them is needed: memory and time are those of the pixels there are.
"""

import datetime
import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import lcm

import numpy as np
import scipy.ndimage
from rasterio.windows import Window

from parcelle import decoding, resample
from parcelle.acquisitions import ordered
from parcelle.features import Recipe
from parcelle.grid import Grid
from parcelle.images import Images
from parcelle.sensors import Acquisition, Asset, Mask
from parcelle.warp import Warp

# Rows and columns of the parts of a tile that are read of images on other grids, where some pixels are asked for.
WARPED = (128, 128)


@dataclass(frozen=True)
class Group:
    """Bands of one pixel size.

    Attributes:
        bands: Their places among the bands in use.
        factor: Pixels of the tile along a side of one of theirs.
        size: Rows and columns of their images.
        method: How they are interpolated.
        reach: Pixels of the tile around a pixel that later steps look at.
        warped: Whether images lie on other grids, and are brought to the tile's as they are read.

    """

    bands: tuple[int, ...]
    factor: int
    size: tuple[int, int]
    method: str
    reach: int = 0
    warped: bool = False

    @property
    def margin(self) -> int:
        """Coarse pixels around a window that have a say in it."""
        return (resample.MARGIN[self.method] if self.factor > 1 else 0) + -(-self.reach // self.factor)

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

    def within(self, window: Window, reach: int = 0) -> np.ndarray:
        """Which pixels of a window are asked for, or are at most so many rows and columns away from one: bool."""
        inside = self.near(window, reach)
        asked = np.zeros((window.height + 2 * reach, window.width + 2 * reach), bool)
        asked[inside.rows - window.row_off + reach, inside.columns - window.col_off + reach] = True
        asked = scipy.ndimage.maximum_filter(asked, 2 * reach + 1) if reach else asked
        return asked[reach : reach + window.height, reach : reach + window.width]

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
        rows, down = _taps(self.rows, group, group.size[0])
        columns, across = _taps(self.columns, group, group.size[1])
        down *= (rows >= area.row_off) & (rows < area.row_off + area.height)
        across *= (columns >= area.col_off) & (columns < area.col_off + area.width)
        hold = np.zeros((-(-group.size[0] // block[0]), -(-group.size[1] // block[1])), bool)
        for i, j in itertools.product(range(rows.shape[1]), range(columns.shape[1])):
            say = down[:, i] * across[:, j] != 0
            hold[rows[say, i] // block[0], columns[say, j] // block[1]] = True
        return np.argwhere(hold).tolist()


def _taps(fine: np.ndarray, group: Group, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Coarse pixels that have a say in fine ones along one axis, and their weights ``(pixel, tap)``."""
    if group.reach == 0:
        return resample.taps_of(fine, group.factor, size, group.method)
    offsets = np.arange(-group.margin, group.margin + 1)
    found = np.clip((fine // group.factor)[:, None] + offsets, 0, size - 1)
    return found, np.ones(found.shape, np.float32)


@dataclass
class Series:
    """Values of a window.

    Attributes:
        window: Pixels of the tile that it is for.
        fresh: Pixels of the tile whose files are read for it; what else it needs is known from windows before.
        around: Pixels of the tile that have a say in it.
        held: Pixels of the tile that `clear` is of: `around` and `fresh`.
        boxes: Of each group, the part of the images that is held.
        values: Of each group ``(acquisition, band, row, column)``: int16 reflectance × 10,000, or float32 dB or K, or
            linear power where speckle is still to be filtered.
        clear: What masks say of `held` ``(acquisition, row, column)`` bool; of `around`, without what is not observed.
        known: Whether all values above, and to the left of `fresh` are known ``(acquisition, 2)`` bool.
        read: Acquisitions whose bands were read, since not all was masked ``(acquisition,)`` bool.
        flawed: Acquisitions with values in `fresh` that are not observed ``(acquisition,)`` bool.
        suspect: Acquisitions with such values around it ``(acquisition,)`` bool.
        wanted: Pixels that are asked for, in `fresh` and around it; all if None.

    """

    window: Window
    fresh: Window
    around: Window
    held: Window
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
        return self.clear[:, *_within(self.window, self.held)]

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
            InputError: An image cannot be read.

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
        for path, factor in self._factors().items():
            header = self._images.header(path)
            height, width = header.block
            found.append((height * factor, 0 if width >= header.grid.width else width * factor))
        return found

    def multiple(self) -> int:
        """Pixels of the tile that windows have to be multiples of, so that none cuts a coarse pixel."""
        return lcm(*self._factors().values())

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
        area = series.around
        valid = series.clear[place][_within(area, series.held)]
        for group, box, values in zip(self.groups, series.boxes, series.values, strict=True):
            good = decoding.observed(values[place])
            if group.factor == 1:
                valid &= good[_within(area, box)]
            else:
                rows = resample.taps(area.row_off, area.height, group.factor, group.size[0], group.method)
                columns = resample.taps(area.col_off, area.width, group.factor, group.size[1], group.method)
                valid &= resample.all_valid(good, rows, columns, (box.row_off, box.col_off))

    def _factors(self) -> dict[str, int]:
        """Pixels of the tile along a side of a file's, for the files of the first acquisition that nest with it."""
        first = self.acquisitions[0]
        paths = {*(first.assets[band].path for band in self.recipe.bands), *(mask.path for mask in first.masks)}
        found = {path: self._grid_of(path).nest(self._grid) for path in sorted(paths)}
        return {path: factor for path, factor in found.items() if factor}

    def _groups(self) -> tuple[Group, ...]:
        """Bands by pixel size; those whose images do not all have one that nests with the tile's are warped."""
        found: dict[tuple[int, tuple[int, int], bool], list[int]] = defaultdict(list)
        for i, band in enumerate(self.recipe.bands):
            kinds = {self._kind(a.assets[band].path) for a in self.acquisitions}
            factor, size = next(iter(kinds))
            if len(kinds) > 1 or factor is None:
                found[1, (self._grid.height, self._grid.width), True].append(i)
            else:
                found[factor, size, False].append(i)
        method, reach = self.recipe.resampling, self.recipe.reach
        return tuple(Group(tuple(b), f, size, method, reach, warped) for (f, size, warped), b in found.items())

    def _kind(self, path: str) -> tuple[int | None, tuple[int, int]]:
        grid = self._grid_of(path)
        return grid.nest(self._grid), (grid.height, grid.width)

    def _grid_of(self, path: str) -> Grid:
        return self._images.header(path).grid

    def _read_masks(self, place: int, series: Series, clear: np.ndarray) -> None:
        """Write what the masks say of the fresh pixels."""
        fresh = series.fresh
        top, left = clear.shape[0] - fresh.height, clear.shape[1] - fresh.width
        target = clear[top:, left:]
        target[:] = series.wanted.within(fresh, self.recipe.reach) if series.wanted else True
        for mask in self.acquisitions[place].masks:
            self._read_mask(place, mask, series, target)

    def _read_mask(self, place: int, mask: Mask, series: Series, target: np.ndarray) -> None:
        """Take from the fresh pixels ``(row, column)`` those that a mask calls invalid, by nearest, and around them."""
        header, reach = self._images.header(mask.path), self.recipe.reach
        factor = header.grid.nest(self._grid)
        if factor:
            group = Group((), factor, (header.grid.height, header.grid.width), "nearest", reach)
            parts = series.parts(place, group, header.block, group.under(series.fresh))
            areas = [_common(group.above(part), series.fresh) for part in parts]
        else:
            tile = Group((), 1, (self._grid.height, self._grid.width), "nearest", reach)
            areas = [*series.parts(place, tile, WARPED, series.fresh)]
        for area in areas:
            target[_within(area, series.fresh)] &= self._clear_with_buffer(mask, factor, area)

    def _clear_with_buffer(self, mask: Mask, factor: int | None, area: Window) -> np.ndarray:
        """Pixels of the tile that a mask calls invalid neither themselves nor in the buffer around them."""
        buffer = self.recipe.mask_buffer
        if buffer == 0:
            return self._clear(mask, factor, area)
        around = grown(area, buffer, self._grid)
        return decoding.grown(self._clear(mask, factor, around), buffer)[_within(area, around)]

    def _clear(self, mask: Mask, factor: int | None, area: Window) -> np.ndarray:
        """Pixels of the tile that a mask does not call invalid ``(row, column)`` bool."""
        grid = self._grid_of(mask.path)
        if factor:
            part = Group((), factor, (grid.height, grid.width), "nearest").under(area)
            flags = self._images.read(mask.path, [mask.band], part)[0]
            return decoding.nearest(decoding.clear(flags, mask), factor, (part.row_off, part.col_off), area)
        warp = Warp(grid, self._grid)
        source = warp.source(area, "nearest")
        if source is None:
            return np.zeros((area.height, area.width), bool)
        flags = self._images.read(mask.path, [mask.band], source)[0]
        return warp.nearest(decoding.clear(flags, mask), source, area, beyond=False)

    def _read_group(self, place: int, i: int, series: Series) -> bool:
        """Read the bands of one pixel size; whether all of what was read is observed."""
        group, box, values = self.groups[i], series.boxes[i], series.values[i][place]
        acquisition, complete, power = self.acquisitions[place], True, self.recipe.power
        for path, bands in _by_file(acquisition, [self.recipe.bands[k] for k in group.bands]).items():
            assets = [acquisition.assets[self.recipe.bands[group.bands[k]]] for k in bands]
            block = WARPED if group.warped else self._images.header(path).block
            for part in series.parts(place, group, block, box):
                rows, columns = _within(part, box)
                straight = values[bands[0] : bands[0] + 1, rows, columns]
                read = self._read_warped if group.warped else self._read_straight
                raw, meaning = read(path, assets, part, straight)
                for band, asset, k in zip(raw, meaning, bands, strict=True):
                    complete &= decoding.store(band, asset, values[k], rows.start, columns.start, power)
        return complete

    def _read_straight(
        self, path: str, assets: list[Asset], part: Window, out: np.ndarray
    ) -> tuple[np.ndarray, list[Asset]]:
        """Read a part of an image, and say what the numbers mean."""
        return self._images.read(path, [asset.band for asset in assets], part, out), assets

    def _read_warped(
        self, path: str, assets: list[Asset], part: Window, out: np.ndarray
    ) -> tuple[np.ndarray, list[Asset]]:
        """Read what lies under a part of the tile, and bring it there, in the file's unit; NaN is no data then."""
        warp, method = Warp(self._grid_of(path), self._grid), self.recipe.resampling
        source = warp.source(part, method)
        meaning = [replace(asset, nodata=None) for asset in assets]
        if source is None:
            return np.full((len(assets), part.height, part.width), np.nan, np.float32), meaning
        raw = self._images.read(path, [asset.band for asset in assets], source)
        numbers = [decoding.numbers(band, asset) for band, asset in zip(raw, assets, strict=True)]
        return np.stack([warp.values(band, source, part, method) for band in numbers]), meaning


def dates_of(acquisitions: Iterable[Acquisition]) -> tuple[datetime.date, ...]:
    """Days with at least one acquisition, ascending."""
    return tuple(sorted({a.date for a in acquisitions}))


def _by_file(acquisition: Acquisition, bands: Sequence[str]) -> dict[str, list[int]]:
    """Places in `bands` of what each file holds, so that a block with several bands is decoded once."""
    files: dict[str, list[int]] = defaultdict(list)
    for i, band in enumerate(bands):
        files[acquisition.assets[band].path].append(i)
    return files


def grown(area: Window, pixels: int, grid: Grid) -> Window:
    """An area with so many pixels around it, within the grid."""
    top, left = max(area.row_off - pixels, 0), max(area.col_off - pixels, 0)
    bottom = min(area.row_off + area.height + pixels, grid.height)
    right = min(area.col_off + area.width + pixels, grid.width)
    return Window(left, top, right - left, bottom - top)


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
