"""What models see of a window: the gap-filled series of all sensors, and which pixels have enough of it.

Sampling and mapping both go through here, so that a pixel has the same features in both, bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rasterio.windows import Window

from parcelle import gapfill, series
from parcelle.acquisitions import Inventory
from parcelle.errors import InputError
from parcelle.features import Recipe


@dataclass(frozen=True)
class Cube:
    """A window of a tile, ready for the models.

    Attributes:
        recipes: How features follow from `filled`, one per sensor.
        filled: Per sensor ``(regular date, band, pixel)``, pixels row by row.
        validity: Number of valid optical dates ``(row, column)`` uint16; of all dates where no sensor is optical.
        enough: Whether every sensor has at least `min_valid` valid dates ``(row, column)`` bool.
        clear: Per sensor, number of valid pixels of each date ``(date,)``.

    """

    recipes: tuple[Recipe, ...]
    filled: tuple[np.ndarray, ...]
    validity: np.ndarray
    enough: np.ndarray
    clear: tuple[np.ndarray, ...]

    def features(self, pixels: np.ndarray) -> np.ndarray:
        """Features of some pixels.

        Args:
            pixels: Places in the window, counted row by row ``(pixel,)``.

        Returns:
            ``(pixel, feature)`` float32.

        """
        return np.hstack([r.compute(f[:, :, pixels]) for r, f in zip(self.recipes, self.filled, strict=True)])


def read(inventory: Inventory, recipes: Sequence[Recipe], window: Window, min_valid: int) -> Cube:
    """Read and gap-fill a window of a tile.

    Raises:
        InputError: An image cannot be read.

    """
    filled, clear, counts = [], [], []
    for recipe in recipes:
        one = series.read(
            inventory.of(recipe.sensor),
            recipe.bands,
            inventory.grid,
            window,
            dtype=recipe.dtype,
            resampling=recipe.resampling,
        )
        values = gapfill.fill(one.values, one.valid, one.days, recipe.days)
        filled.append(values.reshape(*values.shape[:2], -1))
        clear.append(one.valid.sum(axis=(1, 2), dtype=np.int64))
        counts.append(one.valid.sum(axis=0, dtype=np.uint16))
    optical = [c for c, r in zip(counts, recipes, strict=True) if r.optical]
    validity = np.asarray(np.sum(optical or counts, axis=0, dtype=np.uint16))
    return Cube(tuple(recipes), tuple(filled), validity, np.min(counts, axis=0) >= min_valid, tuple(clear))


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


def series_bytes(dates: int, recipe: Recipe) -> int:
    """Bytes of the series of one sensor for one pixel, while it is read.

    Values and validity of all dates; of the date being read, the file's values and three float32 copies
    (interpolated along rows, along both, rounded).
    """
    bands, item = len(recipe.bands), np.dtype(recipe.dtype).itemsize
    return dates * (bands * item + 1) + 4 * 4 * bands


def filled_bytes(recipe: Recipe) -> int:
    """Bytes of the gap-filled series of one sensor for one pixel."""
    return len(recipe.dates) * len(recipe.bands) * np.dtype(recipe.dtype).itemsize
