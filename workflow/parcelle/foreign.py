"""Code of the user's own: where it is, and what it does wrong, in one sentence."""

import functools
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from parcelle.errors import ParcelleError, SettingsError

# What code may raise that is no wish to stop all: `sys.exit()` would end a run without a word.
FAILURES = (Exception, SystemExit)


def said(error: BaseException) -> str:
    """Type and message of an exception on one line; the type alone where there is no message, or that fails too."""
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def kind(value: Any) -> str:
    """What a value is, for a sentence that says what was found."""
    if value is None:
        return "nothing"
    if type(value).__name__ == "ndarray":
        return f"an array of {value.dtype}"
    return f"a {type(value).__name__}"


@contextmanager
def told(what: str, kind: type[ParcelleError]) -> Iterator[None]:
    """Tell of a failure in one sentence, which begins with `what`; what is a sentence already passes unchanged."""
    try:
        yield
    except ParcelleError:
        raise
    except FAILURES as error:
        raise kind(f"{what} ({said(error)})") from error


def imported(place: str) -> Any:
    """Import what is named ``module:name`` or ``folder/file.py:name``.

    A module may be a file in the folder that `snakemake` runs in; paths start there too.

    Raises:
        SettingsError: There is no such thing.

    """
    module, _, name = place.rpartition(":")
    file = file_of(place)
    if module.endswith(".py") and file.exists() and not file.is_file():  # reading from a pipe would never end
        raise SettingsError(f"{place} cannot be imported: it is no file")
    try:
        if module.endswith(".py") or file.is_file():
            return getattr(_of_file(str(file.resolve())), name)
        return getattr(importlib.import_module(module), name)
    except FAILURES as error:  # whatever the user's module raises
        raise SettingsError(f"{place} cannot be imported ({said(error)}){_beside(file, error)}") from error


def _beside(file: Path, error: BaseException) -> str:
    """What to do about a file that imports its neighbour: Python does not look there, and jobs run elsewhere."""
    name = (getattr(error, "name", None) or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or not name:
        return ""
    if not any(file.with_name(neighbour).exists() for neighbour in (name, f"{name}.py")):
        return ""
    return f": {name} lies beside it, where it is not looked for; put both into one file, or install them as a package"


def file_of(place: str) -> Path:
    """Where the file of what is named ``module:name`` or ``folder/file.py:name`` would be, if it is one here."""
    module = place.rpartition(":")[0]
    return Path(module) if module.endswith(".py") else Path(*module.split(".")).with_suffix(".py")


@functools.cache
def _of_file(path: str) -> ModuleType:
    """Import a file that need not be where Python looks for modules."""
    name = f"parcelle_foreign_{hashlib.sha256(path.encode()).hexdigest()[:12]}"
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification and specification.loader  # the name ends in .py
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # where data classes and pickles look for it
    specification.loader.exec_module(module)
    return module


def digest_of_file(place: str, thing: Any) -> str:
    """Digest of the file that a function or class stands in.

    Raises:
        SettingsError: It stands in none: it was made while its module was imported.

    """
    try:
        file = Path(inspect.getfile(inspect.unwrap(thing)))
    except (TypeError, ValueError) as error:  # it wraps one that is not of Python, or itself
        raise SettingsError(f"{place} stands in no file ({said(error)}): define it in one") from None
    if not file.is_file():
        raise SettingsError(f"{place} stands in no file ({str(file)!r}): define it in one")
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
