"""Mapping a generated tile by Parcelle, as its `classify` job does it, in this process."""

import datetime
import hashlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import forest
import measure
import rasterio
import scene
import shapely
import tile

from parcelle import features, inventory, mapping, settings
from parcelle.acquisitions import Inventory
from parcelle.areas import Areas
from parcelle.cube import Tile, Walk
from parcelle.features import Recipe
from parcelle.images import GDAL, Images
from parcelle.models.forest import Forest
from parcelle.training import Model
from parcelle.windows import overlapped

SAMPLES = 40_000
SCENE = hashlib.sha256(Path(scene.__file__).read_bytes()).hexdigest()[:12]  # what the samples follow from
PRODUCTS = ("class", "confidence", "validity")
PERIOD = settings.Period(start=tile.YEAR, end=tile.YEAR + datetime.timedelta(days=int(scene.REGULAR[-1])))
TILE_PIXELS = 10_980**2


@dataclass(frozen=True)
class Job:
    """What is mapped, and how."""

    inventory: Inventory
    recipes: Sequence[Recipe]
    models: Mapping[str, Sequence[Model]]
    areas: Areas
    options: mapping.Options = field(
        default_factory=lambda: mapping.Options(tuple(range(1, scene.CLASSES + 1)), PRODUCTS, 1)
    )

    @property
    def pixels(self) -> int:
        """Pixels of the tile."""
        return self.inventory.grid.height * self.inventory.grid.width

    def map(self, folder: Path, threads: int, window: int = 1024) -> None:
        """Map the tile; the products go to a folder."""
        outputs = {product: str(folder / f"{product}.tif") for product in self.options.products}
        mapping.map_tile(
            self.inventory,
            self.areas,
            self.models,
            self.recipes,
            outputs,
            self.options,
            window=window,
            threads=threads,
            tags={},
        )

    def read(self, threads: int, window: int = 1024) -> float:
        """Seconds for reading all windows and doing nothing with them; files are open, and memory is there."""
        with Images() as images, rasterio.Env(**GDAL):
            walk = Walk(Tile(self.inventory, self.recipes, 1, images), window)
            for _ in ("open", "count"):
                start = time.perf_counter()
                for _ in overlapped(walk.steps, lambda step: walk.begin(step).reading, lambda step: [], threads, GDAL):
                    pass
            return time.perf_counter() - start

    def with_regions(self, count: int) -> "Job":
        """The same, with so many regions side by side, each with the same model."""
        left, bottom, right, top = self.inventory.grid.bounds
        width = (right - left) / count
        boxes = {f"r{i}": shapely.box(left + i * width, bottom, left + (i + 1) * width, top) for i in range(count)}
        (models,) = self.models.values()
        return replace(self, areas=_areas(boxes), models=dict.fromkeys(boxes, models))

    def with_seeds(self, count: int) -> "Job":
        """The same, by the mean of so many models."""
        return replace(self, models={name: list(of_region) * count for name, of_region in self.models.items()})

    def with_products(self, products: Sequence[str]) -> "Job":
        """The same, with other products."""
        return replace(self, options=replace(self.options, products=tuple(products)))

    def with_dates(self, dates: int) -> "Job":
        """The same, with every so-manieth acquisition, so many in all."""
        every = self.inventory.acquisitions
        if dates > len(every):
            raise ValueError(f"{dates} acquisitions are asked for, of {len(every)}")
        kept = tuple(every[i * len(every) // dates] for i in range(dates))
        return replace(self, inventory=replace(self.inventory, acquisitions=kept))


def of(products: Path) -> Job:
    """Job for the products that `tile.write` wrote."""
    sensor = settings.Sensor(format="sentinel2-theia-l2a", path=str(products.parent))
    (recipe,) = features.recipes(_settings(sensor))
    grid = inventory.tile_grid({"s2": sensor}, tile.TILE, "header", (PERIOD.start, PERIOD.end))
    found = inventory.take(
        {"s2": sensor}, tile.TILE, grid, PERIOD.start, PERIOD.end, "fail", {"s2": list(recipe.bands)}
    )
    areas = _areas({"all": shapely.box(*grid.bounds)})
    return Job(found, [recipe], {"all": [Model(Forest.load(saved_model()), {})]}, areas)


def saved_model() -> Path:
    """Folder of Parcelle's forest: a process that is measured needs nothing of scikit-learn's, which is large."""
    folder = forest.CACHE / f"forest-{SAMPLES}-{SCENE}"
    if not folder.exists():
        draft = forest.CACHE / "draft"
        draft.mkdir(parents=True, exist_ok=True)
        forest.packed(forest.fitted(SAMPLES)).save(draft)
        draft.rename(folder)
    return folder


def _settings(sensor: settings.Sensor) -> settings.Settings:
    return settings.Settings.model_construct(sensors={"s2": sensor}, period=PERIOD)


def _areas(boxes: Mapping[str, shapely.Polygon]) -> Areas:
    whole = shapely.union_all(list(boxes.values()))
    for geometry in (*boxes.values(), whole):
        shapely.prepare(geometry)
    return Areas(dict(boxes), whole)


def written(folder: Path, height: int, width: int, layout: str = "tiled", dates: int = 70) -> Path:
    """Folder of the products of a generated tile; made if it is not there."""
    own = folder / f"{height}x{width}x{dates}-{layout}"
    products = own / "sentinel2" / tile.TILE
    if not (own / "made").exists():
        tile.write(own, tile.Tile(height, width, dates), layout)
        (own / "made").touch()
    return products


def core_hours(seconds: float, threads: int, pixels: int) -> float:
    """Core-hours of a tile of 10,980 × 10,980 pixels at the speed of a smaller one."""
    return seconds * threads / pixels * TILE_PIXELS / 3600


def timed(job: Job, threads: int, repeats: int, window: int = 1024) -> float:
    """Median seconds of mapping a tile, once its files and the loops are warm."""
    with tempfile.TemporaryDirectory() as folder, measure.pinned(threads):
        seconds = measure.alternate({"map": lambda: job.map(Path(folder), threads, window)}, repeats, first=False)
    return seconds["map"]
