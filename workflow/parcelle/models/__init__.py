"""Classifiers, by the name that the settings give them."""

import inspect
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from parcelle.errors import SettingsError
from parcelle.foreign import FAILURES, digest_of_file, imported, said
from parcelle.models import own

MODELS = {
    "forest": "parcelle.models.forest:Forest",
    "extra-trees": "parcelle.models.forest:ExtraTrees",
}


class Classifier(Protocol):
    """What a step asks of a model, whatever library is behind it.

    A class may say ``gpu = True``: jobs that train it or map with it then ask for as many GPUs as the setting `gpus`
    says, and see those. With none it has to do its work on the CPU.

    Attributes:
        classes: Codes of the classes it knows, ascending ``(class,)``.

    """

    classes: np.ndarray

    def fit(self, features: np.ndarray, labels: np.ndarray, *, seed: int, threads: int) -> Self:
        """Learn from features ``(sample, feature)`` float32 and codes ``(sample,)``; `threads` changes no bit.

        Raises:
            InputError: A feature is NaN or infinite.

        """
        ...

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Probability of each class; that of a pixel depends on nothing but that pixel.

        Args:
            features: ``(pixel, feature)`` int16 where all features are integers, else float32, in the order of those
                it learnt from. In memory they may be transposed: mapping has them plane by plane, all pixels of a
                feature side by side. They are overwritten after the call.

        Returns:
            ``(pixel, class)`` float64.

        Raises:
            InputError: A feature is NaN or infinite, or their number is not that of the features it learnt from.

        """
        ...

    def save(self, folder: Path) -> list[str]:
        """Write the weights into a folder; give the names of the files."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        ...


# What a class has to have to be a classifier.
_METHODS = ("fit", "probabilities", "save", "load")


def find(name: str) -> type[Classifier]:
    """Find the class behind the name of a model; its library is imported only now.

    A name with a colon, as in ``package.module:Class`` or ``folder/file.py:Class``, is a classifier from elsewhere.

    Raises:
        SettingsError: There is no such model, or it cannot be imported.

    """
    if name not in MODELS and ":" not in name:
        raise SettingsError(f"no model {name!r}; choose from {', '.join(MODELS)}, or 'module:Class'")
    return imported(MODELS.get(name, name))


def described(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a trained model depends on of its section of the settings; of a class of the user's own, its file too.

    Raises:
        SettingsError: It cannot be imported, it is no classifier, or it does not take the arguments.

    """
    if settings["name"] in MODELS:
        return dict(settings)
    try:
        found = find(settings["name"])
        _refuse_other(found, settings["name"])
        digest = digest_of_file(settings["name"], found)
    except SettingsError as error:
        raise SettingsError(f"model.name: {error}") from error
    _refuse_arguments(found, settings)
    return {"name": settings["name"], "arguments": settings["arguments"], "digest": digest}


def _refuse_other(found: Any, name: str) -> None:
    """Refuse what is no classifier."""
    if not inspect.isclass(found):
        raise SettingsError(f"{name} is no Python class, but a {type(found).__name__}")
    if missing := [method for method in _METHODS if not callable(getattr(found, method, None))]:
        raise SettingsError(f"{name} is no classifier: it has no method `{missing[0]}`")


def _refuse_arguments(found: Any, settings: Mapping[str, Any]) -> None:
    """Refuse arguments by their names, before any job; what their values do is seen only when a model is built."""
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):  # such as a class written in C says nothing of its arguments
        return
    try:
        signature.bind(**settings["arguments"])
    except TypeError as error:
        raise SettingsError(f"model.arguments: {settings['name']} does not take them ({said(error)})") from error


def build(described: Mapping[str, Any]) -> Classifier:
    """Build an untrained classifier from what `described` gave.

    Raises:
        SettingsError: It does not take these arguments.

    """
    place, options = find(described["name"]), {k: v for k, v in described.items() if k != "name"}
    if described["name"] in MODELS:
        return place(**options)
    try:
        return place(**options["arguments"])
    except FAILURES as error:  # whatever the user's class raises
        raise SettingsError(f"model.arguments: {described['name']} does not take them ({said(error)})") from error


def untrained(described: Mapping[str, Any]) -> "Classifier | own.Own":
    """Build a classifier, as `build`; what one of the user's own gives is looked at.

    Raises:
        SettingsError: It does not take its arguments.

    """
    classifier = build(described)
    return classifier if described["name"] in MODELS else own.Own(described["name"], classifier)


def load(name: str, folder: Path, classes: Sequence[int]) -> "Classifier | own.Own":
    """Read a trained classifier; what one of the user's own gives is looked at, those of Parcelle are tested.

    Args:
        name: Of the model.
        folder: Where its weights are.
        classes: Codes that it has learnt.

    Raises:
        SettingsError: There is no such model.
        InputError: It is one of the user's own, and what it reads is no such classifier.

    """
    found = find(name)
    return found.load(folder) if name in MODELS else own.load(name, found, folder, classes)


def uses_gpu(name: str) -> bool:
    """Whether a model can use a GPU; those that come with Parcelle do not.

    Raises:
        SettingsError: A class of the user's own says neither that it can nor that it cannot.

    """
    if name in MODELS:
        return False
    says = getattr(find(name), "gpu", False)
    if not isinstance(says, bool):
        raise SettingsError(f"model.name: {name} says gpu = {says!r}; allowed: True or False")
    return says


def limit_gpus(number: int) -> None:
    """Hide the GPUs of this machine from a job that asked for none, before a library looks for them."""
    if not number:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
