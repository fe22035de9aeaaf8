"""Sentinel-1 images as S1Tiling (CNES, CESBIO) writes them: one file a date and polarisation, on the tile's grid."""

import datetime
import os
import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from parcelle.errors import InputError
from parcelle.sensors.base import Acquisition, Asset, Band, Mask, Problem, refuse_special

_NAME = re.compile(
    r"(?P<satellite>s1[a-d])_(?P<tile>[^_]+)_(?P<polarisation>[vh]{2})_(?P<direction>ASC|DES)_(?P<orbit>\d+)"
    r"_(?P<day>\d{8})t(?P<time>\d{6}|x{6})(?P<version>(_[A-Za-z]\w*)?)\.tif$"
)
_DIRECTIONS = {"ascending": "ASC", "descending": "DES"}
_MASK, _FILTERED = "_BorderMask", "_filtered"


@dataclass(frozen=True)
class _Image:
    """One file, and what its name says; `version` is what follows the time: calibration, filter."""

    path: Path
    satellite: str
    tile: str
    polarisation: str
    direction: str
    orbit: str
    time: datetime.datetime
    version: str

    @property
    def acquisition(self) -> tuple[str, ...]:
        """What all files of one acquisition share: a satellite comes by on one orbit once a day."""
        return f"{self.time:%Y%m%d}", self.satellite, self.direction, self.orbit

    @property
    def stamp(self) -> str:
        """What follows the polarisation in the name."""
        return self.path.name.split(f"_{self.polarisation}_", 1)[1]


class Sentinel1:
    """Calibrated and orthorectified Sentinel-1 GRD by S1Tiling (format ``sentinel1-s1tiling``).

    Linear power as float32, nodata 0, which is brought to dB. A pixel is valid where all bands are observed, and the
    border masks that there are say 1. Source: https://s1-tiling.pages.orfeo-toolbox.org/s1tiling/latest/files.html
    """

    optical = False
    bands = (Band("vv", "vv", 10, "dB"), Band("vh", "vh", 10, "dB"))

    def __init__(self, orbit: str | None = None):
        self._direction = _DIRECTIONS[orbit] if orbit else None

    def products(self, path: str, tile: str) -> list[Path]:
        """One image of each acquisition: that in VV, if there is one."""
        groups = self._groups(_files(_folder(path, tile)), tile)
        return [max(images, key=lambda image: image.polarisation).path for images in groups]

    def date_of(self, product: Path) -> datetime.date | None:
        """Day in the name of an image."""
        image = _image(product)
        return image.time.date() if image else None

    def watched(self, path: str, tile: str) -> list[Path]:
        """Images and border masks of a tile."""
        folder = _folder(path, tile)
        return [file for place in dict.fromkeys((folder, _of_masks(folder))) for file in _files(place)]

    def find(self, path: str, tile: str, sensor: str) -> tuple[list[Acquisition], list[Problem]]:
        """Read the names of the files; nothing is opened.

        Raises:
            InputError: The folder cannot be listed; or it holds images of both directions of flight, and no setting
                says which to take.

        """
        folder = _folder(path, tile)
        files, masks = _files(folder), set(_files(_of_masks(folder)))
        groups = self._groups(files, tile)
        _refuse_both({images[0].direction for images in groups}, folder)
        found: list[Acquisition] = []
        problems = [Problem(str(file), why) for file in files if (why := _misnamed(file, tile))]
        problems += _without_images(files)
        for images in groups:
            try:
                found.append(_acquisition(images, masks, sensor))
            except ValueError as error:
                problems.append(Problem(str(images[0].path), str(error), images[0].time.date()))
        return found, problems

    def _groups(self, files: Sequence[Path], tile: str) -> list[list[_Image]]:
        """Images of each acquisition, of the direction that is asked for."""
        groups: dict[tuple[str, ...], list[_Image]] = defaultdict(list)
        for file in files:
            image = None if _misnamed(file, tile) else _image(file)
            if image and self._direction in (None, image.direction):
                groups[image.acquisition].append(image)
        return [groups[key] for key in sorted(groups)]


def _acquisition(images: Sequence[_Image], masks: Collection[Path], sensor: str) -> Acquisition:
    """Acquisition of the images of one satellite, orbit and day."""
    if len(stamps := sorted({image.stamp for image in images})) > 1:
        raise ValueError(f"there are several images of that day and orbit, keep one: {', '.join(stamps)}")
    paths = {image.polarisation: image.path for image in images}
    if "vv" not in paths:
        raise ValueError("there is none in VV beside it")
    # A mask is named as the image that it was made of, before a filter.
    beside = (f"{path.stem.removesuffix(_FILTERED)}{_MASK}.tif" for path in paths.values())
    flags = [file for name in sorted(beside) for file in masks if file.name == name]
    for file in (*paths.values(), *flags):
        refuse_special(file)
    return Acquisition(
        paths["vv"].stem.replace("_vv_", "_", 1),
        sensor,
        images[0].time,
        {name: Asset(str(paths[name]), nodata=0.0, power=True) for name in ("vv", "vh") if name in paths},
        tuple(Mask(str(file), 1, (0,)) for file in flags),
    )


def _refuse_both(directions: Collection[str], folder: Path) -> None:
    """Refuse to mix what is seen from the east with what is seen from the west."""
    if len(directions) > 1:
        raise InputError(
            f"{folder} holds ascending and descending images, which are series of their own: set `orbit: ascending` or "
            "`orbit: descending`; for both, name two sensors with the same path."
        )


def _without_images(files: Sequence[Path]) -> list[Problem]:
    """Border masks beside which no image of their acquisition is left, in any polarisation."""
    there = {image.acquisition for file in files if (image := _image(file))}
    made_of = {file: _image(file.with_stem(file.stem.removesuffix(_MASK))) for file in files if _is_mask(file)}
    return [
        Problem(str(file), "the images that it is a mask of are missing", image.time.date())
        for file, image in made_of.items()
        if image and image.acquisition not in there
    ]


def _is_mask(file: Path) -> bool:
    return file.name.endswith(f"{_MASK}.tif")


def _misnamed(file: Path, tile: str) -> str | None:
    """Say what is wrong with the name of a file."""
    image = _image(file)
    if image is None and not _is_mask(file):
        return "its name is not s1x_TTTTT_pp_ASC|DES_ooo_YYYYMMDDtHHMMSS.tif"
    if image and image.tile != tile.removeprefix("T"):
        return f"its name says tile {image.tile}, but it lies in the folder of tile {tile}"
    return None


def _image(file: Path) -> _Image | None:
    """What the name of an image says; None if it is another file. Where two were joined, no time of day is known."""
    match = _NAME.match(file.name)
    if not match or file.stem.endswith(_MASK):
        return None
    said = match.groupdict()
    day, clock = said.pop("day"), said.pop("time").replace("x", "0")
    try:
        time = datetime.datetime.strptime(day + clock, "%Y%m%d%H%M%S").replace(tzinfo=datetime.UTC)
    except ValueError:
        return None
    return _Image(file, time=time, **said)


def _folder(path: str, tile: str) -> Path:
    return Path(path.format(tile=tile) if "{tile}" in path else f"{path}/{tile}")


def _of_masks(folder: Path) -> Path:
    """Where border masks lie: beside the images; for ``output/filtered/tile``, in ``output/tile``."""
    return folder.parent.parent / folder.name if folder.parent.name == "filtered" else folder


def _files(folder: Path) -> list[Path]:
    """Files of a folder that are named as images of Sentinel-1 are, or nearly so, by name."""
    if not os.path.isdir(folder):
        return []
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise InputError(f"{folder} cannot be listed ({error.strerror}): make it readable.") from None
    return [folder / name for name in names if re.match(r"s1[a-d]_.*\.tiff?$", name, re.IGNORECASE)]
