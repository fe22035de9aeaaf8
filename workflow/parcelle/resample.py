"""Bring coarser bands to the tile's grid, the same way in every window."""

import numpy as np

# How many coarse pixels beyond the ones under a window have a say in it.
MARGIN = {"nearest": 0, "bilinear": 1, "cubic": 2}


def taps(start: int, count: int, factor: int, size: int, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Coarse pixels that make up fine pixels along one axis, and their weights.

    Centres of fine pixel i lie at (i + 0.5) / factor − 0.5 in coarse pixels. Cubic is Keys (1981) with a = −0.5,
    as GDAL's. Beyond the image its outermost pixel is repeated.

    Args:
        start: First fine pixel.
        count: Number of fine pixels.
        factor: Fine pixels in a coarse one.
        size: Coarse pixels along the axis.
        method: `nearest`, `bilinear` or `cubic`.

    Returns:
        Indices ``(count, tap)`` and float32 weights ``(count, tap)``; the weights of a pixel add up to 1.

    """
    fine = np.arange(start, start + count)
    if method == "nearest":
        return (fine // factor)[:, None], np.ones((count, 1), np.float32)
    position = (fine + 0.5) / factor - 0.5
    base = np.floor(position).astype(int)
    offsets = np.arange(0, 2) if method == "bilinear" else np.arange(-1, 3)
    distance = np.abs((position - base)[:, None] - offsets)
    weights = np.maximum(1 - distance, 0) if method == "bilinear" else _keys(distance)
    return np.clip(base[:, None] + offsets, 0, size - 1), weights.astype(np.float32)


def _keys(d: np.ndarray, a: float = -0.5) -> np.ndarray:
    """Cubic convolution kernel at distance `d` (Keys 1981, eq. 15)."""
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def upsample(values: np.ndarray, rows: tuple, columns: tuple, origin: tuple[int, int]) -> np.ndarray:
    """Interpolate, first along columns of pixels, then along rows.

    Args:
        values: ``(band, row, column)`` float32 of coarse pixels.
        rows: `taps` of the rows.
        columns: `taps` of the columns.
        origin: Row and column of the coarse image where `values` starts.

    Returns:
        ``(band, row, column)`` float32 of fine pixels.

    """
    down = _combine(values, rows, origin[0], axis=1)
    return _combine(down, columns, origin[1], axis=2)


def _combine(values: np.ndarray, tap: tuple, origin: int, axis: int) -> np.ndarray:
    indices, weights = tap
    shape = (1, -1, 1) if axis == 1 else (1, 1, -1)
    total = np.take(values, indices[:, 0] - origin, axis) * weights[:, 0].reshape(shape)
    for k in range(1, indices.shape[1]):
        total += np.take(values, indices[:, k] - origin, axis) * weights[:, k].reshape(shape)
    return total


def all_valid(valid: np.ndarray, rows: tuple, columns: tuple, origin: tuple[int, int]) -> np.ndarray:
    """Whether every coarse pixel that contributes to a fine one is valid.

    Args:
        valid: ``(row, column)`` of coarse pixels.
        rows: `taps` of the rows.
        columns: `taps` of the columns.
        origin: Row and column of the coarse image where `valid` starts.

    Returns:
        ``(row, column)`` of fine pixels.

    """
    if valid.all():
        return np.ones((len(rows[0]), len(columns[0])), bool)
    down = _every(valid, rows, origin[0], axis=0)
    return _every(down, columns, origin[1], axis=1)


def _every(valid: np.ndarray, tap: tuple, origin: int, axis: int) -> np.ndarray:
    indices, weights = tap
    shape = (-1, 1) if axis == 0 else (1, -1)
    result = np.True_
    for k in range(indices.shape[1]):
        result = result & (np.take(valid, indices[:, k] - origin, axis) | (weights[:, k] == 0).reshape(shape))
    return np.asarray(result)
