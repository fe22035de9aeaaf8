"""What Parcelle says when it cannot go on: what was found, where, and what to do."""

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

Words = ParamSpec("Words")


class ParcelleError(Exception):
    """An error whose message is meant for the user."""


class SettingsError(ParcelleError):
    """A setting is unknown, missing or out of bounds."""


class InputError(ParcelleError):
    """An image, a reference file or a nomenclature is not what it should be."""


class StaleError(ParcelleError):
    """A file of the results is not the one that was written."""


def in_one_sentence(main: Callable[Words, int]) -> Callable[Words, int]:
    """Let a command say what is wrong in one sentence, without the place in the code, and exit with status 1."""

    @functools.wraps(main)
    def wrapped(*words: Words.args, **named: Words.kwargs) -> int:
        try:
            return main(*words, **named)
        except ParcelleError as error:
            print(error, file=sys.stderr)
            return 1

    return wrapped
