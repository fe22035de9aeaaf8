"""What each job needs: peak memory of its script, core-seconds and disk, as formulas of what is known before it runs.

A formula counts what the job does: pixels read, trees grown, polygons cut. `needs.json` says what one of each takes;
`python benchmarks/needs.py` measures it. Both what rules ask for and what `operations.cost` foretells follow from here.
"""

import functools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from parcelle import feature_map as rasters_of_features
from parcelle import features, files, mapping, models_size, mosaic, training
from parcelle.errors import StaleError
from parcelle.features import Source
from parcelle.mapping import Options
from parcelle.models_size import Models
from parcelle.reference import Extent
from parcelle.samples import Size
from parcelle.settings import Settings

CONSTANTS = Path(__file__).with_name("needs.json")

MIB = 2**20

# Side of the blocks that images are taken to be stored in: of what is sampled, whole blocks are read.
BLOCK = 512

# Longer side of a picture on the page, in pixels.
PICTURE = 1600

# What an inventory has of each sensor in `size.json`.
OF_SENSOR = ("dates", "acquisitions", "bands", "files", "density")


@dataclass(frozen=True)
class Need:
    """What a job needs.

    Attributes:
        core_seconds: Time of cores, however many work side by side.
        memory_mb: Largest memory of the script's process, MiB.
        disk_mb: What it leaves behind, MiB.
        drafts_mb: What lies beside that while it is written, MiB.

    """

    core_seconds: float
    memory_mb: float
    disk_mb: float
    drafts_mb: float = 0


@dataclass(frozen=True)
class Work:
    """What a job does, counted.

    Attributes:
        rule: Its rule.
        time: Amounts that its time follows, by name; one `job` is always among them.
        memory: Amounts that its memory follows.
        disk: Amounts that what it leaves behind follows.
        memory_mb: Memory that a formula gives, MiB.
        drafts_mb: As in `Need`.
        copies: How often what it leaves behind lies there a further time while it is written.

    """

    rule: str
    time: Mapping[str, float]
    memory: Mapping[str, float]
    disk: Mapping[str, float]
    memory_mb: float = 0
    drafts_mb: float = 0
    copies: float = 0

    def need(self) -> Need:
        """What that takes, by the measured constants."""
        seconds, memory, disk = (
            sum(amount * constants()[kind][self.rule].get(name, 0) for name, amount in ({"job": 1} | amounts).items())
            for kind, amounts in self.by_kind().items()
        )
        return Need(seconds, memory + self.memory_mb, disk, self.drafts_mb + self.copies * disk)

    def by_kind(self) -> dict[str, dict[str, float]]:
        """Amounts by what is measured of them: a section of `needs.json`."""
        return {"seconds": dict(self.time), "memory_mb": dict(self.memory), "disk_mb": dict(self.disk)}


@functools.cache
def constants() -> dict[str, Any]:
    """What `benchmarks/needs.py` measured: `seconds`, `memory_mb` and `disk_mb` of each amount, by rule; and nodes."""
    return json.loads(CONSTANTS.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Tile:
    """How large a tile is: its pixels, and of each sensor what `size.json` says."""

    pixels: int
    sensors: Mapping[str, Mapping[str, float]]

    @classmethod
    def read(cls, path: str | Path) -> "Tile":
        """Read `acquisitions/{tile}.size.json`.

        Raises:
            FileNotFoundError: It is still to be made.
            StaleError: It was changed, or comes from another version.

        """
        # Snakemake takes a FileNotFoundError that names the file, and no other, for a file that is still to be made.
        Path(path).stat()
        content = files.read_json(path)
        known = isinstance(content, dict) and isinstance(content.get("sensors"), dict) and "pixels" in content
        if not known or any(name not in sensor for sensor in content["sensors"].values() for name in OF_SENSOR):
            raise StaleError(
                f"{path} does not say how large the tile is; another version of Parcelle wrote it. Make it again: "
                f"snakemake --forcerun {path}"
            )
        return cls(content["pixels"], content["sensors"])

    def of(self, sources: Sequence[Source]) -> Mapping[str, Mapping[str, float]]:
        """Sizes of the sensors that some features come from.

        Raises:
            StaleError: One of them is not among those of the tile.

        """
        names = [recipe.sensor for recipe in features.of_sensors(sources)]
        if unknown := [name for name in names if name not in self.sensors]:
            raise StaleError(
                f"the inventory of a tile has no sensor {unknown[0]!r}, which the settings name: make it again: "
                "snakemake --forcerun inventory"
            )
        return {name: self.sensors[name] for name in names}

    def values(self, sources: Sequence[Source]) -> float:
        """Values of bands that are read of the whole tile."""
        return self.pixels * sum(s["density"] * s["acquisitions"] for s in self.of(sources).values())

    def slow(self, sources: Sequence[Source]) -> float:
        """Values of bands that are in JPEG 2000, of the whole tile."""
        return self.pixels * sum(
            s["density"] * s["acquisitions"] * s.get("jpeg2000", 0) for s in self.of(sources).values()
        )

    def window(self, settings: Settings) -> int:
        """Side of the windows that the tile is walked by."""
        return min(settings.window.size, int(self.pixels**0.5) + 1)

    def held(self, settings: Settings) -> float:
        """Windows that are in memory at a time: two, or the whole tile if that is less."""
        return min(2, self.pixels / self.window(settings) ** 2)


def plan(vectors_mb: float, tiles: int) -> Work:
    """Cut polygons by tiles and regions: all of them are in memory, as they were read and as they were cut.

    Args:
        vectors_mb: Files of reference, regions and area, MiB.
        tiles: Number of tiles.

    """
    amounts = {"vectors": vectors_mb, "tiles": tiles}
    return Work("plan", amounts, amounts, amounts)


def inventory(products: int, images_mb: float = 0) -> Work:
    """Look at the products of a tile; `images_mb` is the size of their files, MiB, where every block is read."""
    of_products = {"products": products}
    return Work("inventory", of_products | {"images": images_mb}, of_products, of_products)


def rows(extent: Extent, settings: Settings) -> float:
    """Samples that the polygons of a tile give."""
    most = settings.sampling.per_polygon_max
    return min(extent.pixels, extent.polygons * most) if most else extent.pixels


def sample(tile: Tile, extent: Extent, sources: Sequence[Source], settings: Settings, threads: int) -> Work:
    """Read the pixels in polygons: windows as for mapping, but only of the blocks that hold some; and the table."""
    names, itemsize = features.names(sources), np.dtype(features.dtype_of(sources)).itemsize
    walked = _walked_mb(tile, sources, Options((1,), (), 1), settings, threads)
    cells = rows(extent, settings) * len(names)
    table = {"table": cells * itemsize / MIB}
    # Each block holds a polygon, or none: as many are empty as if polygons fell at random.
    share = 1 - math.exp(-extent.polygons / max(tile.pixels / BLOCK**2, 1))
    # With `cache: scratch`, sampling decodes the whole tile, and mapping nothing.
    slow = tile.slow(sources) * (1 if settings.cache == "scratch" else share)
    time = {"values": share * tile.values(sources), "cells": cells, "files": _files(tile, sources), "jpeg2000": slow}
    return Work("sample", time, table, table, walked)


def _walked_mb(
    tile: Tile, sources: Sequence[Source], options: Options, settings: Settings, threads: int, models_mb: float = 0
) -> float:
    """Memory for walking a tile, beside the interpreter's: images that are smaller than a block have smaller ones."""
    side, held = tile.window(settings), tile.held(settings)
    found = mapping.memory_mb(tile.of(sources), sources, options, side, threads, models_mb, held)
    return found - mapping.BASE_MB - _small_mb(tile, sources)


def _small_mb(tile: Tile, sources: Sequence[Source]) -> float:
    """What open files take less where they are smaller than a block, MiB."""
    return sum(
        size["files"] * mapping.FILE_MB * max(1 - tile.pixels * size["density"] / size["bands"] / BLOCK**2, 0)
        for size in tile.of(sources).values()
    )


def _files(tile: Tile, sources: Sequence[Source]) -> float:
    return sum(size["files"] for size in tile.of(sources).values())


def split(polygons: int) -> Work:
    """Divide the polygons of a region; all those of its tiles are read."""
    of_polygons = {"polygons": polygons}
    return Work("split", of_polygons, of_polygons, of_polygons)


def train(size: Size, classes: int, settings: Settings, seed: str, threads: int) -> Work:
    """Grow trees and try them.

    Args:
        size: Samples of the region.
        classes: Number of classes.
        settings: All settings.
        seed: Its number, or `all`.
        threads: Threads.

    """
    learnt, options = models_size.learning(size.rows, classes, settings, seed), settings.model.model_dump()
    tried = 0.0 if seed == training.ALL else size.rows * (1 - settings.split.ratio)
    depth = math.log2(max(learnt, 2))
    forest = models_size.forest_of(settings)
    time = {
        "grown": forest.trees * learnt * depth * _tried_features(forest.features, size.features),
        "walked": forest.trees * tried * depth,
        "cells": size.rows * size.features,
    }
    memory = training.memory_mb(size, int(learnt), classes, options, threads) - training.BASE_MB
    return Work("train", time, {}, {"nodes": models_size.nodes(learnt, settings), "tried": tried}, memory)


def _tried_features(chosen: int | str, of: int) -> float:
    """Features that are tried at a split."""
    of = max(of, 1)
    return min(chosen, of) if isinstance(chosen, int) else of**0.5 if chosen == "sqrt" else math.log2(of + 1)


def classify(
    tile: Tile,
    found: Models,
    sources: Sequence[Source],
    settings: Settings,
    codes: Sequence[int],
    threads: int,
    share: float = 1,
) -> Work:
    """Map a tile; `share` of it lies in regions, and in the area where there is one."""
    options = Options(tuple(codes), tuple(settings.map.products), settings.map.min_valid)
    memory = _walked_mb(tile, sources, options, settings, threads, found.memory_mb)
    pixels = tile.pixels * share
    time = {
        "values": tile.values(sources) * share,
        "jpeg2000": 0 if settings.cache == "scratch" else tile.slow(sources) * share,
        "features": pixels * len(features.names(sources)),
        "visits": pixels * found.visits,
        "pixels": pixels,
        "files": _files(tile, sources),
    }
    written = {p: pixels * options.bands(p) * np.dtype(options.dtype(p)).itemsize / MIB for p in options.products}
    drafts = sum(tile.pixels * options.bands(p) * np.dtype(options.dtype(p)).itemsize for p in options.products) / MIB
    return Work("classify", time, {}, written, memory, drafts)


def feature_map(
    tile: Tile, sources: Sequence[Source], chosen: Sequence[str], settings: Settings, threads: int, share: float = 1
) -> Work:
    """Write features of a tile."""
    used = rasters_of_features.needed(sources, chosen)
    side, held = tile.window(settings), tile.held(settings)
    memory = rasters_of_features.memory_mb(tile.of(used), sources, chosen, side, threads, held)
    pixels, itemsize = tile.pixels * share, np.dtype(rasters_of_features.dtype_of(sources, chosen)).itemsize
    time = {"values": tile.values(used) * share, "features": pixels * len(features.names(used))}
    time |= {"written": pixels * len(chosen), "files": _files(tile, used), "jpeg2000": tile.slow(used) * share}
    disk = {"raster": pixels * len(chosen) * itemsize / MIB}
    # Smaller versions of the raster take a third.
    drafts = 4 / 3 * tile.pixels * len(chosen) * itemsize / MIB
    return Work("feature_map", time, {}, disk, memory - mapping.BASE_MB - _small_mb(tile, used), drafts)


def mosaic_of(
    product: str, pixels: float, settings: Settings, codes: Sequence[int], threads: int, warped: bool = False
) -> Work:
    """Put the maps of a product together.

    Args:
        product: Its name.
        pixels: Pixels of the mosaic that tiles cover.
        settings: All settings.
        codes: Classes.
        threads: Threads.
        warped: Whether any tile is in another CRS.

    """
    options = Options(tuple(codes), tuple(settings.map.products), 1)
    bands, itemsize = options.bands(product), np.dtype(options.dtype(product)).itemsize
    size, side = pixels * bands * itemsize / MIB, min(mosaic.BLOCK, int(pixels**0.5) + 1)
    time = {"pixels": pixels, "warped": pixels * warped, "values": pixels * bands}
    busy = min(threads, pixels / side**2)
    memory = mosaic.memory(bands, itemsize, busy, side, pixels) / MIB - mosaic.LIBRARIES / MIB
    # A plain file lies beside the cloud-optimised one, and its smaller versions for a time.
    return Work("mosaic", time, {}, {product: size, "names": product == "class"}, memory, copies=2)


def assess(tried: float, models_: int, classes: int, tiles: int) -> Work:
    """Add up.

    Args:
        tried: Validation samples of all models.
        models_: Number of models that are validated.
        classes: Number of classes.
        tiles: Number of tiles.

    """
    cells = models_ * classes**2
    return Work("assess", {"tried": tried, "cells": cells, "tiles": tiles}, {"tried": tried}, {"cells": cells})


def report(tiles: int, listed_mb: float, pixels: float) -> Work:
    """Draw the page, from mosaics of so many pixels and from the lists of all acquisitions, which have so many MiB."""
    amounts = {"drawn": min(pixels, PICTURE**2), "listed": listed_mb}
    return Work("report", amounts, amounts, amounts | {"tiles": tiles})


def provenance(tiles: int, listed_mb: float, published: int) -> Work:
    """Describe the run: the lists of acquisitions, which have so many MiB, and so many published files."""
    written = {"tiles": tiles, "published": published}
    return Work("provenance", written | {"listed": listed_mb}, {"listed": listed_mb}, written)
