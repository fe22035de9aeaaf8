"""Which regions each tile reaches into: the part of the plan from which the jobs of a run follow.

Every job of the workflow reads it, so nothing here needs a library that takes long to import.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from parcelle import files


@dataclass(frozen=True)
class Reach:
    """Regions of tiles.

    Attributes:
        regions: Regions that each tile touches; the tiles in the plan's order.
        sampled: Regions of which each tile holds reference polygons.

    """

    regions: dict[str, list[str]]
    sampled: dict[str, list[str]]

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read `plan.json`."""
        return cls.of(files.read_json(path)["tiles"])

    @classmethod
    def of(cls, tiles: dict[str, dict[str, Any]]) -> Self:
        """Take them from the content of `plan.json`."""
        regions = {name: tile["regions"] for name, tile in tiles.items()}
        return cls(regions, {name: tile["sampled"] for name, tile in tiles.items()})

    def all_regions(self) -> list[str]:
        """Regions that some tile touches, sorted."""
        return sorted({region for of_tile in self.regions.values() for region in of_tile})

    def sampled_tiles(self) -> list[str]:
        """Tiles that hold reference polygons, in the plan's order."""
        return [tile for tile, regions in self.sampled.items() if regions]

    def tiles_of(self, region: str) -> list[str]:
        """Tiles that hold reference polygons of a region, in the plan's order."""
        return [tile for tile, regions in self.sampled.items() if region in regions]
