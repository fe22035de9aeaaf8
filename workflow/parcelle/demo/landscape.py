"""What lies where: two regions, land divided into fields, rivers, lakes, woods and villages.

Everything is drawn once, as polygons in one CRS; tiles of any grid rasterise the same polygons.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from shapely import Polygon, affinity

from parcelle.demo.covers import BROADLEAF, BUILT, BY_CODE, CONIFER, WATER
from parcelle.demo.randomness import stream
from parcelle.demo.surface import Extent, random_surface

REGIONS = ("plain", "hills")

# Number of outlines of each kind per km² of each region, and their mean radius in metres.
_OUTLINES = (
    (WATER.code, (0.12, 0.12), 240),
    (BUILT.code, (0.50, 0.40), 200),
    (CONIFER.code, (0.28, 0.50), 270),
    (BROADLEAF.code, (0.40, 0.70), 290),
)
_RIVER = 34  # half of its width, metres
_BLOCK = 28  # fields in a block of parallel fields


@dataclass(frozen=True)
class Landscape:
    """Fields, and patches of the size of fields of what is not a field; together they cover the country.

    Attributes:
        crs: CRS of the geometries.
        extent: What they cover.
        regions: Outline of each region.
        shapes: Polygon of each field, ``(field,)``.
        codes: Class of each field, ``(field,)``.
        region: Index of its region in `REGIONS`, by its centre, ``(field,)``.

    """

    crs: str
    extent: Extent
    regions: dict[str, Polygon]
    shapes: np.ndarray
    codes: np.ndarray
    region: np.ndarray


def make(
    crs: str,
    footprint: shapely.Geometry,
    classes: tuple[int, ...],
    *,
    field_area: float,
    outlines: bool,
    seed: int,
) -> Landscape:
    """Draw a landscape.

    Args:
        crs: CRS of the country, in metres.
        footprint: What to cover; some land around it is drawn too.
        classes: Codes of the classes that occur.
        field_area: Mean area of a field, m².
        outlines: Whether water, villages and woods have outlines of their own; if not, they lie in fields.
        seed: Of the random numbers.

    """
    extent = shapely.buffer(footprint, 2 * field_area**0.5).bounds
    regions = halves(extent, stream(seed, "regions"))
    cells = np.array(list(parcels(extent, field_area, stream(seed, "parcels"))))
    cells = cells[shapely.intersects(cells, shapely.buffer(footprint, 50))]
    layers = natural(regions, footprint, classes, stream(seed, "outlines")) if outlines else {}
    shapes, codes = overlay(cells, layers, field_area / 5)
    x, y = _centres(shapes)
    region = (~shapely.contains_xy(regions["plain"], x, y)).astype(int)
    shares = {c: BY_CODE[c].shares if outlines else (1.0, 1.0) for c in classes}
    liking = {c: _liking(x, y, extent, stream(seed, "liking", c)) for c in classes}
    codes = assign(codes, region, shares, liking)
    return Landscape(crs, extent, regions, shapes, codes, region)


def _centres(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    centres = shapely.centroid(shapes)
    return shapely.get_x(centres), shapely.get_y(centres)


def halves(extent: Extent, random: np.random.Generator) -> dict[str, Polygon]:
    """Divide the country by a winding line from west to east: hills in the north, the plain in the south."""
    left, bottom, right, top = extent
    x = np.linspace(0, 1, 81)
    y = 0.36 + 0.30 * x
    for waves in (1.5, 3, 7):
        y += random.uniform(0.03, 0.05) / waves * np.sin(2 * np.pi * (waves * x + random.random()))
    line = np.column_stack([left + x * (right - left), bottom + y * (top - bottom)])
    plain = Polygon([*line, (right, bottom), (left, bottom)])
    hills = Polygon([*line, (right, top), (left, top)])
    return {"plain": plain, "hills": hills}


def parcels(extent: Extent, area: float, random: np.random.Generator) -> Iterator[Polygon]:
    """Divide land into blocks of any outline, and each block into fields parallel to each other.

    Args:
        extent: Land to divide.
        area: Mean area of a field, m².
        random: Source of the random numbers.

    """
    box = shapely.box(*extent)
    side = np.sqrt(area * _BLOCK)
    left, bottom, right, top = extent
    seeds = np.stack(np.meshgrid(np.arange(left, right + side, side), np.arange(bottom, top + side, side)), axis=-1)
    seeds = seeds.reshape(-1, 2) + random.uniform(-0.38, 0.38, (seeds.size // 2, 2)) * side
    blocks = shapely.voronoi_polygons(shapely.MultiPoint(seeds), extend_to=box)
    for block in shapely.get_parts(blocks):
        angle, centre = random.uniform(0, 90), block.centroid
        upright = affinity.rotate(block & box, -angle, origin=centre)
        for field in _halve(upright, area, random):
            yield affinity.rotate(field, angle, origin=centre)


def _halve(land: Polygon, area: float, random: np.random.Generator) -> Iterator[Polygon]:
    """Cut land across its longer side, and the halves again, down to about `area`."""
    if land.is_empty:
        return
    if land.area < area * random.uniform(0.9, 2.1):
        yield land
        return
    left, bottom, right, top = land.bounds
    share = random.uniform(0.38, 0.62)
    if right - left > (top - bottom) * random.uniform(0.6, 1.1):
        middle = left + share * (right - left)
        parts = shapely.box(left, bottom, middle, top), shapely.box(middle, bottom, right, top)
    else:
        middle = bottom + share * (top - bottom)
        parts = shapely.box(left, bottom, right, middle), shapely.box(left, middle, right, top)
    for part in parts:
        yield from _halve(land & part, area, random)


def natural(
    regions: dict[str, Polygon],
    footprint: shapely.Geometry,
    classes: tuple[int, ...],
    random: np.random.Generator,
) -> dict[int, shapely.Geometry]:
    """Outlines of water, villages and woods by code; where they overlap, the first wins."""
    layers = {}
    for code, densities, radius in _OUTLINES:
        if code not in classes:
            continue
        shapes = [river(footprint.bounds, random)] if code == WATER.code else []
        for density, region in zip(densities, regions.values(), strict=True):
            land = region & footprint
            for _ in range(max(2, round(density * land.area / 1e6))):
                x, y = _point_in(land, random)
                shapes.append(blob(x, y, radius * random.uniform(0.6, 1.5), random))
        layers[code] = shapely.union_all(shapes)
    return layers


def _point_in(region: shapely.Geometry, random: np.random.Generator) -> tuple[float, float]:
    left, bottom, right, top = region.bounds
    while True:
        x, y = random.uniform(left, right), random.uniform(bottom, top)
        if shapely.contains_xy(region, x, y):
            return x, y


def blob(x: float, y: float, radius: float, random: np.random.Generator) -> Polygon:
    """Draw a rounded outline around a point."""
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    r = np.ones_like(angle)
    for waves in range(2, 8):
        r += random.normal(0, 0.32 / waves) * np.cos(waves * angle + random.uniform(0, 2 * np.pi))
    r = radius * np.maximum(r, 0.3)
    return Polygon(np.column_stack([x + r * np.cos(angle), y + r * np.sin(angle)]))


def river(extent: Extent, random: np.random.Generator) -> Polygon:
    """Draw a river that winds from the north to the south."""
    left, bottom, right, top = extent
    t = np.linspace(-0.02, 1.02, 240)
    x = 0.30 + 0.22 * t + 0.05 * np.sin(2 * np.pi * (1.3 * t + random.random()))
    for waves in (4, 9):
        x += 0.05 / waves * np.sin(2 * np.pi * (waves * t + random.random()))
    line = shapely.LineString(np.column_stack([left + x * (right - left), top - t * (top - bottom)]))
    return line.buffer(_RIVER)


def overlay(cells: np.ndarray, layers: dict[int, shapely.Geometry], smallest: float) -> tuple[np.ndarray, np.ndarray]:
    """Cut fields by the outlines of what is not a field.

    Args:
        cells: Polygons that cover the land.
        layers: Code → outline.
        smallest: Pieces of less, m², are joined to the largest piece of their cell.

    Returns:
        Polygons, and their codes: 0 for land that is still to be given a class.

    """
    shapely.prepare(list(layers.values()))
    shapes, codes = [], []
    for cell in cells:
        for code, shape in _joined(_pieces(cell, layers), smallest):
            for part in shapely.get_parts(shape):
                shapes.append(part)
                codes.append(code)
    return np.array(shapes), np.array(codes)


def _pieces(cell: Polygon, layers: dict[int, shapely.Geometry]) -> dict[int, shapely.Geometry]:
    pieces, rest = {}, cell
    for code, outline in layers.items():
        if outline.intersects(rest):
            pieces[code], rest = rest & outline, rest - outline
    pieces[0] = rest
    return {code: piece for code, piece in pieces.items() if piece.area > 0}


def _joined(pieces: dict[int, shapely.Geometry], smallest: float) -> list[tuple[int, shapely.Geometry]]:
    """Join small pieces to the largest one."""
    main = max(pieces, key=lambda code: pieces[code].area)
    kept = {code: piece for code, piece in pieces.items() if piece.area >= smallest and code != main}
    joined = shapely.union_all([piece for code, piece in pieces.items() if code not in kept])
    return [(main, _polygonal(joined)), *((code, _polygonal(piece)) for code, piece in kept.items())]


def _polygonal(shape: shapely.Geometry) -> shapely.Geometry:
    """Leave out lines and points that an intersection may give."""
    parts = shapely.get_parts(shape)
    return shapely.union_all(parts[shapely.area(parts) > 0])


def assign(
    codes: np.ndarray,
    region: np.ndarray,
    shares: dict[int, tuple[float, float]],
    liking: dict[int, np.ndarray],
) -> np.ndarray:
    """Give land without a class one, so that each region has its shares of classes, to a field.

    Args:
        codes: 0 where a class is to be given, ``(field,)``.
        region: Index of the region, ``(field,)``.
        shares: Code → share in each region; they need not add up to 1.
        liking: Code → how well a field suits the class, ``(field,)``. The rarest class chooses first.

    """
    codes = codes.copy()
    for index in range(len(REGIONS)):
        open_land = np.flatnonzero((codes == 0) & (region == index))
        weight = np.array([share[index] for share in shares.values()])
        ends = np.round(np.cumsum(weight) / weight.sum() * len(open_land)).astype(int)
        numbers = dict(zip(shares, np.diff(ends, prepend=0), strict=True))
        for code in sorted(numbers, key=lambda code: numbers[code]):
            best = np.argsort(-liking[code][open_land], kind="stable")[: numbers[code]]
            codes[open_land[best]] = code
            open_land = np.delete(open_land, best)
    return codes


def _liking(x: np.ndarray, y: np.ndarray, extent: Extent, random: np.random.Generator) -> np.ndarray:
    """How well fields suit a class: by their soil, which neighbours share, and by the farmer's own plans."""
    soil = random_surface(random, extent, 60, {420: 1.0, 150: 0.4})
    return soil.at(x, y) + random.normal(0, 1.6, len(x))
