"""Take stock of a tile: find its acquisitions, open each once, name what is wrong with it."""

import datetime
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from parcelle import files, sensors
from parcelle.acquisitions import Inventory, ordered
from parcelle.errors import InputError
from parcelle.features import recipes
from parcelle.grid import Grid, mgrs_grid
from parcelle.images import GDAL
from parcelle.sensors import Acquisition, Asset, Format, Mask, Problem
from parcelle.series import dates_of
from parcelle.settings import Sensor, Settings

log = logging.getLogger(__name__)

# Headers that a tile's grid is taken from: enough to outvote an odd one.
LOOKED_AT = 5


def asked(settings: Settings) -> dict[str, Any]:
    """What the inventory of a tile depends on, without folders: plain values for `params` of a rule."""
    first, last = used(settings)
    return {
        "grid": settings.grid,
        "first": first.isoformat(),
        "last": last.isoformat(),
        "bands": {r.sensor: list(r.bands) for r in recipes(settings)},
        "resolution": settings.resolution,
        "formats": {name: _format(sensor) for name, sensor in settings.sensors.items()},
    }


def _format(sensor: Sensor) -> dict[str, Any]:
    """Format of a sensor, and the settings that it takes."""
    given = {name: getattr(sensor, name) for name in sensors.OPTIONS}
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
        found += [str(p) for p in format.products(sensor.path, tile) if _within(date_of(p), days)]
    return found


def _date_of(format: Format) -> Callable[[Path], datetime.date | None]:
    return getattr(format, "date_of", _unknown)


def _unknown(product: Path) -> datetime.date | None:
    return None


def _within(day: datetime.date | None, days: tuple[datetime.date, datetime.date] | None) -> bool:
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
            folders = sorted({p if os.path.isdir(p) else os.path.dirname(p) or "." for p in keys})
            found += [path for folder in folders for path in _scan(folder)]
    return found


def _scan(folder: str) -> Iterator[str]:
    """Files in a folder and the folders in it; links to folders are not followed, since they may lead back."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            if entry.is_dir(follow_symlinks=False):
                yield from _scan(entry.path)
            else:
                yield entry.path


def tile_grid(
    settings: Mapping[str, Sensor],
    tile: str,
    source: str,
    days: tuple[datetime.date, datetime.date] | None = None,
    resolution: float = 10,
) -> Grid:
    """Grid of a tile: from its MGRS name, or from the finest of its sensors.

    Args:
        settings: Sensors. The finest band of some acquisitions of each is looked at, and the commonest grid is taken;
            the finest of the sensors gives the tile's, the first in the order of the settings where several are equal.
            Products that are not cut to tiles have a say only where there are no others.
        tile: Name of the tile.
        source: `mgrs` or `header`.
        days: First and last day whose acquisitions are used.
        resolution: Pixel size in metres, with `mgrs`.

    Raises:
        InputError: No acquisition of the tile can be read.

    """
    if source == "mgrs":
        return mgrs_grid(tile, resolution)
    # Products that are cut to tiles first: theirs is the tile's, if there are any.
    tiled = {name: s for name, s in settings.items() if _tiled(s)}
    grids, faults = _sensor_grids(tiled, tile, days)
    if not grids:
        grids, wrong = _sensor_grids({name: s for name, s in settings.items() if name not in tiled}, tile, days)
        faults += wrong
    if not grids:
        where = _where(settings, tile)
        when = f" from {days[0]} to {days[1]}" if days else ""
        raise InputError(f"tile {tile} has no acquisition that can be read{when}: {where}.{_examples(faults)}")
    return min(grids, key=lambda g: g.resolution)


def _tiled(sensor: Sensor) -> bool:
    """Whether products are cut to tiles, so that all of a tile have one grid."""
    return getattr(sensors.of(sensor), "tiled", True)


def _sensor_grids(
    settings: Mapping[str, Sensor], tile: str, days: tuple[datetime.date, datetime.date] | None
) -> tuple[list[Grid], list[Problem]]:
    """Grids of several sensors; and what is wrong with their products."""
    found = [_sensor_grid(name, sensor, tile, days) for name, sensor in settings.items()]
    return [grid for grid, _ in found if grid], [problem for _, wrong in found for problem in wrong]


def _sensor_grid(
    name: str, sensor: Sensor, tile: str, days: tuple[datetime.date, datetime.date] | None
) -> tuple[Grid | None, list[Problem]]:
    """Commonest grid of the finest band of five acquisitions over the period, or of more while none can be read."""
    format = sensors.of(sensor)
    found, faults = format.find(sensor.path, tile, name)
    days = None if getattr(format, "static", False) else days
    faults = [p for p in faults if _within(p.date, days)]
    paths = [a.assets[_finest(format)].path for a in ordered(found) if _within(a.date, days)]
    spread = paths[:: max(len(paths) // LOOKED_AT, 1)]
    grids: Counter[Grid] = Counter()
    for i, path in enumerate([*spread, *(p for p in paths if p not in spread)]):
        if i >= LOOKED_AT and grids:
            break
        try:
            grids[Grid.of_file(path)] += 1
        except InputError as error:
            faults.append(Problem(os.path.basename(path), str(error)))
    return (grids.most_common(1)[0][0] if grids else None), faults


def _finest(format: Format) -> str:
    return min(format.bands, key=lambda b: b.gsd).name


def _where(settings: Mapping[str, Sensor], tile: str) -> str:
    places = (
        f"{name} in {s.path.format(tile=tile) if '{tile}' in s.path else f'{s.path}/{tile}'}"
        for name, s in settings.items()
    )
    return "looked for " + "; ".join(places)


def take(
    settings: Mapping[str, Sensor],
    tile: str,
    grid: Grid,
    first: datetime.date,
    last: datetime.date,
    on_bad: str,
    bands: Mapping[str, Sequence[str]],
) -> Inventory:
    """List and check the acquisitions of a tile between two dates.

    Args:
        settings: Sensors by name.
        tile: Name of the tile.
        grid: Its grid.
        first: First day that is used.
        last: Last day that is used.
        on_bad: `fail`, or `skip` to leave out what is wrong.
        bands: Bands in use, by sensor; only they are checked and listed.

    Raises:
        InputError: A product is wrong and `on_bad` is `fail`; or a sensor has no acquisition left.

    """
    found: list[Acquisition] = []
    problems: list[Problem] = []
    for name, sensor in settings.items():
        format = sensors.of(sensor)
        acquisitions, wrong = format.find(sensor.path, tile, name)
        days = None if getattr(format, "static", False) else (first, last)
        inside = [_with(a, bands[name]) for a in acquisitions if _within(a.date, days)]
        wrong = [p for p in wrong if _within(p.date, (first, last))]
        there = len(acquisitions) + len(wrong)
        log.info("%s: %d products, %d from %s to %s", name, there, len(inside), first, last)
        good, bad = _checked(_without_twins(inside, wrong), grid, _tiled(sensor))
        found += good
        problems += wrong + bad
        if not good and not (problems and on_bad == "fail"):
            others = len(acquisitions) - len(inside)
            raise InputError(
                f"tile {tile} has no usable acquisition of {name} from {first} to {last} ({others} at other dates, "
                f"{len(wrong + bad)} unusable): {_where({name: sensor}, tile)}.{_examples(wrong + bad)}"
            )
    if problems and on_bad == "fail":
        raise InputError(_refusal(tile, problems))
    for problem in problems:
        log.warning("left out: %s", problem)
    return Inventory(tile, grid, ordered(found), tuple(problems))


def _with(acquisition: Acquisition, bands: Sequence[str]) -> Acquisition:
    """Keep the bands in use, and note the state of their files."""
    kept = replace(acquisition, assets={b: acquisition.assets[b] for b in bands})
    return replace(kept, fingerprint=_stamp(kept))


def _stamp(acquisition: Acquisition) -> str:
    """State of an acquisition's files: what follows runs again when one was replaced."""
    return files.state([a.path for a in acquisition.assets.values()] + [m.path for m in acquisition.masks])


def _examples(problems: list[Problem]) -> str:
    return "".join(f"\n  {problem}" for problem in problems[:3])


def _refusal(tile: str, problems: list[Problem]) -> str:
    lines = "\n  ".join(map(str, problems))
    return (
        f"tile {tile}: {len(problems)} bad acquisition(s):\n  {lines}\n"
        "Repair or remove them, or set `on_bad_acquisition: skip` to go on without them."
    )


def _without_twins(acquisitions: list[Acquisition], problems: list[Problem]) -> list[Acquisition]:
    """Drop acquisitions whose name stands twice; add them to `problems`."""
    count = Counter(a.id for a in acquisitions)
    problems += [Problem(name, f"listed {n} times") for name, n in sorted(count.items()) if n > 1]
    return [a for a in acquisitions if count[a.id] == 1]


def _checked(acquisitions: list[Acquisition], grid: Grid, tiled: bool) -> tuple[list[Acquisition], list[Problem]]:
    """Open every file once; say which acquisitions are good, and what is wrong with the others."""
    faults: dict[str, str] = {}
    grids: dict[str, dict[str, Grid]] = {}
    with rasterio.Env(**GDAL):
        for acquisition in ordered(acquisitions):
            of_file = grids[acquisition.id] = {}
            if why := _fault(acquisition, of_file):
                faults[acquisition.id] = why
    readable = [a for a in acquisitions if a.id not in faults]
    if tiled:
        faults |= _strangers(readable, grids)
    for acquisition in readable:
        if why := _beside(grids[acquisition.id], grid):
            faults.setdefault(acquisition.id, why)
    good = [a for a in ordered(acquisitions) if a.id not in faults]
    return good, [Problem(a.id, faults[a.id]) for a in ordered(acquisitions) if a.id in faults]


def _beside(grids: Mapping[str, Grid], tile: Grid) -> str | None:
    """Name a file that has no ground in common with the tile."""
    for path, grid in grids.items():
        if not grid.touches(tile):
            return f"{path} does not touch the tile: it covers {grid}, the tile is {tile}"
    return None


def _strangers(acquisitions: list[Acquisition], grids: dict[str, dict[str, Grid]]) -> dict[str, str]:
    """Acquisitions with a file on another grid than the same file of most others."""
    faults: dict[str, str] = {}
    places: dict[str, list[tuple[str, str]]] = {}
    for acquisition in ordered(acquisitions):
        parts = {name: asset.path for name, asset in acquisition.assets.items()}
        parts |= {f"mask {i}": mask.path for i, mask in enumerate(acquisition.masks)}
        for name, path in parts.items():
            places.setdefault(name, []).append((acquisition.id, path))
    for of_part in places.values():
        count = Counter(grids[name][path] for name, path in of_part)
        (usual, number), total = count.most_common(1)[0], len(of_part)
        for name, path in of_part:
            if grids[name][path] != usual:
                where = f"where {number} of {total} acquisitions have {usual}"
                faults.setdefault(name, f"{path} is on another grid: {grids[name][path]}, {where}")
    return faults


def _fault(acquisition: Acquisition, found: dict[str, Grid]) -> str | None:
    """Say what is wrong with the files of an acquisition, if anything; note their grids."""
    every: tuple[Asset | Mask, ...] = (*acquisition.assets.values(), *acquisition.masks)
    parts: dict[str, list[Asset | Mask]] = {}
    for part in every:
        parts.setdefault(part.path, []).append(part)
    for path, of_file in parts.items():
        try:
            with rasterio.open(path) as image:
                found[path] = Grid.of(image)
                if why := _image_fault(image, of_file):
                    return f"{path} {why}"
        except rasterio.errors.RasterioIOError as error:
            return f"{path} cannot be opened ({error})"
        except InputError as error:
            return str(error)
    return None


def _image_fault(image: rasterio.DatasetReader, parts: Sequence[Asset | Mask]) -> str | None:
    if missing := [p.band for p in parts if p.band > image.count]:
        return f"has {image.count} bands, but band {missing[0]} is asked for"
    if any(isinstance(p, Mask) and np.dtype(image.dtypes[p.band - 1]).kind not in "iu" for p in parts):
        return f"is a mask of type {image.dtypes[0]}, where whole numbers are expected"
    return _truncation(image)


def _truncation(image: rasterio.DatasetReader) -> str | None:
    """Say where a GeoTIFF ends too early: a block that its index places beyond the end of the file."""
    if image.driver != "GTiff" or "://" in image.name or image.name.startswith("/vsi"):
        return None
    size = os.path.getsize(image.name)
    planes = 1 if image.interleaving == rasterio.enums.Interleaving.pixel else image.count
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


def write_size(inventory: Inventory, bands: Mapping[str, Sequence[str]], path: str | Path) -> None:
    """Write what the memory and time of a job depend on: pixels of the tile, and of each sensor, how much there is."""
    size = {name: _size(inventory.of(name), chosen, inventory.grid) for name, chosen in bands.items()}
    files.write_json(path, {"pixels": inventory.grid.height * inventory.grid.width, "sensors": size})


def _size(acquisitions: Sequence[Acquisition], bands: Sequence[str], grid: Grid) -> dict[str, float]:
    """Numbers of dates, acquisitions, bands and files; `density`: values of all bands per pixel of the tile."""
    paths = {a.assets[b].path for a in acquisitions for b in bands} | {m.path for a in acquisitions for m in a.masks}
    first = acquisitions[0] if acquisitions else None
    # What is on another grid is brought to the tile's when it is read.
    factors = (Grid.of_file(first.assets[b].path).nest(grid) for b in bands) if first else ()
    return {
        "dates": len(dates_of(acquisitions)),
        "acquisitions": len(acquisitions),
        "bands": len(bands),
        "files": len(paths),
        "density": round(sum(1 / (factor or 1) ** 2 for factor in factors), 4),
    }
