"""Each field's own season, and its reflectance on each date."""

from dataclasses import dataclass

import numpy as np

from parcelle.demo import spectra
from parcelle.demo.covers import BY_CODE, Cover, Pulse
from parcelle.demo.landscape import Landscape
from parcelle.demo.randomness import stream

# Standard deviations between fields, besides those of the covers: days, and factors.
_SHIFT = 6.0
_SOIL = 0.14
_BRIGHTNESS = 0.04
# What one standard deviation of the vigour inside a field changes, relative: leaf area, and what has none.
_LEAF_AREA_WITHIN = 0.14
_BRIGHTNESS_WITHIN = 0.22


@dataclass(frozen=True)
class Fields:
    """What tells one field from another of its class; all ``(field,)``.

    Attributes:
        codes: Class.
        shift: Days by which its season is late.
        vigour: Factor of its leaf area.
        soil: Brightness of its soil.
        mixture: Share of the companion of its class.
        brightness: Factor of all bands.

    """

    codes: np.ndarray
    shift: np.ndarray
    vigour: np.ndarray
    soil: np.ndarray
    mixture: np.ndarray
    brightness: np.ndarray

    def of(self, code: int) -> "Fields":
        """Those of one class."""
        here = self.codes == code
        return Fields(*(getattr(self, name)[here] for name in self.__dataclass_fields__))


def draw(landscape: Landscape, delay: float, seed: int) -> Fields:
    """Draw what tells fields apart.

    Args:
        landscape: Where they are.
        delay: Days by which the season of the hills is later than that of the plain.
        seed: Of the random numbers.

    """
    random = stream(seed, "fields")
    codes, n = landscape.codes, len(landscape.codes)
    spread = np.array([BY_CODE[code].vigour for code in codes])
    mixture = np.array([BY_CODE[code].mixture for code in codes])
    return Fields(
        codes,
        shift=random.normal(0, _SHIFT, n) + delay * landscape.region,
        vigour=np.exp(random.normal(0, 1, n) * spread),
        soil=np.clip(random.normal(1, _SOIL, n), 0.65, 1.35),
        mixture=mixture * random.random(n) ** 1.5,
        brightness=random.normal(1, _BRIGHTNESS, n),
    )


def dryness(days: np.ndarray, seed: int) -> np.ndarray:
    """Dryness of the soil surface on each day, 0 to 1: wet winters, dry summers, and the weather."""
    season = 0.5 - 0.4 * np.cos(2 * np.pi * (days - 20) / 365)
    return np.clip(season + stream(seed, "rain").normal(0, 0.08, len(days)), 0, 1)


def appearance(fields: Fields, days: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Reflectance of each field on each date, and how it varies inside the field.

    Args:
        fields: As drawn.
        days: Days of the year, ``(date,)``.
        seed: Of the random numbers.

    Returns:
        Reflectance, and its change by a standard deviation of vigour; both ``(date, field, band)``, float32.

    """
    shape = (len(days), len(fields.codes), len(spectra.BANDS))
    values, change = np.empty(shape, np.float32), np.empty(shape, np.float32)
    dry = dryness(days, seed)
    for code in np.unique(fields.codes):
        here, cover = fields.codes == code, BY_CODE[code]
        low, high = (_mixed(cover, fields.of(code), days, dry, seed, sign) for sign in (-1, 1))
        values[:, here], change[:, here] = (low + high) / 2, (high - low) / 2
    return values, change


def _mixed(cover: Cover, fields: Fields, days: np.ndarray, dry: np.ndarray, seed: int, sign: int) -> np.ndarray:
    """Reflectance at `sign` standard deviations of vigour, with the companion; ``(date, field, band)``."""
    own = _pure(cover, fields, days, dry, seed, sign)
    if cover.companion is not None:
        share = fields.mixture[:, None]
        own = (1 - share) * own + share * _pure(BY_CODE[cover.companion], fields, days, dry, seed, sign)
    return own * fields.brightness[:, None]


def _pure(cover: Cover, fields: Fields, days: np.ndarray, dry: np.ndarray, seed: int, sign: int) -> np.ndarray:
    if cover.spectrum is not None:
        factor = 1 + sign * _BRIGHTNESS_WITHIN
        shape = (len(days), len(fields.codes), len(spectra.BANDS))
        return np.broadcast_to(np.array(cover.spectrum, np.float32) * factor, shape)
    day = days[:, None] - fields.shift
    leaf_area, brown = season(cover, day, seed)
    leaf_area = leaf_area * fields.vigour * (1 + sign * _LEAF_AREA_WITHIN)
    soil = np.broadcast_to(fields.soil * cover.soil, day.shape)
    dry = np.broadcast_to(dry[:, None], day.shape)
    values = spectra.reflectance(cover.code, leaf_area, brown, dry, soil) * cover.shade
    if cover.flower is not None:
        share = _at(cover.flower, day, stream(seed, cover.code, "flower"))[..., None]
        values = (1 - share) * values + share * spectra.FLOWERS
    return values


def season(cover: Cover, day: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Leaf area index and share of senescent leaves of a cover.

    Args:
        cover: With its pulses.
        day: Day of the year less the shift of each field, ``(date, field)``.
        seed: Of the random dates of the pulses.

    """
    sums = []
    for name in ("growth", "brown"):
        random = stream(seed, cover.code, name)
        sums.append(sum((_at(pulse, day, random) for pulse in getattr(cover, name)), np.zeros(day.shape)))
    leaf_area, brown = sums
    return np.maximum(cover.bare + leaf_area, 0.05), np.clip(brown, 0, 1)


def _at(pulse: Pulse, day: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Value of a pulse that comes on a date of its own in each field."""
    return pulse.at(day - random.normal(0, pulse.spread, day.shape[1]))
