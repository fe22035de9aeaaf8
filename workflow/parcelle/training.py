"""Train the model of a region and try it on the samples that it has not seen."""

import hashlib
import importlib.metadata
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import parcelle
from parcelle import cube, files, models
from parcelle.errors import InputError, StaleError
from parcelle.hashing import number, ranks
from parcelle.models import Classifier
from parcelle.splitting import LEARNING, VALIDATION

log = logging.getLogger(__name__)

ALL = "all"
KEYS = ["polygon", "code", "region", "row", "column", "tile"]
LIBRARIES = ("numpy", "scikit-learn")


@dataclass(frozen=True)
class Model:
    """A trained classifier, with the names of its features and the description that lies beside it."""

    classifier: Classifier
    description: dict[str, Any]

    @property
    def features(self) -> list[str]:
        """Names of its features, in order."""
        return self.description["features"]


def sides(samples: pd.DataFrame, split: pd.DataFrame | None) -> pd.DataFrame:
    """Add `group` and `side` to samples; without a split, all of them learn."""
    if split is None:
        return samples.assign(group=samples.polygon, side=LEARNING)
    sided = samples[["polygon"]].merge(
        split[["polygon", "group", "side"]], on="polygon", how="left", validate="many_to_one"
    )
    if (lost := sided.side.isna()).any():
        raise InputError(
            f"polygon {sided.polygon[lost].iloc[0]} has samples but no side: the reference changed after the split. "
            "Make both again: snakemake --forcerun plan."
        )
    return samples.assign(group=sided.group.to_numpy(), side=sided.side.to_numpy())


def chosen(samples: pd.DataFrame, per_class: int | None, seed: str) -> pd.DataFrame:
    """Learning samples: at most `per_class` of each class, the first by the hash of (seed, polygon, row, column)."""
    learning = samples[samples.side == LEARNING]
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
    samples: pd.DataFrame,
    split: pd.DataFrame | None,
    region: str,
    seed: str,
    settings: Mapping[str, Any],
    per_class: int | None,
    threads: int,
) -> tuple[Model, pd.DataFrame]:
    """Train on the learning side, predict the validation side.

    Args:
        samples: From `sampling.read`.
        split: Side and group of each polygon; None trains on everything.
        region: Name of the region.
        seed: Number of the split as text, or `all`.
        settings: Name and options of the model.
        per_class: Most samples of a class to learn from.
        threads: Threads; they change nothing.

    Returns:
        The model, and its predictions: polygon, group, tile, row, column, reference, predicted.

    Raises:
        InputError: There are fewer than two classes to learn from.

    """
    names = [c for c in samples.columns if c not in KEYS]
    table = sides(samples, split)
    learning = chosen(table, per_class, seed)
    _refuse_one_class(learning, f"region {region!r}, seed {seed}", len(samples))
    classifier = models.build(settings)
    values, codes = learning[names].to_numpy(np.float32), learning.code.to_numpy()
    classifier.fit(values, codes, seed=number(seed, region) % 2**31, threads=threads)
    validation = table[table.side == VALIDATION]
    description = {
        "name": settings["name"],
        "region": region,
        "seed": seed,
        "classes": [int(c) for c in classifier.classes],
        "features": names,
        "settings": dict(settings),
        "samples": _counts(learning, validation),
        "versions": {"parcelle": parcelle.__version__} | {n: importlib.metadata.version(n) for n in LIBRARIES},
        "digest": _digest(learning, names),
    }
    return Model(classifier, description), _predictions(classifier, validation, names)


def _refuse_one_class(learning: pd.DataFrame, where: str, samples: int) -> None:
    if learning.code.nunique() < 2:
        found = f"only class {learning.code.iloc[0]}" if len(learning) else "no sample"
        raise InputError(
            f"{where}: {found} to learn from, of {samples} samples. The region needs valid pixels in polygons of two "
            "classes: look at the clear share of its tiles, or add polygons."
        )


def _predictions(classifier: Classifier, validation: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    probabilities = classifier.probabilities(validation[names].to_numpy(np.float32))
    predicted = classifier.classes[probabilities.argmax(axis=1)] if len(validation) else np.empty(0)
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


def _digest(learning: pd.DataFrame, names: list[str]) -> str:
    """Digest of the training samples: their places, classes and features."""
    digest = hashlib.sha256()
    for column in ("polygon", "tile"):
        digest.update("\n".join(learning[column]).encode())
    for column in ("row", "column", "code"):
        digest.update(learning[column].to_numpy(np.int32).tobytes())
    digest.update(np.ascontiguousarray(learning[names].to_numpy(np.float32)).tobytes())
    return digest.hexdigest()


def save(model: Model, path: str) -> None:
    """Write weights and `model.json` into one folder; the latter last, with the checksums of the former."""
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
        InputError: It was trained on other features; the first difference is named.

    """
    description = files.read_json(path)
    folder = Path(path).parent
    for name, expected in description["files"].items():
        if not (folder / name).is_file() or files.checksum(folder / name) != expected:
            raise StaleError(
                f"{folder / name} is not the one that was written. Make it again: snakemake --forcerun {path}"
            )
    cube.check_features(features, description["features"], path)
    return Model(models.find(description["name"]).load(folder), description)
