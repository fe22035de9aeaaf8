"""Take stock of a tile: find its acquisitions, open each once, name what is wrong with it."""

import csv
import datetime
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from parcelle import checks, checksums, files, opening, sensors
from parcelle.acquisitions import Inventory, ordered
from parcelle.errors import InputError
from parcelle.grid import Grid, mgrs_grid
from parcelle.listing import within
from parcelle.sensors import Acquisition, Format, Problem
from parcelle.series import dates_of
from parcelle.settings import Sensor

# How the names of files end that are decoded thirty times slower than others.
JPEG2000 = (".jp2", ".j2k")

log = logging.getLogger(__name__)

# Headers that a tile's grid is taken from: enough to outvote an odd one.
LOOKED_AT = 5


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
            Products that are not cut to tiles have a say only where there are no others; relief and the like, last.
        tile: Name of the tile.
        source: `mgrs` or `header`.
        days: First and last day whose acquisitions are used.
        resolution: Pixel size in metres, with `mgrs`.

    Raises:
        InputError: No acquisition of the tile can be read.

    """
    if source == "mgrs":
        return mgrs_grid(tile, resolution)
    grids: list[Grid] = []
    faults: list[Problem] = []
    for rank in range(3):
        if not grids:
            grids, wrong = _sensor_grids({n: s for n, s in settings.items() if _rank(s) == rank}, tile, days)
            faults += wrong
    if not grids:
        where = _where(settings, tile)
        when = f" from {days[0]} to {days[1]}" if days else ""
        raise InputError(f"tile {tile} has no acquisition that can be read{when}: {where}.{_examples(faults)}")
    return min(grids, key=lambda g: g.resolution)


def _rank(sensor: Sensor) -> int:
    """Who gives a tile's grid: first products that are cut to tiles, then other images, then relief and the like."""
    return 2 if getattr(sensors.of(sensor), "auxiliary", False) else 0 if _tiled(sensor) else 1


def _tiled(sensor: Sensor) -> bool:
    """Whether products are cut to tiles, so that all of a tile have one grid."""
    return getattr(sensors.of(sensor), "tiled", True)


def _drivers(sensor: Sensor) -> Sequence[str] | None:
    """Drivers of GDAL that may open its images; None for any: rasters of the user's own may be a VRT."""
    format = sensors.of(sensor)
    own = getattr(format, "auxiliary", False)
    drivers: Sequence[str] | None = getattr(format, "drivers", None if own else opening.DRIVERS)
    return drivers


def _sizes(sensor: Sensor) -> dict[str, float] | None:
    """Pixel size of each band in metres; None of products that are not cut to tiles, which may have any."""
    return {band.name: band.gsd for band in sensors.of(sensor).bands} if _tiled(sensor) else None


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
    faults = [p for p in faults if within(p.date, days)]
    paths = [a.assets[_finest(format, a)].path for a in ordered(found) if within(a.date, days)]
    spread = paths[:: max(len(paths) // LOOKED_AT, 1)]
    grids: Counter[Grid] = Counter()
    for i, path in enumerate([*spread, *(p for p in paths if p not in spread)]):
        if i >= LOOKED_AT and grids:
            break
        try:
            grids[Grid.of_file(path, _drivers(sensor))] += 1
        except InputError as error:
            faults.append(Problem(Path(path).name, str(error)))
    return (grids.most_common(1)[0][0] if grids else None), faults


def _finest(format: Format, acquisition: Acquisition) -> str:
    return min((b for b in format.bands if b.name in acquisition.assets), key=lambda b: b.gsd).name


def _where(settings: Mapping[str, Sensor], tile: str) -> str:
    return "looked for " + "; ".join(f"{name} in {_place(sensor, tile)}" for name, sensor in settings.items())


def _place(sensor: Sensor, tile: str) -> str:
    """Where the products of a tile are; the path of those that are not cut to tiles stands as it is."""
    named = "{tile}" in sensor.path or not _tiled(sensor)
    return sensor.path.replace("{tile}", tile) if named else f"{sensor.path}/{tile}"


def take(
    settings: Mapping[str, Sensor],
    tile: str,
    grid: Grid,
    first: datetime.date,
    last: datetime.date,
    on_bad: str,
    bands: Mapping[str, Sequence[str]],
    *,
    full: bool = False,
    threads: int = 1,
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
        full: Whether every block of their files is read.
        threads: Acquisitions that are opened at a time.

    Raises:
        InputError: A product is wrong and `on_bad` is `fail`; or a sensor has no acquisition left.

    """
    found: list[Acquisition] = []
    problems: list[Problem] = []
    for name, sensor in settings.items():
        inside, wrong, others = _listed(name, sensor, tile, (first, last), bands[name])
        one_each = _without_twins(inside, wrong, _tiled(sensor))
        good, bad = checks.checked(one_each, bands[name], grid, _sizes(sensor), full, threads, _drivers(sensor))
        found += good
        problems += [replace(p, sensor=name) for p in wrong + bad]
        if not good and not (problems and on_bad == "fail"):
            elsewhere = len(one_each) - len(bad)
            beside = f", {elsewhere} elsewhere" if elsewhere else ""
            raise InputError(
                f"tile {tile} has no usable acquisition of {name} from {first} to {last} ({others} at other dates, "
                f"{len(wrong + bad)} unusable{beside}): {_where({name: sensor}, tile)}.{_examples(wrong + bad)}"
            )
    if problems and on_bad == "fail":
        raise InputError(_refusal(tile, problems))
    for problem in problems:
        log.warning("left out: %s", problem)
    formats = {name: sensor.collection or sensor.format for name, sensor in settings.items()}
    return Inventory(tile, grid, ordered(found), tuple(problems), formats)


def _listed(
    name: str, sensor: Sensor, tile: str, used: tuple[datetime.date, datetime.date], bands: Sequence[str]
) -> tuple[list[Acquisition], list[Problem], int]:
    """List the acquisitions of a sensor in the days that are used, and what is wrong by its name; count the others."""
    format = sensors.of(sensor)
    acquisitions, faults = format.find(sensor.path, tile, name)
    days = None if getattr(format, "static", False) else used
    # After today, whatever the period: such a date is wrong, and the true one unknown.
    today = datetime.datetime.now(datetime.UTC).date()
    future = [a for a in ordered(acquisitions) if days and a.date > today]
    inside = [_with(a, bands) for a in acquisitions if within(a.date, days) and not (days and a.date > today)]
    wrong = [p for p in faults if within(p.date, used)]
    log.info("%s: %d products, %d from %s to %s", name, len(acquisitions) + len(wrong), len(inside), *used)
    wrong += [Problem(a.id, f"its date, {a.date}, lies in the future: correct it", a.date) for a in future]
    return inside, wrong, len(acquisitions) - len(inside) - len(future)


def _with(acquisition: Acquisition, bands: Sequence[str]) -> Acquisition:
    """Keep the bands in use that are there, and note the state of their files."""
    kept = replace(acquisition, assets={b: acquisition.assets[b] for b in bands if b in acquisition.assets})
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


def _without_twins(acquisitions: list[Acquisition], problems: list[Problem], tiled: bool) -> list[Acquisition]:
    """Keep each acquisition once; add to `problems` those that stand there twice.

    Of a name that stands twice, none is kept. Of several products of one tile and one second, such as two versions
    of the processing, the last in the order of names is.
    """
    count = Counter(a.id for a in acquisitions)
    problems += [Problem(name, f"listed {n} times") for name, n in sorted(count.items()) if n > 1]
    once = ordered(a for a in acquisitions if count[a.id] == 1)
    # Without a time of day, several orbits of a day look like one.
    last = {a.datetime: a.id for a in once if tiled and a.datetime.time() != datetime.time()}
    again = {a.id for a in once if last.get(a.datetime, a.id) != a.id}
    why = "the same acquisition as {}: keep one of them"
    problems += [Problem(a.id, why.format(last[a.datetime]), a.date) for a in once if a.id in again]
    return [a for a in once if a.id not in again]


def write_table(inventory: Inventory, path: str | Path) -> None:
    """Write a row per product: sensor, id, date, clear share from the masks, and why it was left out, if it was."""
    rows = [
        (a.sensor, str(a.date), a.id, "" if a.clear is None else f"{a.clear:.4f}", "") for a in inventory.acquisitions
    ]
    rows += [(p.sensor, str(p.date or ""), p.product, "", f"left out: {p.why}") for p in inventory.problems]
    with files.whole(path) as draft, draft.open("w", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["sensor", "id", "date", "clear", "note"])
        table.writerows((sensor, name, day, *others) for sensor, day, name, *others in sorted(rows))


def write_sums(inventory: Inventory, path: str | Path) -> None:
    """Write the checksums of all images that were read as a whole, by their paths; twice used, an image stands once."""
    sums = {name: digest for a in inventory.acquisitions for name, digest in a.checksums.items()}
    checksums.write(dict(sorted(sums.items())), path)


def write_size(inventory: Inventory, bands: Mapping[str, Sequence[str]], path: str | Path) -> None:
    """Write what the memory and time of a job depend on: pixels of the tile, and of each sensor, how much there is."""
    size = {name: _size(inventory.of(name), chosen, inventory.grid) for name, chosen in bands.items()}
    files.write_json(path, {"pixels": inventory.grid.height * inventory.grid.width, "sensors": size})


def _size(acquisitions: Sequence[Acquisition], bands: Sequence[str], grid: Grid) -> dict[str, float]:
    """Numbers of dates, acquisitions, bands and files.

    Also `density`, values of all bands per pixel of the tile; and `jpeg2000`, the share of such files, if any.
    """
    paths = {a.assets[b].path for a in acquisitions for b in bands} | {m.path for a in acquisitions for m in a.masks}
    slow = sum(path.lower().endswith(JPEG2000) for path in paths)
    first = acquisitions[0] if acquisitions else None
    # What is on another grid is brought to the tile's when it is read.
    factors = (Grid.of_file(first.assets[b].path).nest(grid) for b in bands) if first else ()
    return {
        "dates": len(dates_of(acquisitions)),
        "acquisitions": len(acquisitions),
        "bands": len(bands),
        "files": len(paths),
        "density": round(sum(1 / (factor or 1) ** 2 for factor in factors), 4),
    } | ({"jpeg2000": round(slow / len(paths), 4)} if slow else {})
