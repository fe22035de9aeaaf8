"""What there is of a tile by the names of its files alone: which products, and whether one of them changed.

Every job of the workflow asks for it, so nothing here opens an image, or needs a library that does.
"""

import csv
import datetime
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from parcelle import files, sensors
from parcelle.features import recipes
from parcelle.sensors import Format
from parcelle.settings import Sensor, Settings


def asked(settings: Settings) -> dict[str, Any]:
    """What the inventory of a tile depends on, without folders: plain values for `params` of a rule."""
    first, last = used(settings)
    return {
        "grid": settings.grid,
        "first": first.isoformat(),
        "last": last.isoformat(),
        "bands": {r.sensor: list(r.bands) for r in recipes(settings)},
        "resolution": settings.resolution,
        "check": settings.check,
        "formats": {name: _format(sensor) for name, sensor in settings.sensors.items()},
    }


def _format(sensor: Sensor) -> dict[str, Any]:
    """Format of a sensor, and the settings that it takes."""
    given = sensor.model_dump(include={*sensors.OPTIONS})
    return {"format": sensor.format} | {name: value for name, value in given.items() if value is not None}


def used(settings: Settings) -> tuple[datetime.date, datetime.date]:
    """First and last day whose acquisitions are used: the period with its padding."""
    padding = datetime.timedelta(days=settings.period.padding)
    return settings.period.start - padding, settings.period.end + padding


def products(
    settings: Mapping[str, Sensor], tile: str, days: tuple[datetime.date, datetime.date] | None = None
) -> list[str]:
    """One file per product of a tile, for the `input` of its inventory."""
    found = []
    for sensor in settings.values():
        format = sensors.of(sensor)
        date_of = _date_of(format)
        found += [str(p) for p in format.products(sensor.path, tile) if within(date_of(p), days)]
    return found


def _date_of(format: Format) -> Callable[[Path], datetime.date | None]:
    return getattr(format, "date_of", _unknown)


def _unknown(product: Path) -> datetime.date | None:
    return None


def within(day: datetime.date | None, days: tuple[datetime.date, datetime.date] | None) -> bool:
    """Whether a product may be used; one whose name tells no day may."""
    return day is None or days is None or days[0] <= day <= days[1]


def watched(
    settings: Mapping[str, Sensor], tile: str, days: tuple[datetime.date, datetime.date] | None = None
) -> list[str]:
    """All files of the products of a tile, for the fingerprint of its inventory.

    A format says which with a method `watched(path, tile)`; without one, they are those in the products' folders.
    """
    found: list[str] = []
    for name, sensor in settings.items():
        format = sensors.of(sensor)
        if hasattr(format, "watched"):
            found += map(str, format.watched(sensor.path, tile))
        else:
            keys = products({name: sensor}, tile, days)
            found += (p for p in keys if p.endswith(".zip"))
            folders = {p if os.path.isdir(p) else os.path.dirname(p) or "." for p in keys if not p.endswith(".zip")}
            found += [path for folder in sorted(folders) for path in _scan(folder)]
    return found


def read_mb(settings: Settings, tile: str) -> float:
    """Size of the files of a tile that its inventory reads as a whole, in MiB: none, unless every block is checked."""
    return files.size_mb(watched(settings.sensors, tile, used(settings))) if settings.check == "full" else 0.0


def _scan(folder: str) -> Iterator[str]:
    """Files in a folder and the folders in it; links to folders are not followed, since they may lead back."""
    try:
        inside = sorted(os.scandir(folder), key=lambda e: e.name)
    except OSError:  # nothing in it can be seen; the inventory says so
        yield folder
        return
    for entry in inside:
        if entry.is_dir(follow_symlinks=False):
            yield from _scan(entry.path)
        else:
            yield entry.path


def left_out(table: str, watched: Sequence[str]) -> bool:
    """Whether an inventory left acquisitions out, and none of its files was replaced since.

    Args:
        table: From `write_table`; it may not be there yet.
        watched: Files of the products.

    """
    if not os.path.exists(table):
        return False
    with open(table, encoding="utf-8", newline="") as stream:
        if not any(row["note"].startswith("left out") for row in csv.DictReader(stream)):
            return False
    written = os.path.getmtime(table)
    return not any(os.path.getmtime(path) > written for path in watched if os.path.exists(path))
