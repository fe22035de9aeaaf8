"""The reference polygons: check them, cut them by region and by the tile that owns the place."""

import functools
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from parcelle import files, vectors
from parcelle.errors import InputError, StaleError
from parcelle.grid import Grid, reproject
from parcelle.nomenclature import Nomenclature

log = logging.getLogger(__name__)

COLUMNS = ["polygon", "code", "region", "x", "y", "field", "geometry"]


@dataclass(frozen=True)
class Source:
    """Where the reference polygons are: file, layer, field of the class, field that groups them (or None)."""

    path: str
    field: str
    layer: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class Extent:
    """How much reference there is: pieces of polygons, and their area in pixels."""

    polygons: int
    pixels: float


def read(source: Source, nomenclature: Nomenclature) -> gpd.GeoDataFrame:
    """Read and check the reference polygons.

    Returns:
        One row per polygon, in the CRS of the file: `polygon` (hash of its geometry), `code`, `x`, `y` (centroid in
        metres), `field` (empty if `source.group` is None), `geometry`.

    Raises:
        InputError: What cannot be mended, with the features' numbers.

    """
    path = source.path
    wanted = [source.field] + ([source.group] if source.group else [])
    found = vectors.read(path, wanted, source.layer)
    if found.empty:
        raise InputError(f"{path} holds no polygon.")
    found = vectors.mend(found, path)
    # A frame of its own: the user's fields may have the names of ours.
    frame = found[["fid", "geometry"]].assign(
        polygon=vectors.identity(found.geometry),
        code=_codes(found, source, nomenclature),
        field=_groups(found, source),
    )
    frame = _without_repeats(frame, path)
    _refuse_overlaps(frame, path)
    centroid = (frame.geometry if _in_metres(frame.crs) else frame.geometry.to_crs("EPSG:6933")).centroid
    return frame.assign(x=centroid.x, y=centroid.y)[[c for c in COLUMNS if c != "region"]]


def _in_metres(crs: Any) -> bool:
    return crs.is_projected and crs.axis_info[0].unit_conversion_factor == 1


def _without_repeats(frame: gpd.GeoDataFrame, path: str) -> gpd.GeoDataFrame:
    """Keep one of several features with the same outline and the same class."""
    repeated = frame.duplicated(["polygon", "code"])
    if repeated.any():
        log.warning(
            "%s: %d repeated polygons left out: fid %s", path, repeated.sum(), vectors.listed(frame.fid[repeated])
        )
    return frame[~repeated].reset_index(drop=True)


def _codes(frame: gpd.GeoDataFrame, source: Source, nomenclature: Nomenclature) -> np.ndarray:
    """Class code of each polygon, from its code or name."""
    values = frame[source.field]
    empty = values.isna() | (values.astype(str).str.strip() == "")
    vectors.refuse(empty, frame, source.path, f"have no class in {source.field!r}", "fill it in or remove them")
    code_of = {value: nomenclature.code(value) for value in values.unique()}
    codes = values.map(code_of)
    if codes.isna().any():
        wrong = map(repr, values[codes.isna()].unique().tolist())
        raise InputError(
            f"{source.path}: class {vectors.listed(wrong)} of field {source.field!r} is not in the "
            f"nomenclature (fid {vectors.listed(frame.fid[codes.isna()])}): add it there or remove the polygons."
        )
    return codes.to_numpy(np.int32)


def _groups(frame: gpd.GeoDataFrame, source: Source) -> pd.Series:
    if source.group is None:
        return pd.Series("", index=frame.index)
    values = frame[source.group]
    empty = values.isna() | (values.astype(str).str.strip() == "")
    vectors.refuse(empty, frame, source.path, f"have no {source.group!r}", "`split.field` must be filled in")
    return values.astype(str)


def _refuse_overlaps(frame: gpd.GeoDataFrame, path: str) -> None:
    """Refuse polygons of different classes that share more than a sliver.

    Slivers (less than 1 % of the smaller one) come from digitising; a pixel whose centre lies in one belongs to the
    polygon whose name sorts first. So does one in two polygons of one class.
    """
    left, right = frame.sindex.query(frame.geometry, predicate="intersects")
    pairs = left < right
    left, right = left[pairs], right[pairs]
    a, b = frame.geometry.to_numpy()[left], frame.geometry.to_numpy()[right]
    share = shapely.area(shapely.intersection(a, b)) / np.minimum(shapely.area(a), shapely.area(b))
    different = frame.code.to_numpy()[left] != frame.code.to_numpy()[right]
    if (same := (share > 0.01) & ~different).any():
        log.warning("%s: %d pairs of polygons of one class overlap; shared pixels count once", path, same.sum())
    if (wrong := (share > 0.01) & different).any():
        pairs_of = [f"{frame.fid[i]} and {frame.fid[j]}" for i, j in zip(left[wrong], right[wrong], strict=True)]
        raise InputError(
            f"{path}: polygons of different classes overlap (fid {vectors.listed(pairs_of)}): their class is not "
            "clear. Cut or remove them."
        )


def pieces(
    polygons: gpd.GeoDataFrame, grid: Grid, own: shapely.Geometry, regions: gpd.GeoDataFrame
) -> gpd.GeoDataFrame:
    """Cut polygons by the tile's own area and by its regions.

    Args:
        polygons: From `read`.
        grid: Grid of the tile.
        own: Part of the tile that no earlier tile covers, in its CRS.
        regions: Regions of the tile, in its CRS: `name`, geometry.

    Returns:
        One row per piece, in the CRS of the tile, sorted by polygon and region: `COLUMNS`. Empty if there is none.

    """
    near = polygons.iloc[np.sort(polygons.sindex.query(grid.footprint_in(polygons.crs), predicate="intersects"))]
    local = near.assign(geometry=reproject(near.geometry.to_numpy(), polygons.crs, grid.crs)).set_crs(
        grid.crs, allow_override=True
    )
    parts = []
    for region in regions.itertuples():
        area = shapely.intersection(own, region.geometry)
        shapely.prepare(area)
        inside = local[shapely.intersects(local.geometry.to_numpy(), area)]
        within = shapely.covers(area, inside.geometry.to_numpy())
        cut = np.where(within, inside.geometry.to_numpy(), shapely.intersection(inside.geometry.to_numpy(), area))
        parts.append(inside.assign(geometry=cut, region=region.name))
    result = gpd.GeoDataFrame(pd.concat(parts, ignore_index=True), crs=grid.crs)
    result = result[result.area > 0]
    return result.sort_values(["polygon", "region"], ignore_index=True)[COLUMNS]


def write(frame: gpd.GeoDataFrame, path: str, pixel_area: float) -> None:
    """Write the pieces of a tile; the end of the file says how many there are of each region, and how many pixels.

    Args:
        frame: From `pieces`.
        path: File to write.
        pixel_area: Area of a pixel of the tile, in m².

    """
    frame = frame.copy(deep=False)
    pixels = pd.Series(shapely.area(frame.geometry.to_numpy()) / pixel_area, frame.index).groupby(frame.region)
    frame.attrs = {"extents": {str(region): [len(one), float(one.sum())] for region, one in pixels}}
    with files.whole(path) as draft:
        frame.to_parquet(draft, index=False)


def extents(path: str) -> dict[str, Extent]:
    """How much of each region there is in a file that `write` wrote, from the end of the file alone.

    Raises:
        FileNotFoundError: There is no such file.
        StaleError: It is not what `write` wrote.

    """
    return _read_extents(path, Path(path).stat().st_mtime_ns)


@functools.cache
def _read_extents(path: str, changed: int) -> dict[str, Extent]:
    """Read extents from a file that was last changed then; Snakemake asks for them once per job of a tile."""
    try:
        found = json.loads(pq.read_metadata(path).metadata[b"PANDAS_ATTRS"])["extents"]
    except (pa.ArrowInvalid, KeyError, ValueError):
        raise StaleError(f"{path} is no reference of a tile. Make it again: snakemake --forcerun plan") from None
    return {region: Extent(polygons, pixels) for region, (polygons, pixels) in found.items()}


def extent(of_regions: Iterable[Extent]) -> Extent:
    """Add up the extents of several regions or tiles."""
    found = list(of_regions)
    return Extent(sum(one.polygons for one in found), sum(one.pixels for one in found))


def check_coverage(
    of_tiles: Mapping[str, gpd.GeoDataFrame], regions: list[str], polygons: gpd.GeoDataFrame, path: str
) -> None:
    """Refuse a run that cannot end: no polygon on any tile, or a region with fewer than two classes.

    Raises:
        InputError: Names the regions.

    """
    everything = pd.concat([f[["polygon", "code", "region"]] for f in of_tiles.values()], ignore_index=True)
    if everything.empty:
        raise InputError(
            f"none of the {len(polygons)} polygons of {path} lies on a tile ({vectors.listed(of_tiles)}): "
            "is the CRS of the file right, and are these the tiles you mean?"
        )
    outside = len(polygons) - everything.polygon.nunique()
    if outside:
        where = "outside all tiles, or of what is mapped of them"
        log.warning("%s: %d of %d polygons lie %s", path, outside, len(polygons), where)
    for region in regions:
        codes = sorted(everything.code[everything.region == region].unique())
        if len(codes) < 2:
            found = f"only class {codes[0]}" if codes else "no reference polygon"
            raise InputError(
                f"region {region!r} has {found} in {path}; a model needs at least two classes: add polygons there, or "
                "join it to another region."
            )
