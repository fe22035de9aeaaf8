"""Checksums of many files, as `sha256sum` writes and checks them; of images in archives too."""

import contextlib
import hashlib
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

from parcelle import files
from parcelle.errors import InputError


def of(path: str) -> str | None:
    """SHA-256 of what GDAL reads by a path, as hexadecimal digits; None of an address elsewhere.

    Args:
        path: A file, or a member of an archive, ``/vsizip/archive/member`` or ``/vsitar/archive/member``.

    Raises:
        OSError: It is not there, or cannot be read.
        InputError: The archive has no such member, or cannot be read.

    """
    if not path.startswith(files.ARCHIVES):
        return None if path.startswith("/vsi") or "://" in path else files.checksum(path)
    archive = files.on_disk(path)
    member = path.split(f"{archive}/", 1)[-1]
    try:
        with _member(archive, member, path.startswith("/vsizip/")) as stream:
            return _digest(stream)
    except (KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise InputError(f"{member} cannot be read from {archive} ({error}): fetch the archive again.") from None


@contextlib.contextmanager
def _member(archive: Path, name: str, zipped: bool) -> Iterator[IO[bytes]]:
    """Open a member of an archive."""
    if zipped:
        with zipfile.ZipFile(archive) as packed, packed.open(name) as stream:
            yield stream
        return
    with tarfile.open(archive, "r:") as content:
        found = content.extractfile(name)
        if found is None:
            raise KeyError(f"{name} is no file")
        yield found


def _digest(stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while part := stream.read(2**20):
        digest.update(part)
    return digest.hexdigest()


def beside(path: str | Path) -> str:
    """Checksum that lies beside a file that Parcelle wrote; the file is not read.

    Raises:
        StaleError: One of them is missing.

    """
    files.refuse_missing(path)
    return files.beside(path).read_text()


def write(sums: Mapping[str, str], path: str | Path) -> None:
    """Write checksums by name, whole: ``sha256sum -c`` checks them where the names start from."""
    with files.whole(path) as draft:
        draft.write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()), encoding="utf-8")


def write_beside(paths: Iterable[str | Path], output: str | Path) -> None:
    """Write the checksums of files of one folder by their names; they are those that lie beside the files."""
    write({Path(path).name: beside(path) for path in paths}, output)


def read(path: str | Path) -> dict[str, str]:
    """Read what `write` wrote, by name.

    Raises:
        StaleError: It is not what was written.

    """
    lines = files.verify(path).read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
