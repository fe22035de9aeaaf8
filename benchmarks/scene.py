"""A simulated country for the benchmarks: fields of 21 classes, their reflectance on any day, and forests of them.

Every class follows a double-logistic season; every field shifts, stretches and brightens it a little; every pixel has
noise and now and then a cloud that the mask missed. A part of the training labels is wrong, as in any register: what
matters here is that the trees become as deep as real ones.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

CLASSES = 21
BANDS = ("b2", "b3", "b4", "b5", "b6", "b7", "b8", "b8a", "b11", "b12")
FIELD = 32  # side of a field in pixels
REGULAR = np.arange(0, 360, 10)  # 36 dates; with three indices, 468 features

# Reflectance × 10,000 of bare soil and of full vegetation, in the order of `BANDS`.
SOIL = np.array([900, 1200, 1500, 1700, 1900, 2100, 2300, 2500, 3100, 2700], float)
LEAF = np.array([300, 600, 350, 900, 2600, 3300, 3700, 3900, 1900, 900], float)


@dataclass(frozen=True)
class Land:
    """Fields: the class of each, and what makes its season its own ``(field,)``."""

    classes: np.ndarray
    shift: np.ndarray
    amplitude: np.ndarray
    brightness: np.ndarray

    @classmethod
    def draw(cls, fields: int, seed: int) -> "Land":
        """Draw so many fields."""
        random = np.random.default_rng(seed)
        return cls(
            random.integers(0, CLASSES, fields),
            random.normal(0, 10, fields),
            random.normal(1, 0.15, fields),
            random.normal(1, 0.12, fields),
        )

    def greenness(self, field: np.ndarray, days: np.ndarray) -> np.ndarray:
        """Share of vegetation of the pixels of some fields: ``(day, pixel)``."""
        seasons = np.random.default_rng(1)
        start, length = seasons.uniform(40, 200, CLASSES), seasons.uniform(60, 160, CLASSES)
        height, floor = seasons.uniform(0.5, 1, CLASSES), seasons.uniform(0, 0.25, CLASSES)
        kind = self.classes[field]
        day = days[:, None] - self.shift[field]
        rise = 1 / (1 + np.exp((start[kind] - day) / 9))
        fall = 1 / (1 + np.exp((day - start[kind] - length[kind]) / 12))
        return np.clip(floor[kind] + height[kind] * self.amplitude[field] * rise * fall, 0, 1)

    def reflectance(self, field: np.ndarray, days: np.ndarray, seed: int, clouds: float = 0.03) -> np.ndarray:
        """Noisy reflectance × 10,000 of pixels in some fields: ``(day, band, pixel)`` int16."""
        random = np.random.default_rng(seed)
        green = self.greenness(field, days)[:, None]
        clean = (SOIL[:, None] * (1 - green) + LEAF[:, None] * green) * self.brightness[field]
        noisy = clean * random.normal(1, 0.06, clean.shape)
        cloudy = random.random((len(days), 1, len(field))) < clouds
        return np.rint(np.where(cloudy, noisy + 3000, noisy)).astype(np.int16)


def fields_of(rows: np.ndarray, columns: np.ndarray, per_row: int) -> np.ndarray:
    """Field of pixels; fields are squares, counted row by row."""
    return rows // FIELD * per_row + columns // FIELD


def features(series: np.ndarray) -> np.ndarray:
    """Bands and three indices of a gap-filled series ``(date, band, pixel)``: int16 ``(feature, pixel)``."""
    band = {name: series[:, i].astype(np.float32) for i, name in enumerate(BANDS)}
    ratio = [((band[a] - band[b]) / (band[a] + band[b])) * 10_000 for a, b in (("b8", "b4"), ("b11", "b8"))]
    bright = np.sqrt((series.astype(np.float32) ** 2).sum(axis=1))
    indices = [np.clip(np.rint(values), -32767, 32767).astype(np.int16) for values in (*ratio, bright)]
    return np.concatenate([series.reshape(-1, series.shape[2]), *indices])


def training_set(samples: int, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Features ``(sample, feature)`` int16 and classes 1 to 21, of which one in ten is wrong."""
    random = np.random.default_rng(seed)
    land = Land.draw(samples // 8, seed)
    field = np.repeat(np.arange(samples // 8), 8)
    parts = np.array_split(field, max(samples // 10_000, 1))
    values = [features(land.reflectance(part, REGULAR, seed + i)).T for i, part in enumerate(parts)]
    labels = land.classes + 1
    wrong_fields = random.random(len(labels)) < 0.05
    labels = np.where(wrong_fields, random.integers(1, CLASSES + 1, len(labels)), labels)[field]
    wrong = random.random(len(labels)) < 0.05
    return np.concatenate(values), np.where(wrong, random.integers(1, CLASSES + 1, len(labels)), labels)


def image(side: int, seed: int = 9) -> np.ndarray:
    """Features of a square image ``(feature, pixel)`` int16, pixels row by row."""
    rows, columns = np.divmod(np.arange(side * side), side)
    land = Land.draw((side // FIELD + 1) ** 2, seed)
    field = fields_of(rows, columns, side // FIELD + 1)
    parts = np.array_split(field, max(side * side // 10_000, 1))
    return np.concatenate([features(land.reflectance(p, REGULAR, seed + i)) for i, p in enumerate(parts)], axis=1)


def classes(side: int, seed: int = 9) -> np.ndarray:
    """True classes of `image` ``(row, column)``."""
    land = Land.draw((side // FIELD + 1) ** 2, seed)
    return land.classes[fields_of(*np.indices((side, side)), side // FIELD + 1)] + 1


def clouds(height: int, width: int, share: float, seed: int) -> np.ndarray:
    """Clouds that cover about this share: blobs of some 50 pixels ``(row, column)`` bool."""
    cell = 4
    noise = np.random.default_rng(seed).standard_normal((-(-height // cell), -(-width // cell)), np.float32)
    smooth = gaussian_filter(noise, 12, mode="wrap")
    cloudy = smooth > np.quantile(smooth, 1 - share)
    return np.repeat(np.repeat(cloudy, cell, axis=0), cell, axis=1)[:height, :width]
