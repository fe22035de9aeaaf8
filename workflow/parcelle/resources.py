"""What jobs need: memory and time as formulas of the tile's size, for the rules' `resources`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parcelle import feature_map, features, files, mapping, samples, training
from parcelle.errors import StaleError
from parcelle.features import Source
from parcelle.settings import OwnModel, Settings

# Asked for on top of the formula.
MARGIN = 1.2

# What each Snakemake job needs for itself, beside the script's process.
JOB_MB = 250

# Nodes of a large tree, of 200,000 samples.
NODES = {"forest": 25_000, "extra-trees": 60_000}

# Pixels × dates that one core reads, fills and classifies in a minute; half of what was measured.
RATE = 40e6


def classify_mb(size: str, sources: Sequence[Source], settings: Settings, codes: Sequence[int], threads: int) -> int:
    """Memory of a `classify` job in MiB.

    Args:
        size: Path of the tile's `size.json`.
        sources: What features come from.
        settings: All settings.
        codes: Classes.
        threads: Threads of the job.

    """
    content = _read(size)
    options = mapping.Options(tuple(codes), tuple(settings.map.products), settings.map.min_valid)
    window = min(settings.window.size, int(content["pixels"] ** 0.5) + 1)
    need = mapping.memory_mb(content["sensors"], sources, options, window, threads, _models_mb(settings, len(codes)))
    return int(MARGIN * need) + JOB_MB


def sample_mb(size: str, sources: Sequence[Source], settings: Settings, threads: int) -> int:
    """Memory of a `sample` job in MiB: as for mapping without models, and the table of samples twice.

    At most one pixel in fifty of a tile is taken to lie in polygons.
    """
    pixels = _read(size)["pixels"]
    columns = len(features.names(sources))
    table = 2 * 4 * columns * pixels / 50 / 2**20
    return int(classify_mb(size, sources, settings, [1], threads) + MARGIN * table)


def feature_map_mb(
    size: str, sources: Sequence[Source], chosen: Sequence[str], settings: Settings, threads: int
) -> int:
    """Memory of a `feature_map` job in MiB: as for mapping without models, and the features that are written.

    Args:
        size: Path of the tile's `size.json`.
        sources: What features come from.
        chosen: Names of the features to write.
        settings: All settings.
        threads: Threads of the job.

    """
    content = _read(size)
    window = min(settings.window.size, int(content["pixels"] ** 0.5) + 1)
    need = feature_map.memory_mb(content["sensors"], sources, chosen, window, threads)
    return int(MARGIN * need) + JOB_MB


def train_mb(paths: Sequence[str], settings: Settings, codes: Sequence[int], threads: int) -> int:
    """Memory of a `train` job in MiB: all samples of its tiles are taken to be of its region, and to learn.

    Args:
        paths: `samples/{tile}.parquet` of the tiles.
        settings: All settings.
        codes: Classes.
        threads: Threads of the job.

    """
    try:
        size = samples.total(paths)
    except StaleError:
        # The job reads it too, and says what is wrong and how to mend it.
        return JOB_MB
    learning = min(size.rows, (settings.sampling.per_class or size.rows) * len(codes))
    need = training.memory_mb(size, learning, len(codes), settings.model.model_dump(), threads)
    return int(MARGIN * need) + JOB_MB


def classify_minutes(size: str, threads: int) -> int:
    """Minutes of a `classify` job."""
    return 10 + int(_pixel_dates(size) / RATE / threads)


def sample_minutes(size: str, threads: int) -> int:
    """Minutes of a `sample` job."""
    return classify_minutes(size, threads)


def _pixel_dates(size: str) -> int:
    content = _read(size)
    return content["pixels"] * sum(s["dates"] for s in content["sensors"].values())


def _models_mb(settings: Settings, classes: int) -> float:
    """Largest memory of the models of a tile: those of two regions, per seed that maps.

    A node takes 40 bytes, and one in ten a row of class frequencies of its own.
    """
    seeds = 1 if settings.map.model == "all" else len(settings.map.model)
    if isinstance(settings.model, OwnModel):
        return 2 * seeds * settings.model.memory_mb
    return 2 * seeds * settings.model.trees * NODES[settings.model.name] * (40 + 0.8 * classes) / 2**20


def _read(size: str) -> dict[str, Any]:
    # Snakemake takes a FileNotFoundError that names the file, and no other, for a file that is still to be made.
    Path(size).stat()
    return files.read_json(size)
