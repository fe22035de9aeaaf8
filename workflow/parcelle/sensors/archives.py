"""What formats of product folders share: folders and zip archives, looked into in place. Nothing is ever unpacked."""

import datetime
import errno
import functools
import lzma
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from parcelle.errors import InputError
from parcelle.sensors.base import Problem, refuse_special

T = TypeVar("T")

# What may follow the name of a product: an archive's ending, of those that are read or not, and that of ESA's folders.
_PACKED = re.compile(r"\.(zip|7z|rar|tar(\.\w+)?|t[gbx]z2?|gz|bz2|xz|zst)$", re.IGNORECASE)
_SAFE = ".SAFE"

# Members that are archives themselves.
_INNER = re.compile(r"\.(zip|tar|tgz|tar\.gz)$", re.IGNORECASE)

# Most bytes of a file of metadata; those of ESA have some 50,000.
_MOST = 16 * 2**20


def listed(path: str, tile: str, begins: str) -> list[Path]:
    """List the product folders and archives of a tile, by name.

    Of a product that is there as a folder and as an archive, it is the folder. What should be a product and is not
    stands among them: links to nothing or to themselves, archives that are no zip, files with the name of a folder.

    Args:
        path: The setting `sensors.*.path`; `/{tile}` is added where it does not name the tile.
        tile: Name of the tile.
        begins: Regular expression of the first letters of a product's name.

    Raises:
        InputError: The folder of the tile must not be read.

    """
    parent = Path(path.format(tile=tile) if "{tile}" in path else f"{path}/{tile}")
    if not os.path.isdir(parent):
        return []
    try:
        with os.scandir(parent) as entries:
            kinds = {e.name: _is_folder(e) for e in entries if re.match(begins, e.name)}
    except OSError as error:
        raise InputError(f"{parent} cannot be listed ({error.strerror}): make it readable.") from None
    folders = [name for name, is_folder in kinds.items() if is_folder]
    return [parent / name for name in sorted(kinds) if kinds[name] or _stands_alone(parent / name, folders)]


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself, or to where one must not look
        return False


def _stands_alone(place: Path, folders: Collection[str]) -> bool:
    """Whether something that is no folder stands for a product that is not there as one."""
    if not os.path.exists(place):
        return True
    named = _PACKED.search(place.name) or "." not in place.name.removesuffix(_SAFE)
    return bool(named) and not any(_holds(place.name, folder) for folder in folders)


def _holds(archive: str, folder: str) -> bool:
    """Whether an archive's name is that of a folder; archives of Theia may lack the version that ends the folder's."""
    name = _PACKED.sub("", archive).removesuffix(_SAFE)
    return folder.removesuffix(_SAFE) == name or folder.startswith(f"{name}_V")


@dataclass(frozen=True)
class Folder:
    """A product that is a folder.

    Attributes:
        place: The folder.

    """

    place: Path

    @property
    def name(self) -> str:
        """Name of the product's folder."""
        return self.place.name

    def names(self, folder: str = "") -> list[str]:
        """What lies in a folder of the product, by name; nothing if that is not there.

        Raises:
            ValueError: A link leads there: it may leave the product, or lead back.

        """
        there = self.place
        for part in PurePosixPath(folder).parts:
            there = there / part
            if there.is_symlink():
                raise ValueError(f"its folder {folder} is a link: put the folder itself there")
        return sorted(os.listdir(there)) if there.is_dir() else []

    def file(self, name: str) -> str:
        """Path of a file of the product, for GDAL.

        Raises:
            ValueError: It is a pipe or the like.

        """
        refuse_special(self.place / name)
        return str(self.place / name)

    def read(self, name: str) -> bytes:
        """Content of a small file.

        Raises:
            ValueError: It is missing, or not small.

        """
        there = self.place / name
        if not there.is_file():
            raise ValueError(f"it has no {name}")
        _refuse_large(name, there.stat().st_size)
        return there.read_bytes()


@dataclass(frozen=True)
class Archive:
    """A product that is a zip archive with its folder; GDAL reads the files in place.

    Attributes:
        place: The archive.
        name: Name of the product's folder.
        members: Files in that folder and those in it.

    """

    place: Path
    name: str
    members: tuple[str, ...]

    def names(self, folder: str = "") -> list[str]:
        """What lies in a folder of the product, by name; nothing if that is not there."""
        start = f"{folder}/" if folder else ""
        inside = (member.removeprefix(start) for member in self.members if member.startswith(start))
        return sorted({name.partition("/")[0] for name in inside})

    def file(self, name: str) -> str:
        """Path of a file of the product, for GDAL."""
        return f"/vsizip/{self.place}/{self.name}/{name}"

    def read(self, name: str) -> bytes:
        """Content of a small file.

        Raises:
            ValueError: It is missing, damaged, or not small.

        """
        if name not in self.members:
            raise ValueError(f"it has no {name}")
        try:
            with zipfile.ZipFile(self.place) as content:
                member = content.getinfo(f"{self.name}/{name}")
                _refuse_large(name, member.file_size)
                return content.read(member)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError) as error:
            raise ValueError(f"its {name} is damaged ({error}): fetch the archive again") from None
        except OSError as error:
            if error.errno is None:  # what bz2 says of damaged data
                raise ValueError(f"its {name} is damaged ({error}): fetch the archive again") from None
            raise


Product = Folder | Archive


def _refuse_large(name: str, size: int) -> None:
    if size > _MOST:
        raise ValueError(f"its {name} has {size} bytes, where a file of metadata has less than {_MOST}")


def acquired(
    places: Iterable[Path], read: Callable[[Product], T], date_of: Callable[[Path], datetime.date | None]
) -> tuple[list[T], list[Problem]]:
    """Read products one by one; what `read` cannot make anything of, with a `ValueError`, is a problem."""
    found: list[T] = []
    problems: list[Problem] = []
    for place in places:
        try:
            found.append(read(opened(place)))
        except OSError as error:
            what = "it" if error.filename in (None, str(place)) else error.filename
            why = f"{what} cannot be read ({error.strerror}): make it readable"
            problems.append(Problem(str(place), why, date_of(place)))
        except ValueError as error:
            problems.append(Problem(str(place), str(error), date_of(place)))
    return found, problems


def opened(place: Path) -> Product:
    """Look at what should be a product.

    Raises:
        ValueError: It is neither a folder nor a zip archive of one, or one that cannot be trusted.
        OSError: It must not be read.

    """
    try:
        is_folder = stat.S_ISDIR(place.stat().st_mode)
    except FileNotFoundError:
        raise ValueError("it is a link to nothing") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError("it is a link that leads back to itself") from None
        raise
    if is_folder:
        _refuse_way_back(place)
        return Folder(place)
    refuse_special(place)
    if place.suffix != ".zip" and place.suffix.lower() == ".zip":
        raise ValueError(f"its name ends in {place.suffix}: rename it to .zip")
    if place.suffix != ".zip":
        raise ValueError("it is no folder: unpack it")
    return _archive(place)


def _refuse_way_back(place: Path) -> None:
    """Refuse a link to a folder that holds it."""
    target = os.path.realpath(place)
    if place.is_symlink() and Path(os.path.realpath(place.parent)).is_relative_to(target):
        raise ValueError(f"it is a link that leads back to {target}, which holds it")


def _archive(place: Path) -> Archive:
    try:
        with zipfile.ZipFile(place) as content:
            members = content.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, struct.error):
        raise ValueError("it is no zip archive, or a truncated one: fetch it again") from None
    _refuse_members(members, place.stat().st_size)
    files = [member.filename for member in members if not member.is_dir()]
    tops = sorted({name.partition("/")[0] for name in files})
    if len(tops) != 1 or tops[0] in files:
        raise ValueError("it does not hold the product's folder and nothing beside it")
    if not _holds(place.name, tops[0]):
        raise ValueError(f"it holds {tops[0]}, which is not what its name says")
    return Archive(place, tops[0], tuple(name.removeprefix(f"{tops[0]}/") for name in files))


def _refuse_members(members: Sequence[zipfile.ZipInfo], size: int) -> None:
    """Refuse an archive with a member that could lead out of it, or that cannot be read."""
    known: set[str] = set()
    for member in members:
        name = member.orig_filename
        if why := _fault(member, size) or ("stands twice in it" if name in known else None):
            raise ValueError(f"its member {name!r} {why}")
        known.add(name)


def _fault(member: zipfile.ZipInfo, size: int) -> str | None:
    """Say what is wrong with a member of an archive of so many bytes, if anything."""
    name = member.orig_filename
    if ".." in re.split(r"[/\\]", name):
        return "leads out of it"
    if re.match(r"[/\\]|[A-Za-z]:", name):
        return "has an absolute name"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "is a link"
    if _INNER.search(name):
        return "is an archive in the archive: unpack the outer one"
    if member.flag_bits & 1:
        return "is encrypted"
    # Python corrects the places of members where an archive is shorter than it says: the first begins before it then.
    if member.header_offset < 0 or member.header_offset + member.compress_size > size:
        return "does not lie within the archive, which lacks a part: fetch it again"
    return None


def only(names: Sequence[str], ending: str) -> str:
    """Name of the only file that ends so.

    Raises:
        ValueError: There is none, or there are several.

    """
    match = [name for name in names if name.endswith(ending)]
    if len(match) != 1:
        raise ValueError(f"{len(match)} files end in {ending}, where there must be one")
    return match[0]


def same_tile(found: str, tile: str) -> None:
    """Refuse a product whose name gives another tile than the folder that it lies in.

    Raises:
        ValueError: It does.

    """
    if found != tile.removeprefix("T"):
        raise ValueError(f"its name says tile {found}, but it lies in the folder of tile {tile}")


def moment(text: str) -> datetime.datetime:
    """Time (UTC) that is written ``YYYYMMDD-HHMMSS``, or with a T between day and time.

    Raises:
        ValueError: There is no such time.

    """
    try:
        return datetime.datetime.strptime(text.replace("T", "-"), "%Y%m%d-%H%M%S").replace(tzinfo=datetime.UTC)
    except ValueError:
        raise ValueError(f"its name says {text}, which is no time of any day") from None


def day_in(name: str) -> datetime.date | None:
    """Day ``YYYYMMDD`` at the twelfth letter, where Theia and ESA write it in a product's name; None if it is none."""
    return _day(name[11:19])


@functools.cache
def _day(text: str) -> datetime.date | None:
    """Read a day; kept, since the tiles of a nation were seen on the same days."""
    try:
        return datetime.datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return None
