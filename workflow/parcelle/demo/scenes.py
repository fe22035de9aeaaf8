"""What a satellite sees of a tile on a date: int16 reflectance and masks."""

from dataclasses import dataclass

import numpy as np
import pyproj
import rasterio.features

from parcelle.demo import clouds, spectra
from parcelle.demo.covers import BY_CODE
from parcelle.demo.landscape import Landscape
from parcelle.demo.randomness import stream
from parcelle.demo.surface import random_surface
from parcelle.errors import ParcelleError
from parcelle.grid import Grid, reproject

NODATA = -10000
_RELATIVE_NOISE, _NOISE = 0.022, 0.0025
_CALIBRATION = 0.012
_SATURATED = 1.6
_SATURATED_SHARE = 1e-4


@dataclass(frozen=True)
class Ground:
    """A tile's pixels in the landscape, all ``(row, column)``.

    Attributes:
        fields: Index of the field that holds the centre.
        vigour: Variation inside the fields, in standard deviations.
        x, y: Coordinates of the centres in the CRS of the landscape.

    """

    fields: np.ndarray
    vigour: np.ndarray
    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class Scene:
    """Content of a product.

    Attributes:
        bands: Band → int16 reflectance × 10,000; of half the height and width for 20 m bands.
        masks: ``CLM``, ``EDG``, ``SAT`` → uint8, 0 where all is well.

    """

    bands: dict[str, np.ndarray]
    masks: dict[str, np.ndarray]


def ground(landscape: Landscape, grid: Grid, seed: int) -> Ground:
    """Bring the landscape to the pixels of a tile.

    Raises:
        ParcelleError: The tile reaches beyond the landscape.

    """
    shapes = reproject(landscape.shapes, landscape.crs, grid.crs)
    numbered = zip(shapes, range(1, len(shapes) + 1), strict=True)
    fields = rasterio.features.rasterize(numbered, (grid.height, grid.width), transform=grid.transform, dtype="int32")
    if not fields.all():
        raise ParcelleError(f"{(fields == 0).sum()} pixels of {grid} lie in no field: make the landscape larger.")
    x, y = pyproj.Transformer.from_crs(grid.crs, landscape.crs, always_xy=True).transform(
        *np.meshgrid(*grid.centres(grid.whole))
    )
    smooth = random_surface(stream(seed, "vigour"), landscape.extent, 20, {30: 0.5, 90: 1.0})
    fine = random_surface(stream(seed, "roofs"), landscape.extent, 10, {6: 1.0})
    covers = [BY_CODE[code] for code in landscape.codes]
    patchy = np.array([cover.fine for cover in covers])[fields - 1]
    within = np.array([cover.within for cover in covers])[fields - 1]
    vigour = within * np.where(patchy, fine.at(x, y), smooth.at(x, y))
    return Ground(fields - 1, vigour.astype(np.float32), x, y)


def observe(
    ground: Ground,
    values: np.ndarray,
    change: np.ndarray,
    sky: clouds.Sky,
    outside: np.ndarray,
    random: np.random.Generator,
) -> Scene:
    """Take an image.

    Args:
        ground: Pixels of the tile.
        values: Reflectance of each field on the date, ``(field, band)``.
        change: Its change by a standard deviation of vigour, ``(field, band)``.
        sky: Clouds of the date.
        outside: Whether a pixel lies beyond the swath, ``(row, column)``, equal in each 2 × 2 pixels.
        random: Source of the noise.

    """
    pixels = values[ground.fields] + change[ground.fields] * ground.vigour[..., None]
    opacity, shade = sky.opacity(ground.x, ground.y), sky.shade(ground.x, ground.y)
    pixels = clouds.cast(pixels, opacity, shade)
    glints = _twice(random.random((outside.shape[0] // 2, outside.shape[1] // 2)) < _SATURATED_SHARE)
    pixels[glints] = _SATURATED
    bands = {}
    for number, band in enumerate(spectra.BANDS):
        seen = pixels[..., number] if band in spectra.FINE else _halved(pixels[..., number])
        nothing = outside if band in spectra.FINE else outside[::2, ::2]
        bands[band] = _counts(seen, nothing, random)
    clear = {"CLM": clouds.mask(opacity, shade), "SAT": clouds.dilated(glints)}
    masks = {name: np.where(outside, 0, flags).astype(np.uint8) for name, flags in clear.items()}
    return Scene(bands, masks | {"EDG": outside.astype(np.uint8)})


def calibrations(dates: int, seed: int) -> np.ndarray:
    """Error of the atmospheric correction: a factor per date and band, ``(date, band)``, float32."""
    return stream(seed, "calibration").normal(1, _CALIBRATION, (dates, len(spectra.BANDS))).astype(np.float32)


def _halved(pixels: np.ndarray) -> np.ndarray:
    """Mean of each 2 × 2 pixels."""
    return (pixels[::2, ::2] + pixels[1::2, ::2] + pixels[::2, 1::2] + pixels[1::2, 1::2]) / 4


def _twice(pixels: np.ndarray) -> np.ndarray:
    """Each pixel as 2 × 2."""
    return pixels.repeat(2, axis=0).repeat(2, axis=1)


def _counts(reflectance: np.ndarray, outside: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Add noise and quantise; no data beyond the swath."""
    noise = random.standard_normal(reflectance.shape, dtype=np.float32)
    seen = reflectance + noise * (_RELATIVE_NOISE * reflectance + _NOISE)
    return np.where(outside, NODATA, np.rint(seen * 10_000)).astype(np.int16)
