"""Reflectance of canopies in the bands of Sentinel-2, simulated with PROSAIL and tabulated."""

import functools

import numpy as np

from parcelle.demo.covers import BY_CODE, Leaf
from parcelle.errors import ParcelleError

BANDS = ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")
FINE = ("B2", "B3", "B4", "B8")
"""Bands with pixels of 10 m; the others have 20 m."""

# Centre and full width at half maximum in nm, Sentinel-2A (ESA, Sentinel-2 Spectral Response Functions 3.0).
_RESPONSES = (
    (492.4, 66), (559.8, 36), (664.6, 31), (704.1, 15), (740.5, 15),
    (782.8, 20), (832.8, 106), (864.7, 21), (1613.7, 91), (2202.4, 175),
)  # fmt: skip
FLOWERS = np.array((0.035, 0.190, 0.185, 0.260, 0.400, 0.440, 0.450, 0.460, 0.210, 0.110), np.float32)
"""Reflectance of a closed cover of yellow flowers (rapeseed, after Sulik & Long 2016), ``(band,)``."""

LEAF_AREA = np.array([0, 0.25, 0.5, 1, 1.75, 3, 4.5, 7])
BROWN = np.array([0, 0.5, 0.8, 1])
DRY = np.array([0, 1])
SOIL = np.array([0.3, 1.5])
"""Levels of the table: leaf area index, senescence, dryness and brightness of the soil."""


def responses() -> np.ndarray:
    """Weight of each wavelength (400 to 2500 nm) in a band, ``(band, wavelength)``; Gaussian."""
    wavelength = np.arange(400, 2501)
    centre, width = np.array(_RESPONSES).T[:, :, None]
    weight = np.exp(-4 * np.log(2) * ((wavelength - centre) / width) ** 2)
    return weight / weight.sum(axis=1, keepdims=True)


def canopy(leaf: Leaf, leaf_area: float, brown: float, dry: float, soil: float) -> np.ndarray:
    """Simulate the reflectance spectrum of a canopy, 400 to 2500 nm by 1 nm.

    Args:
        leaf: What does not change with the season.
        leaf_area: Leaf area index.
        brown: Share of senescence, 0 (green) to 1: chlorophyll and water go, brown pigment comes.
        dry: Dryness of the soil surface, 0 to 1.
        soil: Brightness of the soil.

    """
    import prosail  # imported late: compiling it costs seconds the first time

    return prosail.run_prosail(
        n=leaf.layers + 0.4 * brown,
        cab=leaf.chlorophyll * (1 - brown) + 3 * brown,
        car=leaf.chlorophyll / 5 * (1 - brown) + 3 * brown,
        cbrown=0.9 * brown,
        cw=leaf.water * (1 - 0.85 * brown),
        cm=leaf.matter,
        lai=leaf_area,
        lidfa=leaf.angle,
        hspot=0.05,
        tts=35.0,
        tto=5.0,
        psi=90.0,
        prospect_version="D",
        rsoil=soil,
        psoil=dry,
    )


@functools.cache
def table(code: int) -> np.ndarray:
    """Reflectance of a class at all levels, ``(leaf area, brown, dry, soil, band)``, float32.

    Raises:
        ParcelleError: Nothing grows in this class.

    """
    leaf = BY_CODE[code].leaf
    if leaf is None:
        raise ParcelleError(f"nothing grows in class {code}: its spectrum is that of its cover.")
    weight = responses()
    shape = (len(LEAF_AREA), len(BROWN), len(DRY), len(SOIL))
    values = np.empty((*shape, len(BANDS)), np.float32)
    for i, j, k, m in np.ndindex(shape):
        values[i, j, k, m] = weight @ canopy(leaf, *map(float, (LEAF_AREA[i], BROWN[j], DRY[k], SOIL[m])))
    return values


def reflectance(code: int, leaf_area: np.ndarray, brown: np.ndarray, dry: np.ndarray, soil: np.ndarray) -> np.ndarray:
    """Interpolate the table of a class; arguments of one shape, result ``(..., band)``."""
    from scipy.ndimage import map_coordinates

    levels = (LEAF_AREA, BROWN, DRY, SOIL)
    places = np.stack([
        np.interp(value, level, np.arange(len(level)))
        for value, level in zip((leaf_area, brown, dry, soil), levels, strict=True)
    ])  # fmt: skip
    values = table(code)
    bands = [map_coordinates(values[..., b], places, order=1) for b in range(len(BANDS))]
    return np.stack(bands, axis=-1)
