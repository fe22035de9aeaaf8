"""The tables beside the crate: products that a run read, and its jobs."""

import csv
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from parcelle import acquisitions, checksums, files
from parcelle.operations.jobs import Record
from parcelle.sensors import Acquisition
from parcelle.settings import Settings

# What of a record concerns only whoever runs it, or stands in its own column.
_PRIVATE = {"wildcards", "message", "pid"}

PRODUCTS = ("tile", "sensor", "product", "date", "path", "files", "state", "sha256")


def of_run(records: Iterable[Record], settings: Settings) -> list[Record]:
    """Records of the jobs that a run with these settings has; others lie there from settings of before."""
    known: dict[str, set[str]] = {
        "tile": set(settings.tiles),
        "product": set(settings.map.products),
        "seed": {"all", *map(str, range(settings.seeds))},
    }
    return [r for r in records if all(value in known.get(name, {value}) for name, value in r.wildcards.items())]


def write_jobs(records: Iterable[Record], path: str | Path) -> None:
    """Write a row per job."""
    names = [field.name for field in fields(Record) if field.name not in _PRIVATE]
    rows = [[r.name.partition(" ")[2], *(getattr(r, name) for name in names)] for r in records]
    _write(["job", *names], rows, path)


def write_products(inventories: Sequence[str], sums: Mapping[str, str], path: str | Path) -> None:
    """Write a row per product that was used.

    Args:
        inventories: The tiles' acquisitions.
        sums: SHA-256 of images by path, as far as they are known.
        path: Path of the table.

    """
    _write(PRODUCTS, _products(inventories, sums), path)


def _products(inventories: Iterable[str], sums: Mapping[str, str]) -> Iterator[list[Any]]:
    for inventory in inventories:
        found = acquisitions.read(inventory)
        for one in found.acquisitions:
            used = images(one)
            row = [found.tile, one.sensor, one.id, one.date, folder(used), len(used), one.fingerprint]
            yield [*row, _together(used, sums)]


def images(acquisition: Acquisition) -> list[str]:
    """Paths of the files of an acquisition, each once."""
    paths = [asset.path for asset in acquisition.assets.values()] + [mask.path for mask in acquisition.masks]
    return sorted(set(paths))


def folder(paths: Sequence[str]) -> str:
    """Folder that all of some files are in; the path of a single one, and the first of addresses."""
    return paths[0] if len(paths) == 1 or "://" in paths[0] else os.path.commonpath(paths)


def _together(paths: Sequence[str], sums: Mapping[str, str]) -> str:
    """SHA-256 over the names and checksums of files; nothing where one of them is not known.

    Folders do not count: the same product elsewhere has the same.
    """
    if any(path not in sums for path in paths):
        return ""
    lines = sorted(f"{sums[path]}  {Path(path).name}\n" for path in paths)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_sums(paths: Iterable[str]) -> dict[str, str]:
    """Checksums of the images of several tiles, by path."""
    return {name: digest for path in paths for name, digest in checksums.read(path).items()}


def _write(names: Sequence[str], rows: Iterable[Sequence[Any]], path: str | Path) -> None:
    with files.whole(path) as draft, draft.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(names)
        table.writerows(rows)
