"""Train the model of a region and try it on the samples that it has not seen."""

import hashlib
import importlib.metadata
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import parcelle
from parcelle import cube, files, models
from parcelle.errors import InputError, StaleError
from parcelle.hashing import number, ranks
from parcelle.models import Classifier
from parcelle.models.own import Own
from parcelle.nomenclature import Nomenclature
from parcelle.samples import Samples, Size
from parcelle.splitting import LEARNING, VALIDATION

log = logging.getLogger(__name__)

ALL = "all"
LIBRARIES = ("numpy", "scikit-learn")

# Samples that are converted, or predicted, at a time.
CHUNK = 2**14

# Memory of the interpreter with its libraries and compiled loops; of a sample beside its features; of what each thread
# of scikit-learn keeps of a sample it learns from. Measured.
BASE_MB, SAMPLE_BYTES, THREAD_BYTES = 460, 250, 80

# Nodes of a tree per sample it learns from, times the root of `min_samples`: 0.27 to 0.46 was measured where one label
# in ten is wrong, fewer the more samples there are. Where half of the labels of few samples are, 0.8: what a job asks
# for beyond its need covers that in part, and its second attempt whole. Thresholds that are drawn need 2.4 times that.
NODES = {"forest": 0.46, "extra-trees": 1.1}


@dataclass(frozen=True)
class Model:
    """A trained classifier, with the names of its features and the description that lies beside it."""

    classifier: Classifier | Own
    description: dict[str, Any]

    @property
    def features(self) -> list[str]:
        """Names of its features, in order."""
        return self.description["features"]


def sides(keys: pd.DataFrame, split: pd.DataFrame | None) -> pd.DataFrame:
    """Add `group` and `side` to the keys of samples; without a split, all of them learn."""
    if split is None:
        return keys.assign(group=keys.polygon, side=LEARNING)
    sided = keys[["polygon"]].merge(
        split[["polygon", "group", "side"]], on="polygon", how="left", validate="many_to_one"
    )
    if (lost := sided.side.isna()).any():
        raise InputError(
            f"polygon {sided.polygon[lost].iloc[0]} has samples but no side: the reference changed after the split. "
            "Make both again: snakemake --forcerun plan."
        )
    return keys.assign(group=sided.group.to_numpy(), side=sided.side.to_numpy())


def chosen(keys: pd.DataFrame, per_class: int | None, seed: str) -> pd.DataFrame:
    """Learning samples: at most `per_class` of each class, the first by the hash of (seed, polygon, row, column)."""
    learning = keys[keys.side == LEARNING]
    if per_class is None:
        return learning
    names = seed + "/" + learning.tile + "/" + learning.polygon
    place = pd.Series(ranks(names.to_numpy(), learning.row, learning.column), learning.index)
    kept = learning[place.groupby(learning.code).rank(method="first") <= per_class]
    for code, count in learning.code.value_counts().sort_index().items():
        if count < per_class:
            log.warning("class %s has %d samples to learn from, fewer than per_class = %d", code, count, per_class)
    return kept


def train(
    samples: Samples,
    split: pd.DataFrame | None,
    region: str,
    seed: str,
    settings: Mapping[str, Any],
    per_class: int | None,
    threads: int,
) -> tuple[Model, pd.DataFrame]:
    """Train on the learning side, predict the validation side.

    Args:
        samples: Of the region, from all its tiles.
        split: Side and group of each polygon; None trains on everything.
        region: Name of the region.
        seed: Number of the split as text, or `all`.
        settings: Name and options of the model.
        per_class: Most samples of a class to learn from.
        threads: Threads; they change nothing.

    Returns:
        The model, and its predictions: polygon, group, tile, row, column, reference, predicted.

    Raises:
        InputError: There are fewer than two classes to learn from; or a class of the user's own fails.

    """
    table = sides(samples.keys, split)
    learning, validation = chosen(table, per_class, seed), table[table.side == VALIDATION]
    _refuse_one_class(learning, f"region {region!r}, seed {seed}", len(table))
    classifier = models.untrained(settings)
    values = _float32(samples.values, learning.index.to_numpy())
    classifier.fit(values, learning.code.to_numpy(), seed=number(seed, region) % 2**31, threads=threads)
    description = {
        "name": settings["name"],
        "region": region,
        "seed": seed,
        "classes": [int(c) for c in classifier.classes],
        "features": samples.features,
        "settings": dict(settings),
        "samples": _counts(learning, validation),
        "versions": {"parcelle": parcelle.__version__} | {n: importlib.metadata.version(n) for n in LIBRARIES},
        "digest": _digest(learning, values),
    }
    return Model(classifier, description), _predictions(classifier, validation, samples.values)


def _refuse_one_class(learning: pd.DataFrame, where: str, samples: int) -> None:
    if learning.code.nunique() < 2:
        found = f"only class {learning.code.iloc[0]}" if len(learning) else "no sample"
        raise InputError(
            f"{where}: {found} to learn from, of {samples} samples. The region needs valid pixels in polygons of two "
            "classes: look at the clear share of its tiles, or add polygons."
        )


def _chunks(rows: np.ndarray) -> list[np.ndarray]:
    """Cut rows into parts of at most `CHUNK`."""
    return [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]


def _float32(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Copy some rows as what scikit-learn takes, without a copy of their own type between."""
    copied = np.empty((len(rows), values.shape[1]), np.float32)
    for part, chunk in zip(_chunks(copied), _chunks(rows), strict=True):
        part[:] = values[chunk]
    return copied


def _predictions(classifier: Classifier | Own, validation: pd.DataFrame, values: np.ndarray) -> pd.DataFrame:
    """Predict the validation side from all samples' features, in their own type."""
    best = [classifier.probabilities(values[rows]).argmax(axis=1) for rows in _chunks(validation.index.to_numpy())]
    predicted = classifier.classes[np.concatenate(best)] if best else np.empty(0)
    table = validation[["polygon", "group", "tile", "row", "column"]].assign(reference=validation.code)
    return table.assign(predicted=predicted.astype(np.int32)).reset_index(drop=True)


def _counts(learning: pd.DataFrame, validation: pd.DataFrame) -> list[dict[str, int]]:
    """Samples, groups and polygons of each class on each side."""
    codes = sorted(set(learning.code) | set(validation.code))
    tables = {LEARNING: learning, VALIDATION: validation}
    counts = []
    for code in codes:
        row = {"code": int(code)}
        for side, table in tables.items():
            part = table[table.code == code]
            row |= {
                side: len(part),
                f"{side}_groups": part.group.nunique(),
                f"{side}_polygons": part.polygon.nunique(),
            }
        counts.append(row)
    return counts


def _digest(learning: pd.DataFrame, values: np.ndarray) -> str:
    """Digest of the training samples: their places, classes and features as float32, however they are stored."""
    digest = hashlib.sha256()
    for column in ("polygon", "tile"):
        digest.update("\n".join(learning[column]).encode())
    for column in ("row", "column", "code"):
        digest.update(learning[column].to_numpy(np.int32).tobytes())
    digest.update(values.data.cast("B"))
    return digest.hexdigest()


def memory_mb(size: Size, learning: int, classes: int, model: Mapping[str, Any], threads: int) -> float:
    """Peak memory of training, in MiB: it is reached when the trees are grown and laid out anew.

    Features are held as they are read, and once more as float32 of the samples that learn.

    Args:
        size: All samples of the region.
        learning: Those to learn from.
        classes: Number of classes.
        model: Options of the model.
        threads: Threads.

    """
    features = size.features * (size.rows * size.itemsize + learning * np.dtype(np.float32).itemsize)
    beside = size.rows * SAMPLE_BYTES + learning * threads * THREAD_BYTES
    return BASE_MB + (features + beside) / 2**20 + _model_mb(learning, classes, model)


def _model_mb(learning: int, classes: int, model: Mapping[str, Any]) -> float:
    """Memory of the model while it learns; of a class of the user's own, what the settings say."""
    if "memory_mb" in model:
        return model["memory_mb"]
    nodes = model["trees"] * learning * NODES[model["name"]] / model["min_samples"] ** 0.5
    return nodes * node_bytes(classes) / 2**20


def node_bytes(classes: int) -> int:
    """Bytes of a node while trees are laid out: scikit-learn's, with the frequencies of its classes, and ours."""
    return 200 + 8 * classes


def named(model: Model, nomenclature: Nomenclature) -> Model:
    """Say in the description of a model what its classes are called: they may get other codes after it was frozen."""
    names = {str(code): name for code, name in nomenclature.names_by_code() if code in model.description["classes"]}
    return replace(model, description=model.description | {"names": names})


def save(model: Model, path: str) -> None:
    """Write weights and `model.json` into one folder; the latter last, with the checksums of the former.

    Raises:
        InputError: A class of the user's own does not write what it reads.

    """
    folder = Path(path).parent
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for name in model.classifier.save(folder):
        written[name] = files.checksum(folder / name)
    files.write_json(path, model.description | {"files": written})


def load(path: str, features: list[str]) -> Model:
    """Read a model for some features.

    Args:
        path: Its `model.json`.
        features: Names of the features it will be given.

    Raises:
        StaleError: A file of it is not what was written.
        InputError: It was trained on other features; the first difference is named. Or a class of the user's own does
            not read what it wrote.

    """
    description = files.read_json(path)
    folder = Path(path).parent
    for name, expected in description["files"].items():
        if not (folder / name).is_file() or files.checksum(folder / name) != expected:
            raise StaleError(
                f"{folder / name} is not the one that was written. Make it again: snakemake --forcerun {path}"
            )
    cube.check_features(features, description["features"], path)
    return Model(models.load(description["name"], folder, description["classes"]), description)
