"""The series of a window: values and validity of all acquisitions of one sensor, on the tile's grid."""

import datetime
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import rasterio
from rasterio.windows import Window

from parcelle import resample
from parcelle.errors import InputError
from parcelle.grid import Grid
from parcelle.sensors import Acquisition, Asset, Mask

# What GDAL is asked for while images are read: opening a file lists no folder, and the cache of decoded blocks does
# not grow with the machine (its default is 5 % of the memory).
GDAL = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_CACHEMAX": 64, "GDAL_NUM_THREADS": 1}

LARGEST = 32767

# What reading raises; the second where the file has no such band.
UNREADABLE = (rasterio.errors.RasterioError, IndexError)


@dataclass(frozen=True)
class Series:
    """Values of a window.

    Attributes:
        dates: Days, ascending; acquisitions of one day are one date.
        values: ``(date, band, row, column)``: int16 reflectance × 10,000, or float32 dB or K.
        valid: ``(date, row, column)`` bool: observed, clear, in all bands.

    """

    dates: tuple[datetime.date, ...]
    values: np.ndarray
    valid: np.ndarray

    @property
    def days(self) -> np.ndarray:
        """Dates as day numbers ``(date,)`` int32."""
        return np.array([d.toordinal() for d in self.dates], np.int32)


def dates_of(acquisitions: Iterable[Acquisition]) -> tuple[datetime.date, ...]:
    """Days with at least one acquisition, ascending."""
    return tuple(sorted({a.date for a in acquisitions}))


def read(
    acquisitions: Sequence[Acquisition],
    bands: Sequence[str],
    grid: Grid,
    window: Window,
    *,
    dtype: type,
    resampling: str,
) -> Series:
    """Read a window of all acquisitions.

    Args:
        acquisitions: Of one sensor.
        bands: Bands to read, in the order wanted.
        grid: Grid of the tile.
        window: Pixels to read.
        dtype: ``np.int16`` for reflectance × 10,000, else ``np.float32``.
        resampling: How coarser bands are interpolated; masks go by nearest.

    Raises:
        InputError: An image cannot be read.

    """
    days = dates_of(acquisitions)
    shape = (window.height, window.width)
    values = np.zeros((len(days), len(bands), *shape), dtype)
    valid = np.zeros((len(days), *shape), bool)
    with rasterio.Env(**GDAL):
        for i, day in enumerate(days):
            same_day = [_read_one(a, bands, grid, window, dtype, resampling) for a in acquisitions if a.date == day]
            values[i], valid[i] = same_day[0] if len(same_day) == 1 else _mean(same_day)
    return Series(days, values, valid)


def _mean(several: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the valid values of one day, in the order of the acquisitions."""
    dtype = several[0][0].dtype
    count = reduce(np.add, (ok.astype(np.int32) for _, ok in several))
    total = reduce(np.add, (np.where(ok, values, 0).astype(np.float64) for values, ok in several))
    mean = total / np.maximum(count, 1)
    return (np.rint(mean) if np.issubdtype(dtype, np.integer) else mean).astype(dtype), count > 0


def _read_one(
    acquisition: Acquisition, bands: Sequence[str], grid: Grid, window: Window, dtype: type, resampling: str
) -> tuple[np.ndarray, np.ndarray]:
    """Values ``(band, row, column)`` and validity ``(row, column)`` of one acquisition."""
    valid = np.ones((window.height, window.width), bool)
    for mask in acquisition.masks:
        valid &= _read_mask(mask, grid, window)
    values = np.zeros((len(bands), window.height, window.width), dtype)
    if not valid.any():
        return values, valid
    for path, places in _by_file(acquisition, bands).items():
        assets = [acquisition.assets[bands[i]] for i in places]
        values[places], good = _read_bands(path, assets, grid, window, dtype, resampling)
        valid &= good
    return values, valid


def _by_file(acquisition: Acquisition, bands: Sequence[str]) -> dict[str, list[int]]:
    """Places in `bands` of what each file holds, so that a block with several bands is decoded once."""
    files: dict[str, list[int]] = defaultdict(list)
    for i, band in enumerate(bands):
        files[acquisition.assets[band].path].append(i)
    return files


def _coarse(window: Window, factor: int, size: tuple[int, int], margin: int) -> Window:
    """Coarse pixels under a window and `margin` around, within an image of `size` (rows, columns)."""
    top = max(window.row_off // factor - margin, 0)
    left = max(window.col_off // factor - margin, 0)
    bottom = min(-(-(window.row_off + window.height) // factor) + margin, size[0])
    right = min(-(-(window.col_off + window.width) // factor) + margin, size[1])
    return Window(left, top, right - left, bottom - top)


def _open_nested(path: str, grid: Grid) -> tuple[rasterio.DatasetReader, int]:
    image = rasterio.open(path)
    factor = Grid.of(image).nest(grid)
    if factor is None:
        image.close()
        raise InputError(f"{path} is on the grid {Grid.of(image)}, which does not nest with the tile's: {grid}.")
    return image, factor


def _read_mask(mask: Mask, grid: Grid, window: Window) -> np.ndarray:
    """Valid pixels of a mask, nearest: ``(row, column)``."""
    try:
        image, factor = _open_nested(mask.path, grid)
        with image:
            part = _coarse(window, factor, image.shape, 0)
            flags = image.read(mask.band, window=part)
    except UNREADABLE as error:
        raise InputError(
            f"{mask.path} cannot be read ({error}); window {_place(window)}: repair or remove the product."
        ) from None
    invalid = np.isin(flags, mask.invalid_values) if mask.invalid_values else np.zeros(flags.shape, bool)
    if mask.invalid_bits:
        # Bits that the type of the file does not have are set nowhere; Python's integer would be refused.
        invalid |= (flags & np.array(mask.invalid_bits).astype(flags.dtype)) != 0
    rows = np.arange(window.row_off, window.row_off + window.height) // factor - part.row_off
    columns = np.arange(window.col_off, window.col_off + window.width) // factor - part.col_off
    return ~invalid[np.ix_(rows, columns)]


def _read_bands(
    path: str, assets: list[Asset], grid: Grid, window: Window, dtype: type, resampling: str
) -> tuple[np.ndarray, np.ndarray]:
    """Values ``(band, row, column)`` of some bands of a file in the common unit, and where all are valid."""
    try:
        image, factor = _open_nested(path, grid)
        with image:
            size = image.shape
            part = _coarse(window, factor, size, resample.MARGIN[resampling] if factor > 1 else 0)
            raw = image.read([a.band for a in assets], window=part)
    except UNREADABLE as error:
        raise InputError(
            f"{path} cannot be read ({error}); window {_place(window)}: repair or remove the product."
        ) from None
    good = np.all([_observed(band, asset.nodata) for band, asset in zip(raw, assets, strict=True)], axis=0)
    values = np.stack([_common_unit(band, asset, dtype) for band, asset in zip(raw, assets, strict=True)])
    if factor > 1:
        good &= _storable(values, dtype).all(axis=0)
        origin = (part.row_off, part.col_off)
        rows = resample.taps(window.row_off, window.height, factor, size[0], resampling)
        columns = resample.taps(window.col_off, window.width, factor, size[1], resampling)
        values = resample.upsample(values, rows, columns, origin)
        good = resample.all_valid(good, rows, columns, origin)
    return _stored(values, good, dtype)


def _observed(raw: np.ndarray, nodata: float | None) -> np.ndarray:
    observed = np.ones(raw.shape, bool) if nodata is None or np.isnan(nodata) else raw != nodata
    return observed & np.isfinite(raw) if np.issubdtype(raw.dtype, np.floating) else observed


def _common_unit(raw: np.ndarray, asset: Asset, dtype: type) -> np.ndarray:
    """Scale and offset applied, as float32; reflectance is × 10,000. What is not finite becomes 0 (not valid)."""
    unit = 10_000.0 if np.issubdtype(dtype, np.integer) else 1.0
    scale, offset = np.float32(asset.scale * unit), np.float32(asset.offset * unit)
    values = raw.astype(np.float32)
    if np.issubdtype(raw.dtype, np.floating):
        values = np.nan_to_num(values, nan=0, posinf=0, neginf=0)
    if scale != 1:
        values *= scale
    return values + offset if offset else values


def _stored(values: np.ndarray, good: np.ndarray, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """Round to int16; a reflectance that it cannot hold (above 3.2767) is a saturated one, hence not valid."""
    if not np.issubdtype(dtype, np.integer):
        return values.astype(dtype), good
    rounded = np.rint(values)
    fits = _storable(rounded, dtype)
    if not fits.all():
        good = good & fits.all(axis=0)
        rounded = np.where(fits, rounded, 0)
    return rounded.astype(dtype), good


def _storable(values: np.ndarray, dtype: type) -> np.ndarray:
    """Where the common unit fits into the type of the series."""
    if not np.issubdtype(dtype, np.integer):
        return np.ones(values.shape, bool)
    return np.abs(values) < LARGEST + 0.5


def _place(window: Window) -> str:
    last_row, last_column = window.row_off + window.height - 1, window.col_off + window.width - 1
    return f"rows {window.row_off}–{last_row}, columns {window.col_off}–{last_column}"
