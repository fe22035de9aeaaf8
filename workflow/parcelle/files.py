"""Files that are whole or not there: a temporary name, a checksum beside, then a rename."""

import contextlib
import datetime
import hashlib
import json
import re
import shutil
import stat
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from parcelle.errors import StaleError

# How paths begin by which GDAL reads files in archives.
ARCHIVES = ("/vsizip/", "/vsitar/")

# Seconds that the clock of a machine may be ahead of another's: that long a job waits.
AHEAD = 60

# Name of a draft: that of the file, mostly without its suffix, and what is drawn for it.
DRAFT = re.compile(r"\.(.+)\.[0-9a-f]{12}(?:\..*)?")


def checksum(path: str | Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def beside(path: str | Path) -> Path:
    """Path of the checksum that lies beside a file."""
    return Path(f"{path}.sha256")


def special(path: str | Path) -> bool:
    """Whether something is there that is neither a file nor a folder: reading a named pipe may never end."""
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def state(paths: Iterable[str | Path]) -> str:
    """Digest of the names, sizes and times of files: another one means that some file was replaced.

    A file that is missing, or a link to nothing, counts as such; of one in an archive, the archive counts.
    """
    digest = hashlib.sha256()
    for path in sorted(set(map(str, paths))):
        try:
            status = on_disk(path).stat()
        except OSError:
            digest.update(f"{path}\0missing\n".encode())
        else:
            digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def on_disk(path: str) -> Path:
    """The file that holds what GDAL reads by a path: of ``/vsizip/a.zip/b.tif``, the archive."""
    archive = next((path.removeprefix(prefix) for prefix in ARCHIVES if path.startswith(prefix)), None)
    if archive is None:
        return Path(path)
    return next((p for p in Path(archive).parents if p.is_file()), Path(archive))


def size_mb(paths: Iterable[str | Path]) -> float:
    """Size of some files together, in MiB; of one in an archive, the archive counts once."""
    there = {on_disk(str(path)) for path in paths}
    return sum(path.stat().st_size for path in there if path.is_file()) / 2**20


@contextlib.contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; it takes the name `path` only if the block succeeds.

    The suffix is kept, since GDAL and pandas choose a format by it. The checksum is in place before the
    file is, so that a file under its name always has one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:12]}{path.suffix}")
    try:
        yield draft
        put(beside(path), checksum(draft))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextlib.contextmanager
def workspace(path: str | Path, scratch: str | None = None) -> Iterator[Path]:
    """Give an empty folder for what a file is made from; it is gone when the block ends.

    Args:
        path: The file.
        scratch: Where to make the folder; beside the file if not given.

    """
    path = Path(path)
    folder = Path(scratch or path.parent) / f".{path.stem}.{uuid.uuid4().hex[:12]}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(paths: Iterable[str | Path]) -> list[Path]:
    """Remove the drafts that a killed job left of some files; give those there were.

    A job that still writes one of them, which nobody waits for any more, then fails instead of replacing the file.
    """
    found = [draft for path in map(Path, paths) for draft in _drafts(path)]
    for draft in found:
        if draft.is_dir():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            draft.unlink(missing_ok=True)
    return found


def _drafts(path: Path) -> list[Path]:
    if not path.parent.is_dir():
        return []
    own = {path.stem, path.name, beside(path).name}
    return [p for p in path.parent.iterdir() if (match := DRAFT.fullmatch(p.name)) and match[1] in own]


def put(path: Path, text: str) -> None:
    """Write a text, whole, without a checksum beside it."""
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def await_past(paths: Iterable[str | Path]) -> None:
    """Wait until files that a clock a little ahead has dated lie in the past.

    Snakemake takes an output that is older than its input for out of date, and lets its job fail.

    Raises:
        StaleError: The time of a file is far ahead.

    """
    for path in paths:
        moment = Path(path).stat().st_mtime
        if moment > time.time() + AHEAD:
            raise StaleError(
                f"{path} has a time in the future ({datetime.datetime.fromtimestamp(moment):%Y-%m-%d %H:%M}), so that "
                f"what is made of it would look older. Correct the clock that is wrong, then type: touch {path}"
            )
        time.sleep(max(0, moment - time.time()))


def write_json(path: str | Path, content: Any) -> None:
    """Write JSON, whole; the same content gives the same bytes."""
    with whole(path) as draft:
        draft.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read JSON that Parcelle wrote, after `verify`."""
    return json.loads(verify(path).read_text())


def verify(path: str | Path) -> Path:
    """Return `path` if the file there is the one that was written.

    Raises:
        StaleError: The file is missing, or its checksum is not the one beside it.

    """
    path = refuse_missing(path)
    if checksum(path) != beside(path).read_text():
        raise StaleError(f"{path} was changed or cut after it was written: its checksum differs. {_mend(path)}")
    return path


def refuse_missing(path: str | Path) -> Path:
    """Return `path` if a file is there, and its checksum beside it; neither is read.

    Raises:
        StaleError: One of them is missing.

    """
    path = Path(path)
    if not path.is_file():
        raise StaleError(f"{path} is missing. {_mend(path)}")
    if not beside(path).is_file():
        raise StaleError(f"{path} has no checksum beside it ({beside(path).name}). {_mend(path)}")
    return path


def _mend(path: Path) -> str:
    return f"Make it again: snakemake --forcerun {path}"
