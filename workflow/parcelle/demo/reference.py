"""The polygons that somebody declared: some of the fields, a little too small, a few wrongly named."""

from dataclasses import dataclass

import numpy as np
import shapely

from parcelle.demo.landscape import REGIONS, Landscape
from parcelle.demo.randomness import stream
from parcelle.errors import ParcelleError

LEAST = 6
"""Polygons that each class has in each region, at least."""


@dataclass(frozen=True)
class Reference:
    """Polygons, all ``(polygon,)``.

    Attributes:
        fields: Index of the field in the landscape.
        shapes: What was declared of it.
        labels: Code that was declared.
        truth: Code of the field.

    """

    fields: np.ndarray
    shapes: np.ndarray
    labels: np.ndarray
    truth: np.ndarray


def declare(
    landscape: Landscape,
    within: shapely.Geometry,
    *,
    share: float,
    erosion: float,
    smallest: float,
    mislabelled: float,
    seed: int,
) -> Reference:
    """Choose fields, class by class and region by region, and draw them as people do.

    Args:
        landscape: With the fields.
        within: Only fields with their centre in here, in the CRS of the landscape.
        share: Share of the fields of each class and region, as far as that gives `LEAST` polygons.
        erosion: Metres that polygons keep from the border of their field.
        smallest: Least area of a polygon, m².
        mislabelled: Share of the polygons that get a wrong code.
        seed: Of the random numbers.

    Raises:
        ParcelleError: A class has too few fields in a region.

    """
    shapes = _largest_part(shapely.buffer(landscape.shapes, -erosion, join_style="mitre"))
    centres = shapely.centroid(landscape.shapes)
    fit = (shapely.area(shapes) >= smallest) & shapely.contains(within, centres)
    chosen = np.sort(np.concatenate([
        _choose(fit & (landscape.codes == code) & (landscape.region == index), share, seed, code, index)
        for code in np.unique(landscape.codes) for index in range(len(REGIONS))
    ]))  # fmt: skip
    truth = landscape.codes[chosen]
    labels = mislabel(truth, landscape.region[chosen], mislabelled, stream(seed, "mislabelled"))
    return Reference(chosen, shapes[chosen], labels, truth)


def _choose(fit: np.ndarray, share: float, seed: int, code: int, region: int) -> np.ndarray:
    fields = np.flatnonzero(fit)
    if len(fields) < LEAST:
        raise ParcelleError(
            f"class {code} has {len(fields)} fields to declare in region {REGIONS[region]}, "
            f"where {LEAST} are needed: use larger tiles or smaller fields."
        )
    number = max(LEAST, round(share * len(fields)))
    return stream(seed, "declared", code, region).permutation(fields)[:number]


def _largest_part(shapes: np.ndarray) -> np.ndarray:
    """Largest polygon of each geometry: a field eroded at a narrow place falls apart."""
    parts, owner = shapely.get_parts(shapes, return_index=True)
    order = np.lexsort((shapely.area(parts), owner))
    largest = np.full(len(shapes), shapely.Polygon())
    largest[owner[order]] = parts[order]
    return largest


def mislabel(truth: np.ndarray, region: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """Give some polygons the code of another class, one at most of each class and region.

    Where a class has no more than `LEAST` polygons in a region, all keep their code.
    """
    labels, codes = truth.copy(), np.unique(truth)
    groups = [np.flatnonzero((truth == c) & (region == r)) for c in codes for r in np.unique(region)]
    candidates = np.array([random.choice(group) for group in groups if len(group) > LEAST], dtype=int)
    number = min(round(share * len(truth)), len(candidates))
    for polygon in random.permutation(candidates)[:number]:
        labels[polygon] = random.choice(codes[codes != truth[polygon]])
    return labels
