"""Compile the inner loops: once per machine and user, however many jobs start at the same time."""

import contextlib
import fcntl
import functools
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

HOME = Path(__file__).parent


def _lockable(folder: Path) -> bool:
    """Whether files can be written and locked in a folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


# numba's own settings; typed so, since they are made when it is loaded.
config: Any = numba.config


def _place() -> Path:
    """Choose the folder of compiled code: what ``NUMBA_CACHE_DIR`` says, or beside the package, or the node's own."""
    if config.CACHE_DIR:
        return Path(config.CACHE_DIR)
    beside = HOME / "__pycache__"
    return beside if _lockable(beside) else _own()


def _own() -> Path:
    """Folder of the node for this user; what others may have put there is never run."""
    folder = Path(tempfile.gettempdir()) / f"parcelle-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    safe = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
    return folder if safe else Path(tempfile.mkdtemp(prefix="parcelle-"))


PLACE = _place()
config.CACHE_DIR = str(PLACE)


def kernel(function: Callable) -> Any:
    """Compile a loop when it is first called, without Python's lock and without `fastmath`; keep the code on disk."""
    return numba.njit(nogil=True, cache=True)(function)


def _warm_up() -> None:
    """Load numba's own tables: ten times the time of reading a loop, for which nobody should have to wait."""
    with global_compiler_lock:
        cpu_target.typing_context.refresh()
        cpu_target.target_context.refresh()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Let no other process compile meanwhile."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            PLACE.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((PLACE / "parcelle.lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def compiled_once(function: Callable) -> Any:
    """Decorate a function that calls kernels on tiny arrays of some types: it runs once, and never at the same time.

    numba numbers its files by a list that two processes may change at once; each type could then get the code of the
    other. Hence the lock; where a file system has none, the code is kept in the node's own folder.
    """

    @functools.cache
    def once(*types: Any) -> None:
        _warm_up()
        with _alone():
            function(*types)

    return once
