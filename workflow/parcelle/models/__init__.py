"""Classifiers, by the name that the settings give them."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from parcelle.errors import SettingsError

MODELS = {
    "forest": "parcelle.models.forest:Forest",
}


class Classifier(Protocol):
    """What a step asks of a model, whatever library is behind it.

    Attributes:
        classes: Codes of the classes it knows, ascending ``(class,)``.

    """

    classes: np.ndarray

    def fit(self, features: np.ndarray, labels: np.ndarray, *, seed: int, threads: int) -> Self:
        """Learn from features ``(sample, feature)`` float32 and codes ``(sample,)``; `threads` changes no bit."""
        ...

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Probability of each class, ``(sample, class)`` float64; a row depends on nothing but that row."""
        ...

    def save(self, folder: Path) -> list[str]:
        """Write the weights into a folder; give the names of the files."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        ...


def find(name: str) -> type[Classifier]:
    """Find the class behind the name of a model; its library is imported only now.

    A name with a colon, as in ``package.module:Class``, is a classifier from elsewhere.

    Raises:
        SettingsError: There is no such model, or it cannot be imported.

    """
    place = MODELS.get(name, name)
    module, colon, attribute = place.partition(":")
    if not colon:
        raise SettingsError(f"no model {name!r}; choose from {', '.join(MODELS)}, or 'module:Class'")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"model {name!r} cannot be imported: {error}") from None


def build(settings: Mapping[str, Any]) -> Classifier:
    """Build an untrained classifier from its section of the settings."""
    options = {k: v for k, v in settings.items() if k != "name"}
    return find(settings["name"])(**options)
