"""Rasters of the user's own: relief, climate, an earlier map; one without a date, or one for each of some dates."""

import datetime
import glob
import os
import re
import string
from collections.abc import Sequence
from pathlib import Path

import rasterio

from parcelle.errors import InputError, SettingsError
from parcelle.images import GDAL
from parcelle.sensors.base import Acquisition, Asset, Band, Problem, refuse_encoding, refuse_special

# What `{date}` stands for; the second time in a path it is what it was the first time.
_DATE, _AGAIN = r"(?P<date>\d{8}|\d{4}-\d{2}-\d{2})", "(?P=date)"
_NAME = re.compile(r"[a-z_][a-z0-9_]*")

# Day of what has none.
_NEVER = datetime.date(1970, 1, 1)

# Nobody says how large the pixels are before a file is opened; nothing depends on it.
_GSD = 10.0


class Rasters:
    """Any stack of rasters, on any grid, by a pattern of their names (format ``rasters``).

    The bands of a file are named by `names`; without, it has one, `band1`. Scale, offset and nodata are those of the
    file's header. All is valid that is neither nodata nor NaN.
    """

    optical = False
    tiled = False
    auxiliary = True

    def __init__(self, path: str, kind: str | None = None, names: Sequence[str] | None = None):
        """Check the names.

        Raises:
            SettingsError: One cannot be that of a feature, or stands twice; or codes would be interpolated in time.

        """
        self.static = "{date}" not in path
        self._path, self._codes, self._named = path, kind == "categorical", names is not None
        if self._codes and not self.static:
            raise SettingsError(
                "kind: found 'categorical' with {date} in `path`, and codes cannot be interpolated in time; make each "
                "image a sensor of its own, without {date}"
            )
        chosen = tuple(names or ("band1",))
        if wrong := [name for name in chosen if not _NAME.fullmatch(name)]:
            raise SettingsError(f"names: found {wrong[0]!r}; allowed: small letters, digits and _, no digit first")
        if len(set(chosen)) < len(chosen):
            raise SettingsError("names: a name is listed twice")
        self.bands = tuple(Band(name, "", _GSD, "other") for name in chosen)

    def products(self, path: str, tile: str) -> list[Path]:
        """Return the files themselves, those on this machine."""
        return [Path(file) for file in _files(path, tile) if os.path.exists(file)]

    # Nothing beside them is a part of them.
    watched = products

    def date_of(self, product: Path) -> datetime.date | None:
        """Day in the name of one of `products`."""
        match = re.fullmatch(_pattern(self._path, None), str(product))
        return _day(match["date"]) if match and not self.static else None

    def find(self, path: str, tile: str, sensor: str) -> tuple[list[Acquisition], list[Problem]]:
        """Open each file, for its header.

        Raises:
            InputError: There is no file.

        """
        files = _files(path, tile)
        if not files:
            where = path.replace("{tile}", tile)
            meaning = "" if self.static else ", where {date} stands for YYYYMMDD or YYYY-MM-DD"
            raise InputError(f"there is no file {where}{meaning}: correct `path` of sensor {sensor}.")
        found, problems = [], []
        for file in files:
            day = self._day(file, path, tile)
            try:
                found.append(self._acquisition(file, day, sensor))
            except ValueError as error:
                problems.append(Problem(file, str(error), day))
            except rasterio.errors.RasterioIOError as error:
                problems.append(Problem(file, f"it cannot be opened ({error})", day))
        return found, problems

    def _day(self, file: str, path: str, tile: str) -> datetime.date | None:
        match = None if self.static else re.fullmatch(_pattern(path, tile), file)
        return _day(match["date"]) if match else None

    def _acquisition(self, file: str, day: datetime.date | None, sensor: str) -> Acquisition:
        if not self.static and day is None:
            raise ValueError("the date in its name is not a day")
        refuse_special(file)
        with rasterio.Env(**GDAL), rasterio.open(file) as image:
            if image.count != len(self.bands):
                names = f"`names` lists {len(self.bands)}" if self._named else "`names` does not say what they are"
                raise ValueError(f"it has {image.count} bands, and {names}")
            assets = {band.name: self._asset(image, number) for number, band in enumerate(self.bands, start=1)}
        name = sensor if day is None else f"{sensor}-{day}"
        time = datetime.datetime.combine(day or _NEVER, datetime.time(), datetime.UTC)
        return Acquisition(name, sensor, time, {n: Asset(file, *rest) for n, rest in assets.items()})

    def _asset(self, image: rasterio.DatasetReader, number: int) -> tuple[int, float, float, float | None]:
        """Number, scale, offset and nodata of a band; codes are what they are."""
        scale, offset = (1.0, 0.0) if self._codes else (image.scales[number - 1], image.offsets[number - 1])
        refuse_encoding(scale, offset)
        return number, scale, offset, image.nodatavals[number - 1]


def _files(path: str, tile: str) -> list[str]:
    """Files that a path names, by name; of one without a date, the path itself if something is there."""
    found = glob.glob("".join("*" if part is None else glob.escape(part) for part in _parts(path, tile)))
    if "{date}" not in path:
        whole = "".join(filter(None, _parts(path, tile)))
        return [whole] if found or whole.startswith("/vsi") else []
    pattern = re.compile(_pattern(path, tile))
    return sorted(file for file in found if pattern.fullmatch(file))


def _pattern(path: str, tile: str | None) -> str:
    """Regular expression of the files that a path names, of any tile if it is None."""
    parts = [r"[^/]+" if part == "" else re.escape(part) if part else _DATE for part in _parts(path, tile or "")]
    first = parts.index(_DATE) if _DATE in parts else len(parts)
    return "".join([*parts[: first + 1], *(_AGAIN if part == _DATE else part for part in parts[first + 1 :])])


def _parts(path: str, tile: str) -> list[str | None]:
    """Literal parts of a path, with the tile's name in its places, and None in those of the date."""
    parts: list[str | None] = []
    for literal, name, _, _ in string.Formatter().parse(path):
        parts += [literal] if literal else []
        parts += [] if name is None else [None if name == "date" else tile]
    return parts


def _day(text: str) -> datetime.date | None:
    """Day that a text stands for, if it is one."""
    try:
        return datetime.datetime.strptime(text.replace("-", ""), "%Y%m%d").date()
    except ValueError:
        return None
