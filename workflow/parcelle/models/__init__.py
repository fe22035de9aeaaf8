"""Classifiers, by the name that the settings give them."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from parcelle.errors import SettingsError

MODELS = {
    "forest": "parcelle.models.forest:Forest",
    "extra-trees": "parcelle.models.forest:ExtraTrees",
}


class Classifier(Protocol):
    """What a step asks of a model, whatever library is behind it.

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
