"""The plan of a run: which regions each tile has, and which tiles each model learns from."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import geopandas as gpd
import numpy as np
import shapely

from parcelle import files, vectors
from parcelle.errors import InputError, StaleError
from parcelle.grid import Grid, in_metres, reproject, same_crs
from parcelle.reach import Reach

log = logging.getLogger(__name__)

WHOLE = "whole"

# Length of a degree in metres.
DEGREE = 111_320


@dataclass(frozen=True)
class Plan(Reach):
    """What the workflow has to know of a run before its jobs are known.

    Attributes:
        regions: Regions that each tile touches.
        sampled: Regions of which each tile holds reference polygons.
        tiles: Tiles, the first of overlapping ones first, each with its grid.

    """

    tiles: dict[str, Grid]

    @classmethod
    def of(cls, tiles: dict[str, dict[str, Any]]) -> Self:
        """Take the plan from the content of `plan.json`."""
        reach = Reach.of(tiles)
        return cls(reach.regions, reach.sampled, {name: Grid.from_dict(tile["grid"]) for name, tile in tiles.items()})

    def write(self, path: str) -> None:
        """Write `plan.json`."""
        content: dict[str, Any] = {
            name: {"grid": grid.to_dict(), "regions": self.regions[name], "sampled": self.sampled[name]}
            for name, grid in self.tiles.items()
        }
        files.write_json(path, {"tiles": content})

    def mosaic_pixels(self, resolution: float | None) -> float:
        """Pixels of the tiles in a mosaic, whose own are the tiles' if no resolution is given; overlaps count twice."""
        if resolution is None:
            return sum(grid.height * grid.width for grid in self.tiles.values())
        # In a mosaic in degrees, no pixel has a side of as much as one.
        side = resolution if resolution >= 1 else resolution * DEGREE
        return sum(grid.height * grid.width * grid.pixel_area for grid in self.tiles.values()) / side**2

    def warped(self, crs: str | None) -> bool:
        """Whether any tile has another CRS than the mosaic."""
        return crs is not None and not all(same_crs(own, crs) for own in {grid.crs for grid in self.tiles.values()})


def check_grid(plan: str | Path, tile: str, grid: Grid) -> None:
    """Refuse a tile whose images lie on another grid than the one its reference and regions were cut for.

    Raises:
        StaleError: Names both, and the command that mends it.

    """
    planned = Plan.read(plan).tiles[tile]
    if planned != grid:
        raise StaleError(
            f"tile {tile}: its images are on the grid {grid}, but the plan was made for {planned}. "
            "Make the plan again: snakemake --forcerun plan"
        )


def warn_of_gaps(tile: str, own: shapely.Geometry, regions: gpd.GeoDataFrame, path: str) -> None:
    """Say how much of a tile's own part (of the area, where there is one) lies in no region, hence is not mapped."""
    if own.is_empty:
        return
    gap = shapely.area(shapely.difference(own, shapely.union_all(regions.geometry.to_numpy()))) / shapely.area(own)
    if gap > 0.001:
        log.warning("tile %s: %.1f %% of it lies in no region of %s and is not mapped", tile, 100 * gap, path)


def own_areas(grids: dict[str, Grid]) -> dict[str, shapely.Geometry]:
    """Part of each tile that no earlier tile covers, in the tile's CRS."""
    outlines = {name: grid.footprint_in("EPSG:4326") for name, grid in grids.items()}
    areas: dict[str, shapely.Geometry] = {}
    for name, grid in grids.items():
        area = grid.footprint()
        for other in areas:
            if outlines[other].intersects(outlines[name]):
                area = area.difference(grids[other].footprint_in(grid.crs))
        areas[name] = area
    return areas


def parts_of(path: str, layer: str | None, grids: dict[str, Grid], polygons: gpd.GeoDataFrame) -> dict[str, Any]:
    """Part of each tile that lies in the area of interest, in the tile's CRS.

    Args:
        path: File of the area.
        layer: Its layer, where the file has several.
        grids: Grids of the tiles.
        polygons: From `reference.read`; those outside of the area are counted in the log.

    Raises:
        InputError: A tile has nothing of the area.

    """
    area = read_area(path, layer)
    parts = {tile: part_of(area, grid) for tile, grid in grids.items()}
    if outside := [tile for tile, part in parts.items() if part.is_empty]:
        named = vectors.listed(outside)
        raise InputError(f"tiles outside of the area {path}: {named}. Remove them from `tiles`, or enlarge the area.")
    _warn_of_outsiders(polygons, area, path)
    return parts


def read_area(path: str, layer: str | None = None) -> gpd.GeoSeries:
    """Where maps are made: one geometry, in the CRS of the file.

    Raises:
        InputError: The file holds no polygon, or something else.

    """
    frame = vectors.mend(vectors.read(path, [], layer), path)
    if frame.empty:
        raise InputError(f"{path} holds no polygon: draw the area in it, or remove `area`.")
    return gpd.GeoSeries([shapely.union_all(frame.geometry.to_numpy())], crs=frame.crs)


def _warn_of_outsiders(polygons: gpd.GeoDataFrame, area: gpd.GeoSeries, path: str) -> None:
    """Say how many reference polygons lie outside of the area, hence are not learnt from."""
    there = reproject(polygons.geometry.to_numpy(), polygons.crs, area.crs)
    if outside := int((~shapely.intersects(there, area.iloc[0])).sum()):
        log.warning("%d of %d reference polygons lie outside of the area %s", outside, len(polygons), path)


def part_of(area: gpd.GeoSeries, grid: Grid) -> shapely.Geometry:
    """Part of an area that lies in a tile, in the CRS of the tile; empty if it touches none of its pixels' centres."""
    (found,) = _local(area, grid)
    return found if found.area > 0 and found.intersects(_centres(grid)) else shapely.Polygon()


def _local(series: gpd.GeoSeries, grid: Grid) -> np.ndarray:
    """Polygons cut to the outline of a tile, in its CRS."""
    around = grid.footprint_in(series.crs).buffer(_pixel_in(series.crs, grid))
    # Cut before it is brought to the tile's CRS: a polygon may reach beyond where that is defined.
    part = shapely.segmentize(shapely.intersection(series.to_numpy(), around), _step(series.crs))
    local = shapely.make_valid(reproject(part, series.crs, grid.crs))
    return _polygons(shapely.intersection(local, grid.footprint()))


def common(first: shapely.Geometry, second: shapely.Geometry) -> shapely.Geometry:
    """What two polygons have in common, without lines and points."""
    return _polygons(np.array([shapely.intersection(first, second)]))[0]


def _polygons(geometries: np.ndarray) -> np.ndarray:
    """Without the points and lines that polygons have in common where they only touch."""
    parts = [shapely.get_parts(shapely.get_parts(geometry)) for geometry in geometries]
    areas = [part[shapely.get_dimensions(part) == 2] for part in parts]
    return np.array([part[0] if len(part) == 1 else shapely.multipolygons(part) for part in areas])


def _centres(grid: Grid) -> shapely.Polygon:
    """Box around the pixel centres of a tile: what does not reach it holds none."""
    x, y = grid.centres(grid.whole)
    return shapely.box(x[0], y[-1], x[-1], y[0])


def read_regions(path: str | None, field: str | None, layer: str | None = None) -> gpd.GeoDataFrame:
    """Regions by name, one row each: `name`, geometry. Without a file, one region that is everywhere.

    Raises:
        InputError: Regions overlap, or have no name, or one that cannot be a folder's.

    """
    if path is None or field is None:
        return gpd.GeoDataFrame({"name": [WHOLE]}, geometry=[shapely.box(-180, -90, 180, 90)], crs="EPSG:4326")
    frame = vectors.mend(vectors.read(path, [field], layer), path)
    vectors.refuse(frame[field].isna(), frame, path, f"have no {field}", "name or remove them")
    names = frame[field].astype(str)
    bad = ~names.str.fullmatch(r"[\w-]+") | (names == "all")
    vectors.refuse(
        bad,
        frame,
        path,
        f"have a {field} that is `all` or holds more than letters, digits, _ and -",
        "rename them",
    )
    frame = frame.assign(name=names).dissolve("name").reset_index()[["name", "geometry"]]
    frame = frame.sort_values("name", ignore_index=True)
    left, right = frame.sindex.query(frame.geometry, predicate="intersects")
    for a, b in zip(left[left < right], right[left < right], strict=True):
        shared = frame.geometry[a].intersection(frame.geometry[b]).area
        if shared > 1e-6 * min(frame.geometry[a].area, frame.geometry[b].area):
            raise InputError(f"{path}: regions {frame.name[a]!r} and {frame.name[b]!r} overlap: cut one by the other.")
    return frame


def regions_in(
    regions: gpd.GeoDataFrame, grid: Grid, whole: bool, area: shapely.Geometry | None = None
) -> gpd.GeoDataFrame:
    """Regions that reach a pixel centre of a tile, cut to its outline and to the area of interest, in its CRS.

    Args:
        regions: From `read_regions`.
        grid: Grid of the tile.
        whole: Whether there is one region that is everywhere.
        area: From `part_of`; None for the whole tile.

    """
    if whole:
        return gpd.GeoDataFrame({"name": [WHOLE]}, geometry=[grid.footprint() if area is None else area], crs=grid.crs)
    near = regions[regions.intersects(grid.footprint_in(regions.crs).buffer(_pixel_in(regions.crs, grid)))]
    local = _local(near.geometry, grid)
    local = local if area is None else _polygons(shapely.intersection(local, area))
    cut = gpd.GeoDataFrame({"name": near.name.to_numpy()}, geometry=local, crs=grid.crs)
    # One that reaches in by less than half a pixel holds no centre; it would need polygons and a model for nothing.
    reaches = (cut.area > 0) & cut.intersects(_centres(grid))
    return cut[reaches].sort_values("name", ignore_index=True)


def _pixel_in(crs: Any, grid: Grid) -> float:
    """About two pixels, in units of another CRS: outlines brought to it are a little beside the tile's edge."""
    return 2 * grid.resolution * (1e-5 if crs.is_geographic else 1)


def _step(crs: Any) -> float:
    """Length of the pieces that a border is cut into before it is brought to another CRS: 1 km or 0.01°."""
    return 0.01 if crs.is_geographic else 1000.0


def write_areas(regions: gpd.GeoDataFrame, own: shapely.Geometry, path: str) -> None:
    """Write the regions of a tile and the part of it that is its own: `kind` (region, own), `name`, geometry."""
    rows = gpd.GeoDataFrame(
        {"kind": ["region"] * len(regions) + ["own"], "name": [*regions.name, ""]},
        geometry=[*regions.geometry, own],
        crs=regions.crs,
    )
    with files.whole(path) as draft:
        rows.to_parquet(draft, index=False)


def check_crs(grids: dict[str, Grid], crs: str | None) -> None:
    """Refuse tiles whose CRS is not in metres, and tiles of several CRS without one for the mosaic.

    Raises:
        InputError: The images must be warped, or `mosaic.crs` is needed.

    """
    first = next(iter(grids.values()))
    for name, grid in grids.items():
        if not in_metres(grid.crs):
            raise InputError(
                f"tile {name} is in {grid.crs}, which is not projected in metres: areas would be wrong. Warp its "
                "images, e.g. to UTM."
            )
        if crs is None and not same_crs(grid.crs, first.crs):
            raise InputError(
                f"tile {name} is in {grid.crs} and tile {next(iter(grids))} in {first.crs}: say which CRS the mosaic "
                "should have, e.g. `mosaic: {crs: EPSG:3035}`."
            )
