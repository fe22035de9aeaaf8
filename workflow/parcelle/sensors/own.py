"""Formats of the user's own: what their methods do wrong is told in one sentence."""

import functools
import os
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parcelle.errors import InputError
from parcelle.foreign import told
from parcelle.sensors.base import Acquisition, Band, Format, Problem


class Own:
    """A format of the user's own, whose methods may fail, or give something else than they should."""

    bands: tuple[Band, ...]
    optical: bool

    def __init__(self, name: str, format: Format):
        """Stand before a format; `name` is that in the settings."""
        self._name, self._format = name, format

    def __getattr__(self, name: str) -> Any:
        """What the format says of itself, and its other methods."""
        found = getattr(self._format, name)
        return functools.partial(self._called, name) if callable(found) else found

    def products(self, path: str, tile: str) -> list[Path]:
        """Paths of the products.

        Raises:
            InputError: The format fails, or gives something else.

        """
        found = self._called("products", path, tile)
        if not _are(found, (str, os.PathLike)):
            raise self._refused("products", found, "a list of paths is")
        return list(found)

    def find(self, path: str, tile: str, sensor: str) -> tuple[list[Acquisition], list[Problem]]:
        """Acquisitions, and what is wrong.

        Raises:
            InputError: The format fails, or gives something else.

        """
        found = self._called("find", path, tile, sensor)
        pair = isinstance(found, tuple | list) and len(found) == 2
        if not (pair and _are(found[0], (Acquisition,)) and _are(found[1], (Problem,))):
            raise self._refused("find", found, "a list of Acquisition and a list of Problem are")
        return list(found[0]), list(found[1])

    def _called(self, method: str, *given: Any) -> Any:
        with told(f"format {self._name!r} fails in `{method}`", InputError):
            return getattr(self._format, method)(*given)

    def _refused(self, method: str, found: Any, expected: str) -> InputError:
        return InputError(
            f"format {self._name!r} gives {reprlib.repr(found)} in `{method}`, where {expected} expected: correct it"
        )


def _are(found: Any, kinds: Sequence[type]) -> bool:
    """Whether something is a list of things of some kinds."""
    return isinstance(found, tuple | list) and all(isinstance(one, tuple(kinds)) for one in found)
