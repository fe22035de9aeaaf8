"""What is wrong with one file: what its header says, where it ends too early, blocks that cannot be read."""

import hashlib
import lzma
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import rasterio
from rasterio.enums import Interleaving
from rasterio.windows import Window

from parcelle.images import UNREADABLE, place
from parcelle.sensors import Asset, Mask

# Pixels along a side of what is read at once where a file is read as a whole; bytes of what is not an image.
PART = 1024
CHUNK = 2**20
# What an image in JPEG 2000 ends with (ISO/IEC 15444-1, table A.2: end of codestream).
_END = b"\xff\xd9"
# Types of pixels that are read; not complex numbers, which radar has before it is detected.
_TYPES = frozenset({f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)} | {"float32", "float64"})
# What reading a member of a zip archive raises if it is damaged, or packed in a way that is not known.
_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError)

Parts = Sequence[Asset | Mask]


def fault(image: rasterio.DatasetReader, parts: Parts, full: bool) -> str | None:
    """Say what is wrong with an image, if anything."""
    if missing := [p.band for p in parts if p.band > image.count]:
        return f"has {image.count} bands, but band {missing[0]} is asked for"
    if odd := [kind for p in parts if (kind := image.dtypes[p.band - 1]) not in _TYPES]:
        return f"has pixels of type {odd[0]}, where whole or real numbers are expected"
    if any(isinstance(p, Mask) and np.dtype(image.dtypes[p.band - 1]).kind not in "iu" for p in parts):
        return f"is a mask of type {image.dtypes[0]}, where whole numbers are expected"
    if why := _other_nodata(image, parts) or _truncation(image):
        return why
    return unreadable(image, sorted({p.band for p in parts})) if full else None


def _other_nodata(image: rasterio.DatasetReader, parts: Parts) -> str | None:
    """Say where a file calls another number no data than its product does; NaN never is a value, whoever says so."""
    for part in parts:
        said = image.nodatavals[part.band - 1]
        if isinstance(part, Mask) or part.nodata is None or said is None or np.isnan([said, part.nodata]).any():
            continue
        if said != part.nodata:
            return f"says that no data is {said:g}, where {part.nodata:g} is what its product says"
    return None


def _truncation(image: rasterio.DatasetReader) -> str | None:
    """Say where a file ends too early: of an image in JPEG 2000, GDAL may read some number for what is missing."""
    if "://" in image.name or image.name.startswith("/vsi"):
        return None
    if image.driver.startswith("JP2"):
        return _truncation_of_boxes(image.name)
    return _truncation_of_blocks(image) if image.driver == "GTiff" else None


def _truncation_of_blocks(image: rasterio.DatasetReader) -> str | None:
    """Find a block that a GeoTIFF's index places beyond the end of the file."""
    size = Path(image.name).stat().st_size
    planes = 1 if image.interleaving == Interleaving.pixel else image.count
    height, width = image.block_shapes[0]
    for plane in range(1, planes + 1):
        for row in range(-(-image.height // height)):
            for column in range(-(-image.width // width)):
                offset = image.get_tag_item(f"BLOCK_OFFSET_{column}_{row}", "TIFF", bidx=plane)
                length = image.get_tag_item(f"BLOCK_SIZE_{column}_{row}", "TIFF", bidx=plane)
                if offset and int(offset) + int(length) > size:
                    end = int(offset) + int(length)
                    return f"is truncated: its block ({row}, {column}) ends at byte {end}, the file at {size}"
    return None


def _truncation_of_boxes(path: str) -> str | None:
    """Find a box of a JP2 file that ends beyond the file, or an image without its end (ISO/IEC 15444-1, annex I)."""
    size = end = Path(path).stat().st_size
    with Path(path).open("rb") as stream:
        if stream.read(2) != b"\xff\x4f":  # a codestream by itself has no boxes
            for kind, end in _boxes(stream, size):
                if end > size:
                    return f"is truncated: its box {kind!r} ends at byte {end}, the file at {size}"
        stream.seek(end - len(_END))
        return None if stream.read(len(_END)) == _END else f"is truncated: its image has no end at byte {end}"


def _boxes(stream: BinaryIO, size: int) -> Iterator[tuple[str, int]]:
    """Name of each box of a JP2 file and the byte behind it, up to the image; length 0 is the rest of the file."""
    start, kind = 0, ""
    while start < size and kind != "jp2c":
        stream.seek(start)
        head = stream.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8].decode("latin-1")
        length = int.from_bytes(head[8:16], "big") if length == 1 else length or size - start
        start += max(length, 8)
        yield kind, start


def unreadable(image: rasterio.DatasetReader, bands: list[int]) -> str | None:
    """Name the first block of some bands that cannot be read, after reading all of them, some blocks at a time."""
    height, width = image.block_shapes[0]
    size = max(PART // height, 1) * height, max(PART // width, 1) * width
    for part in _cut(Window(0, 0, image.width, image.height), size):
        if _fails(image, bands, part):
            one_by_one = ((block, _fails(image, bands, block)) for block in _cut(part, (height, width)))
            where, why = next((found for found in one_by_one if found[1]), (part, "its blocks can, one by one"))
            return f"cannot be read in {place(where)} ({why})"
    return None


def _cut(area: Window, size: tuple[int, int]) -> Iterator[Window]:
    """Parts of an area of so many rows and columns, row by row; the last ones are cut."""
    bottom, right = area.row_off + area.height, area.col_off + area.width
    for row in range(area.row_off, bottom, size[0]):
        for column in range(area.col_off, right, size[1]):
            yield Window(column, row, min(size[1], right - column), min(size[0], bottom - row))


def _fails(image: rasterio.DatasetReader, bands: list[int], window: Window) -> str | None:
    """Why a window cannot be read, if so."""
    try:
        image.read(bands, window=window)
    except UNREADABLE as error:
        return str(error.__cause__ or error).splitlines()[0]
    return None


def unpacked(paths: Iterable[str]) -> tuple[str | None, dict[str, str]]:
    """Unpack files in zip archives, and compare each with what was packed (CRC-32); an archive is opened once.

    Args:
        paths: As GDAL has them, ``/vsizip/archive/member``; others are passed over.

    Returns:
        What is wrong with the first one that is damaged, if any, and the SHA-256 of each one by its path.

    """
    members: dict[Path, list[str]] = {}
    for path in paths:
        if archive := _archive(path):
            members.setdefault(archive, []).append(path)
    sums = {}
    for archive, inside in members.items():
        with zipfile.ZipFile(archive) as content:
            for path in inside:
                try:
                    sums[path] = _digest(content, str(_inside(path).relative_to(archive)))
                except _DAMAGED as error:
                    return f"{path} is damaged ({error}): fetch the archive again", sums
    return None, sums


def _inside(path: str) -> Path:
    return Path(path.removeprefix("/vsizip/"))


def _archive(path: str) -> Path | None:
    """Archive that a path leads into, if it is one on this machine."""
    if not path.startswith("/vsizip/"):
        return None
    return next((folder for folder in _inside(path).parents if folder.is_file()), None)


def _digest(content: zipfile.ZipFile, name: str) -> str:
    """SHA-256 of a member; it is read to its end, where Python compares its CRC-32."""
    digest = hashlib.sha256()
    with content.open(name) as member:
        while part := member.read(CHUNK):
            digest.update(part)
    return digest.hexdigest()
