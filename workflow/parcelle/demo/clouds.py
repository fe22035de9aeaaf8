"""Clouds and their shadows, the same over all tiles, since they lie over the country and not over a grid."""

import datetime
from dataclasses import dataclass

import numpy as np

from parcelle.demo.randomness import stream
from parcelle.demo.surface import Extent, Surface, random_surface

# Reflectance of a thick cloud in the ten bands, and the share of the light that a shadow leaves.
_CLOUD = np.array((0.62, 0.61, 0.62, 0.63, 0.65, 0.66, 0.67, 0.67, 0.46, 0.34), np.float32)
_SHADED = np.array((0.62, 0.52, 0.47, 0.45, 0.43, 0.42, 0.41, 0.40, 0.36, 0.35), np.float32)
_SOFTNESS = 0.4
_DILATION = 4
# Bits of the MAJA cloud mask: a cloud or shadow, a cloud; the shadow of a cloud.
_CLOUD_BITS, _SHADOW_BITS = 0b11, 0b100001


@dataclass(frozen=True)
class Sky:
    """The clouds of a date.

    Attributes:
        thickness: Where it is above `base`, there is a cloud.
        base: See `thickness`; infinite for a clear sky.
        shadow: East and north offset of the shadows, metres.

    """

    thickness: Surface
    base: float
    shadow: tuple[float, float]

    def opacity(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Opacity of the clouds over points, 0 (none) to 1, float32."""
        share = np.clip((self.thickness.at(x, y) - self.base) / _SOFTNESS, 0, 1)
        return (share**2 * (3 - 2 * share)).astype(np.float32)

    def shade(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Opacity of the clouds that stand between points and the sun."""
        return self.opacity(x - self.shadow[0], y - self.shadow[1])


def cover(date: datetime.date, mean: float, seed: int) -> float:
    """Share of the country under clouds on a date: often 0, sometimes 1, about `mean` on average."""
    share = stream(seed, "cover", date).beta(0.45, 0.45 * (1 - mean) / mean) if mean > 0 else 0.0
    return 0.0 if share < 0.03 else 1.0 if share > 0.78 else float(share)


def sky(date: datetime.date, extent: Extent, share: float, seed: int) -> Sky:
    """Draw the clouds of a date.

    Args:
        date: Also tells how low the sun stands.
        extent: The country.
        share: Share of it under clouds.
        seed: Of the random numbers.

    """
    random = stream(seed, "sky", date)
    size = max(extent[2] - extent[0], extent[3] - extent[1])
    margin = 0.25 * size
    wider = (extent[0] - margin, extent[1] - margin, extent[2] + margin, extent[3] + margin)
    thickness = random_surface(random, wider, size / 150, {size / 9: 1.0, size / 24: 0.55, size / 60: 0.25})
    base = np.inf if share == 0 else np.quantile(thickness.values, 1 - share) - (share == 1.0)
    return Sky(thickness, float(base), _displacement(date, random.uniform(0.03, 0.07) * size))


def _displacement(date: datetime.date, height: float) -> tuple[float, float]:
    """Offset of shadows at 10:40 solar time and 46° N: towards north-north-west, longer in winter."""
    day = date.timetuple().tm_yday
    zenith = np.radians(48 + 23.4 * np.cos(2 * np.pi * (day + 10) / 365))
    azimuth = np.radians(-20)
    length = height * np.tan(zenith)
    return float(length * np.sin(azimuth)), float(length * np.cos(azimuth))


def cast(values: np.ndarray, opacity: np.ndarray, shade: np.ndarray) -> np.ndarray:
    """Reflectance as seen through clouds.

    Args:
        values: Of the ground, ``(row, column, band)``.
        opacity: Of the clouds, ``(row, column)``.
        shade: Of the shadows, ``(row, column)``.

    """
    if not (opacity.any() or shade.any()):
        return values
    opacity, shade = opacity[..., None], shade[..., None]
    return values * (1 - shade * (1 - _SHADED)) * (1 - opacity) + opacity * _CLOUD


def mask(opacity: np.ndarray, shade: np.ndarray) -> np.ndarray:
    """Cloud mask as MAJA writes it, uint8: 0 is clear; it reaches some pixels beyond what is altered."""
    return _CLOUD_BITS * dilated(opacity > 0) | _SHADOW_BITS * dilated(shade > 0)


def dilated(flags: np.ndarray) -> np.ndarray:
    """Let flags grow by 40 m, so that no 20 m pixel that they touch is used; uint8."""
    from scipy.ndimage import maximum_filter

    flags = flags.astype(np.uint8)
    return maximum_filter(flags, 2 * _DILATION + 1, mode="constant") if flags.any() else flags
