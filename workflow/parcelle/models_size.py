"""How large models are, and how long a pixel takes in them: foretold, or of those that are there."""

import functools
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from parcelle import training
from parcelle.settings import Settings
from parcelle.settings_models import Forest, OwnModel

MIB = 2**20

# Nodes of a tree per sample that it learns from, times the root of `min_samples`: a mean, where `training.NODES` is
# what may be.
NODES = {"forest": 0.4, "extra-trees": 1.0}

# Bytes before the values of an array in a file of NumPy.
NPY = 128


def learning(found: float, classes: int, settings: Settings, seed: str) -> float:
    """Samples that a model learns from, of those of its region."""
    share = 1 if seed == training.ALL else settings.split.ratio
    most = settings.sampling.per_class
    return min(found * share, most * classes) if most else found * share


def forest_of(settings: Settings) -> Forest:
    """The forest of the settings; nothing is known of a classifier of the user's own, which counts as one of 100."""
    return settings.model if isinstance(settings.model, Forest) else Forest()


def nodes(learnt: float, settings: Settings) -> float:
    """Nodes of all trees of a model."""
    model = forest_of(settings)
    of_tree = learnt * NODES[model.name] / model.min_samples**0.5
    return model.trees * min(of_tree, 2.0 ** ((model.depth or 1000) + 1))


def model_mb(learnt: float, classes: int, settings: Settings) -> float:
    """Memory of a model that maps: its nodes, and one in ten with frequencies of its own."""
    if isinstance(settings.model, OwnModel):
        return settings.model.memory_mb
    return nodes(learnt, settings) * (40 + 0.8 * classes) / MIB


@dataclass(frozen=True)
class Models:
    """The models of a tile: their memory in MiB, and the nodes that a pixel visits in those of its region."""

    memory_mb: float
    visits: float


def models(learnt: Sequence[float], classes: int, settings: Settings) -> Models:
    """Foretell the models of a tile, from the samples that those of each of its regions learn from."""
    each = len(map_seeds(settings))
    visits = [forest_of(settings).trees * math.log2(max(n, 2)) for n in learnt]
    size = sum(model_mb(n, classes, settings) for n in learnt)
    return Models(each * size, each * max(visits, default=0))


def trained(paths: Sequence[str], settings: Settings) -> Models:
    """The models of a tile that are there.

    Args:
        paths: `model.json` of each region and each seed that maps.
        settings: All settings.

    Raises:
        FileNotFoundError: One is still to be trained.

    """
    if not paths:
        return Models(0, 0)
    size, of_tree = zip(*(_weights(path, Path(path).stat().st_mtime_ns) for path in paths), strict=True)
    own = settings.model.memory_mb * len(paths) if isinstance(settings.model, OwnModel) else 0
    visits = forest_of(settings).trees * max(math.log2(max(n, 2)) for n in of_tree)
    return Models(sum(size) + own, visits * len(map_seeds(settings)))


@functools.cache
def _weights(path: str, changed: int) -> tuple[float, float]:
    """Memory in MiB, and nodes of a tree, of a model that was last changed then; both 0 if it is no forest."""
    try:
        with zipfile.ZipFile(Path(path).with_name("forest.npz")) as arrays:
            sizes = {part.filename: part.file_size for part in arrays.infolist()}
            trees = (sizes["starts.npy"] - NPY) / 8 - 1
    except (OSError, KeyError, zipfile.BadZipFile):
        return 0.0, 0.0
    count = (sizes["left.npy"] - NPY) / 4
    # Beside the arrays, nodes and thresholds as the loops read them.
    return (sum(sizes.values()) + 12 * count) / MIB, count / trees


def map_seeds(settings: Settings) -> list[str]:
    """Seeds whose models map."""
    chosen = settings.map.model
    return [training.ALL] if chosen == "all" else [str(seed) for seed in chosen]
