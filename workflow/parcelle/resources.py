"""What rules ask for: memory, time and disk of their jobs, from the files that these read."""

import errno
import functools
import math
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from parcelle import files, listing, models_size, needs, reference, samples, vector_files
from parcelle.errors import StaleError
from parcelle.features import Source
from parcelle.needs import Need, Tile
from parcelle.planning import Plan
from parcelle.reference import Extent
from parcelle.samples import Size
from parcelle.settings import Settings

# Memory is asked for with so much above what the formula says, time with so much more.
MARGIN, SLACK = 1.25, 4

# What Snakemake itself takes in each job on a cluster, MiB.
JOB_MB = 330

# Shortest time that a job asks for, minutes.
LEAST = 10


def asked_mb(need: Need) -> int:
    """Memory to ask for, MiB: that of the script and of Snakemake beside it, and a margin."""
    return math.ceil(MARGIN * (need.memory_mb + JOB_MB))


def asked_minutes(need: Need, threads: int) -> int:
    """Time to ask for, minutes."""
    return max(math.ceil(SLACK * need.core_seconds / threads / 60), LEAST)


def asked_disk_mb(need: Need) -> int:
    """Disk to ask for, MiB: for drafts too."""
    return math.ceil(MARGIN * (need.disk_mb + need.drafts_mb))


def plan(settings: Settings) -> Need:
    """What `plan` needs."""
    given = (settings.reference, settings.regions, settings.area)
    found = files.size_mb(part for place in given if place for part in vector_files.parts(place.path))
    return needs.plan(found, len(settings.tiles)).need()


def inventory(tile: str, products: int, settings: Settings) -> Need:
    """What an `inventory` job needs, with so many products."""
    return needs.inventory(products, listing.read_mb(settings, tile)).need()


def sample(size: str, pieces: str, sources: Sequence[Source], settings: Settings, threads: int) -> Need:
    """What a `sample` job needs.

    Args:
        size: Path of the tile's `size.json`.
        pieces: Path of its reference.
        sources: What features come from.
        settings: All settings.
        threads: Threads of the job.

    """
    return needs.sample(Tile.read(size), _extent([pieces]), sources, settings, threads).need()


def split(paths: Sequence[str]) -> Need:
    """What a `split` job needs; `paths` are the reference of the region's tiles."""
    return needs.split(_extent(paths).polygons).need()


def _extent(paths: Sequence[str]) -> Extent:
    """Reference in some files. What is wrong with one, the job says that reads it, and how to mend it."""
    try:
        return reference.extent(one for path in paths for one in reference.extents(path).values())
    except StaleError:
        return Extent(0, 0)


def train(paths: Sequence[str], region: str, seed: str, settings: Settings, codes: Sequence[int], threads: int) -> Need:
    """What a `train` job needs.

    Args:
        paths: `samples/{tile}.parquet` of the region's tiles.
        region: Name of the region.
        seed: Its number, or `all`.
        settings: All settings.
        codes: Classes.
        threads: Threads of the job.

    """
    try:
        size = samples.total(paths, region)
    except StaleError:  # the job that reads it says what is wrong, and how to mend it
        size = Size(0, 0, 0)
    return needs.train(size, len(codes), settings, seed, threads).need()


def classify(
    size: str, models: Sequence[str], sources: Sequence[Source], settings: Settings, codes: Sequence[int], threads: int
) -> Need:
    """What a `classify` job needs.

    Args:
        size: Path of the tile's `size.json`.
        models: `model.json` of each of its regions, and of each seed that maps.
        sources: What features come from.
        settings: All settings.
        codes: Classes.
        threads: Threads of the job.

    """
    tile, found = Tile.read(size), models_size.trained(models, settings)
    return needs.classify(tile, found, sources, settings, codes, threads).need()


def feature_map(size: str, sources: Sequence[Source], chosen: Sequence[str], settings: Settings, threads: int) -> Need:
    """What a `feature_map` job needs; `chosen` are the features that it writes."""
    return needs.feature_map(Tile.read(size), sources, chosen, settings, threads).need()


def frozen_models(tile: str, areas: str, settings: Settings) -> list[str]:
    """Paths of the models that map a tile, where nothing is trained; of those that are there.

    Args:
        tile: Name of the tile.
        areas: Path of its areas, which are made with the plan.
        settings: All settings.

    """
    Path(areas).stat()
    folders = [f"{settings.results}/model/{region}" for region in _planned(settings, [areas]).regions[tile]]
    paths = [f"{folder}/{seed}/model.json" for folder in folders for seed in models_size.map_seeds(settings)]
    return [path for path in paths if Path(path).is_file()]


def mosaic(maps: Sequence[str], product: str, settings: Settings, codes: Sequence[int], threads: int) -> Need:
    """What a `mosaic` job needs.

    Args:
        maps: Maps of the tiles; the plan was made before them.
        product: Name of the product.
        settings: All settings.
        codes: Classes.
        threads: Threads of the job.

    """
    for path in maps:
        Path(path).stat()
    made = _planned(settings, maps)
    pixels, warped = made.mosaic_pixels(settings.mosaic.resolution), made.warped(settings.mosaic.crs)
    return needs.mosaic_of(product, pixels, settings, codes, threads, warped).need()


def _planned(settings: Settings, follow: Sequence[str]) -> Plan:
    """Read the plan, which `follow`, inputs of the job, were made after.

    Raises:
        FileNotFoundError: It is gone; one of the inputs is named, since Snakemake waits for no other files.

    """
    path = Path(settings.results) / "plan.json"
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, "The plan is still to be made again, and so is", follow[0])
    return _read_plan(path, path.stat().st_mtime_ns)


@functools.cache
def _read_plan(path: Path, changed: int) -> Plan:
    """Read the plan that was made then; Snakemake asks for it once per job."""
    return Plan.read(path)


def assess(validations: Sequence[str], codes: Sequence[int], tiles: int) -> Need:
    """What `assess` needs; `validations` are the predictions of all models."""
    return needs.assess(sum(map(_rows, validations)), len(validations), len(codes), tiles).need()


def _rows(path: str) -> int:
    """Rows of a table. What is wrong with one, the job says that reads it, and how to mend it."""
    Path(path).stat()
    try:
        return pq.read_metadata(path).num_rows
    except pa.ArrowInvalid:
        return 0


def report(acquisitions: Sequence[str], mosaics: Sequence[str], settings: Settings) -> Need:
    """What `report` needs.

    Args:
        acquisitions: Lists of those of all tiles.
        mosaics: Mosaics of all products; the plan was made before them.
        settings: All settings.

    """
    for path in (*acquisitions, *mosaics):
        Path(path).stat()
    pixels = _planned(settings, mosaics).mosaic_pixels(settings.mosaic.resolution)
    return needs.report(len(acquisitions), files.size_mb(acquisitions), pixels).need()


def provenance(acquisitions: Sequence[str], published: int) -> Need:
    """What `provenance` needs, with so many published files."""
    for path in acquisitions:
        Path(path).stat()
    return needs.provenance(len(acquisitions), files.size_mb(acquisitions), published).need()
