"""What is known of a run before its jobs run: settings, plan, sizes of its tiles, reference; and what was guessed."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from parcelle import feature_map, features, files, listing, reference, sensors, vector_files
from parcelle.areas import Areas
from parcelle.errors import StaleError
from parcelle.features import Recipe, Source
from parcelle.needs import Tile
from parcelle.nomenclature import Nomenclature
from parcelle.planning import Plan
from parcelle.reference import Extent
from parcelle.settings import Settings

# Cores of a job where the profile says nothing: the rules' own.
THREADS = {"inventory": 2, "sample": 2, "train": 2, "classify": 2, "feature_map": 2, "mosaic": 2}

# Files of masks that come with an image, where the inventory has not counted them.
MASKS = 2


@dataclass(frozen=True)
class Facts:
    """What is known of a run.

    Attributes:
        settings: All settings.
        sources: What features come from.
        chosen: Features that `features` writes.
        codes: Classes.
        plan: The plan.
        tiles: Size of each tile.
        guessed: Tiles without an inventory: their size follows from the names of their products.
        extents: Of each tile with reference, how much there is in each region.
        shares: Of each tile, the part that lies in regions, and in the area where there is one.
        threads: Cores of a job of each rule.

    """

    settings: Settings
    sources: Sequence[Source]
    chosen: Sequence[str]
    codes: Sequence[int]
    plan: Plan
    tiles: Mapping[str, Tile]
    guessed: Sequence[str]
    extents: Mapping[str, Mapping[str, Extent]]
    shares: Mapping[str, float]
    threads: Mapping[str, int] = field(default_factory=lambda: THREADS)

    @classmethod
    def read(cls, settings: Settings, threads: Mapping[str, int] | None = None) -> Self:
        """Read them from the results of a run, which lie in the folder where we are.

        Args:
            settings: Of the run.
            threads: Cores of a job, by rule, where a profile says so.

        Raises:
            StaleError: There is no plan, or a file is not the one that was written.

        """
        results, sources = Path(settings.results), features.sources(settings)
        plan = _plan(results)
        sizes = {tile: results / f"acquisitions/{tile}.size.json" for tile in plan.tiles}
        known = {tile: Tile.read(path) for tile, path in sizes.items() if path.is_file()}
        guessed = [tile for tile in plan.tiles if tile not in known]
        areas = {tile: Areas.read(str(results / f"areas/{tile}.parquet")) for tile in plan.tiles}
        return cls(
            settings,
            sources,
            feature_map.chosen(sources, settings.map.features),
            Nomenclature.read(settings.nomenclature).codes,
            plan,
            known | {tile: _guess(tile, plan, settings) for tile in guessed},
            guessed,
            {tile: _extents(results / f"reference/{tile}.parquet") for tile in plan.sampled_tiles()},
            {tile: _share(areas[tile], grid.footprint().area) for tile, grid in plan.tiles.items()},
            THREADS | dict(threads or {}),
        )

    def of(self, rule: str) -> int:
        """Cores of a job of a rule."""
        return self.threads.get(rule, 1)

    def acquisitions(self, tiles: Sequence[str]) -> int:
        """Acquisitions of some tiles."""
        return int(sum(sensor["acquisitions"] for tile in tiles for sensor in self.tiles[tile].sensors.values()))

    def region(self, region: str) -> Extent:
        """Reference of a region, in all its tiles."""
        return reference.extent(self.extents[tile][region] for tile in self.plan.tiles_of(region))

    @functools.cached_property
    def vectors_mb(self) -> float:
        """Size of the files of reference, regions and area, MiB."""
        given = (self.settings.reference, self.settings.regions, self.settings.area)
        return files.size_mb(part for place in given if place for part in vector_files.parts(place.path))


def _plan(results: Path) -> Plan:
    if not (results / "plan.json").is_file():
        raise StaleError(
            f"{results}/plan.json is missing, and without it neither regions nor samples are known. Make it first, "
            "which takes minutes: snakemake --until plan"
        )
    return Plan.read(files.verify(results / "plan.json"))


def _extents(path: Path) -> Mapping[str, Extent]:
    return reference.extents(str(files.refuse_missing(path)))


def _share(areas: Areas, whole: float) -> float:
    """Part of a tile that lies in regions."""
    return min(sum(geometry.area for geometry in areas.regions.values()) / whole, 1)


def _guess(tile: str, plan: Plan, settings: Settings) -> Tile:
    """Size of a tile from its grid and the names of its products; no image is opened."""
    grid = plan.tiles[tile]
    of_sensors = {r.sensor: _guess_sensor(tile, r, grid.resolution, settings) for r in features.recipes(settings)}
    return Tile(grid.height * grid.width, of_sensors)


def _guess_sensor(tile: str, recipe: Recipe, resolution: float, settings: Settings) -> dict[str, float]:
    """What `size.json` would say of a sensor."""
    sensor = settings.sensors[recipe.sensor]
    format = sensors.of(sensor)
    first, last = listing.used(settings)
    listed, _ = format.find(sensor.path, tile, recipe.sensor)
    found = [a for a in listed if recipe.static or first <= a.date <= last]
    sizes = {band.name: band.gsd for band in format.bands}
    density = sum((resolution / sizes.get(band, resolution)) ** 2 for band in recipe.bands)
    return {
        "dates": len({a.date for a in found}),
        "acquisitions": len(found),
        "bands": len(recipe.bands),
        "files": len(found) * (len(recipe.bands) + MASKS),
        "density": density,
    }
