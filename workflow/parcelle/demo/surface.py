"""Smooth random surfaces over the country, which every tile samples at its own pixels."""

from dataclasses import dataclass

import numpy as np

Extent = tuple[float, float, float, float]
"""Left, bottom, right, top in metres of the country's CRS."""


@dataclass(frozen=True)
class Surface:
    """Values at the nodes of a lattice; between them, bilinear.

    Attributes:
        left, top: Coordinates of the first node.
        step: Distance of nodes, metres.
        values: ``(row, column)``, rows from north to south.

    """

    left: float
    top: float
    step: float
    values: np.ndarray

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Value at points; beyond the lattice, that of its nearest node."""
        from scipy.ndimage import map_coordinates

        places = np.stack([(self.top - y) / self.step, (x - self.left) / self.step])
        return map_coordinates(self.values, places, order=1, mode="nearest")


def random_surface(random: np.random.Generator, extent: Extent, step: float, scales: dict[float, float]) -> Surface:
    """Sum of smoothed white noises.

    Args:
        random: Source of the noise.
        extent: What the lattice covers.
        step: Distance of nodes, metres.
        scales: Length in metres over which a noise is smoothed → its weight.

    Returns:
        A surface of mean 0 and standard deviation 1.

    """
    from scipy.ndimage import gaussian_filter

    left, bottom, right, top = extent
    shape = (int((top - bottom) / step) + 2, int((right - left) / step) + 2)
    total = np.zeros(shape, np.float32)
    for length, weight in scales.items():
        noise = gaussian_filter(random.standard_normal(shape, dtype=np.float32), length / step, mode="wrap")
        total += weight * noise / noise.std()
    return Surface(left, top, step, (total - total.mean()) / total.std())
