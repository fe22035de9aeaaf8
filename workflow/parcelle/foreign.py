"""Code of the user's own: what it does wrong, in one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

from parcelle.errors import ParcelleError

# What code may raise that is no wish to stop all: `sys.exit()` would end a run without a word.
FAILURES = (Exception, SystemExit)


def said(error: BaseException) -> str:
    """Type and message of an exception on one line; the type alone where there is no message, or that fails too."""
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def told(what: str, kind: type[ParcelleError]) -> Iterator[None]:
    """Tell of a failure in one sentence, which begins with `what`; what is a sentence already passes unchanged."""
    try:
        yield
    except ParcelleError:
        raise
    except FAILURES as error:
        raise kind(f"{what} ({said(error)})") from error
