"""From the numbers in a file to values in the common unit, and to what is valid."""

import numpy as np
import scipy.ndimage
from rasterio.windows import Window

from parcelle.kernels import compiled_once, kernel
from parcelle.sensors import Asset, Mask

# What stands in a series for a value that is not observed, the least of its type; and the largest that is observed.
MISSING = {np.dtype(np.int16): -32768, np.dtype(np.float32): float(np.finfo(np.float32).min)}
LARGEST = {np.dtype(np.int16): 32767, np.dtype(np.float32): float(np.finfo(np.float32).max)}


def store(raw: np.ndarray, asset: Asset, image: np.ndarray, row: int = 0, column: int = 0, power: bool = False) -> bool:
    """Bring a band to the common unit: reflectance × 10,000 as int16, or dB, K or any other as float32.

    What is no data, not finite, or more than int16 holds (above 3.2767: saturated) becomes `MISSING`.

    Args:
        raw: As in the file ``(row, column)``; may be the place in `image` itself.
        asset: What they mean.
        image: Where to write them ``(row, column)``: contiguous, int16 or float32.
        row: First row of `image` to write.
        column: First column of `image` to write.
        power: Whether values are kept as linear power, above 0, and dB is brought to it; else all is kept as dB.

    Returns:
        Whether all are observed.

    """
    dtype, (height, width) = image.dtype, raw.shape
    unit = 10_000 if dtype == np.int16 else 1
    scale, offset = np.float32(asset.scale * unit), np.float32(asset.offset * unit)
    nodata, bounds = _nodata(asset, raw.dtype), (dtype.type(MISSING[dtype]), dtype.type(LARGEST[dtype]))
    _ready(raw.dtype.name, dtype.name)
    inside = np.may_share_memory(raw, image)
    if raw.dtype == dtype and scale == 1 and offset == 0 and not asset.power and not power:
        if not inside:
            image[row : row + height, column : column + width] = raw
        return bool(_check(image, row, column, height, width, bounds[0] if nodata is None else nodata, *bounds))
    # Not in place: a loop that reads what it writes does not fill the processor's registers.
    source, known = raw.copy() if inside else raw, nodata is not None
    value = nodata if known else raw.dtype.type(0)
    to = (1 if power else 2) if asset.power else (3 if power else 0)
    return bool(_convert(source, scale, offset, value, known, to, image, row, column, *bounds))


def _nodata(asset: Asset, dtype: np.dtype) -> np.generic | None:
    """What stands for no data in a file of some type; None if that type does not have it. NaN never is a value."""
    if asset.nodata is None or np.isnan(asset.nodata):
        return None
    if dtype.kind == "f":
        with np.errstate(over="ignore"):  # beyond the type: infinite, which never is a value either
            return dtype.type(asset.nodata)
    limits = np.iinfo(dtype)
    held = limits.min <= asset.nodata <= limits.max and asset.nodata == int(asset.nodata)
    return dtype.type(asset.nodata) if held else None


def numbers(raw: np.ndarray, asset: Asset) -> np.ndarray:
    """What is in a file as float32, NaN where it is no data or not finite ``(row, column)``."""
    found, nodata = raw.astype(np.float32), _nodata(asset, raw.dtype)
    if nodata is not None:
        found[raw == nodata] = np.nan
    found[~np.isfinite(found)] = np.nan
    return found


def observed(values: np.ndarray) -> np.ndarray:
    """Pixels ``(row, column)`` of a series ``(band, row, column)`` with all bands observed."""
    return (values != MISSING[values.dtype]).all(axis=0)


def clear(flags: np.ndarray, mask: Mask) -> np.ndarray:
    """Pixels that a mask does not call invalid."""
    # Bits that the type of the file does not have are set nowhere; Python's integer would be refused.
    valid = (flags & np.array(mask.invalid_bits).astype(flags.dtype)) == 0
    for value in mask.invalid_values:
        valid &= flags != value
    return valid


def grown(clear: np.ndarray, pixels: int) -> np.ndarray:
    """Clear pixels with no other within so many rows and columns ``(row, column)`` bool."""
    return clear if pixels == 0 else scipy.ndimage.minimum_filter(clear, 2 * pixels + 1, mode="nearest")


def nearest(coarse: np.ndarray, factor: int, origin: tuple[int, int], window: Window) -> np.ndarray:
    """Coarse pixel under each pixel of a window; `coarse` starts at the row and column `origin` of its image."""
    if factor == 1:
        return coarse
    rows = np.arange(window.row_off, window.row_off + window.height) // factor - origin[0]
    columns = np.arange(window.col_off, window.col_off + window.width) // factor - origin[1]
    return coarse.take(columns, axis=1).take(rows, axis=0)


@kernel
def _check(image, row, column, height, width, nodata, missing, largest):  # type: ignore[no-untyped-def]
    """Mark what is not observed in a part of an image that is in the common unit; whether all is."""
    complete = True
    for r in range(row, row + height):
        line = image[r][column : column + width]
        for i in range(len(line)):
            good = (line[i] != nodata) & (line[i] > missing) & (line[i] <= largest)
            complete &= good
            line[i] = line[i] if good else missing
    return complete


@kernel
def _convert(raw, scale, offset, nodata, known, to, image, row, column, missing, largest):  # type: ignore[no-untyped-def]
    """Bring values to the common unit, in a part of an image; whether all are observed.

    `to`: 0 as they are; 1 linear power, which stays; 2 linear power, to dB; 3 dB, to linear power.
    """
    whole, none = image.itemsize == 2, not known
    least, most = np.float32(missing), np.float32(largest)
    complete = True
    for r in range(raw.shape[0]):
        before, after = raw[r], image[row + r][column : column + raw.shape[1]]
        for i in range(len(before)):
            value = np.float32(before[i]) * scale + offset
            value = np.rint(value) if whole else value
            good = ((before[i] != nodata) | none) & (value > least) & (value <= most)
            if to == 3 and good:
                value = np.float32(10 ** (np.float64(value) / 10))
                good = value <= most
            if to > 0:
                good &= value > 0
                value = np.float32(10 * np.log10(np.float64(value))) if good and to == 2 else value
            complete &= good
            after[i] = value if good else least
    return complete


@compiled_once
def _ready(raw: str, dtype: str) -> None:
    """Compile for a type of file and a type of series."""
    source, image, one = np.zeros((1, 1), raw), np.zeros((1, 1), dtype), np.float32(1)
    bounds = image[0, 0], image[0, 0]
    _check(image, 0, 0, 1, 1, image[0, 0], *bounds)
    _convert(source, one, one, source[0, 0], True, 0, image, 0, 0, *bounds)
