"""Landsat scenes of the USGS, Collection 2 level 2: folders, archives, or files side by side."""

import datetime
import logging
import os
import re
import tarfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from parcelle.errors import InputError, SettingsError
from parcelle.sensors.bands import LANDSAT
from parcelle.sensors.base import Acquisition, Asset, Band, Mask, Problem, refuse_special

log = logging.getLogger(__name__)

# What names of Landsat products begin with, of any level and collection; and those that are read. Satellite, path and
# row, day, day of processing (Landsat 8-9 Collection 2 Level 2 Data Format Control Book, LSDS-1328).
_PRODUCT = re.compile(r"L[A-Z]\d\d_[A-Z0-9]{4}_\d{6}_\d{8}_\d{8}_\d\d_[A-Z0-9]{2}")
_NAME = re.compile(r"(L[CO]0[89]|LE07|LT0[45])_L2S[PR]_(\d{6})_(\d{8})_(\d{8})_02_T[12]$")
_ARCHIVE = re.compile(r"\.(zip|7z|rar|tar(\.\w+)?|t[gbx]z2?|gz|bz2|xz|zst)$", re.IGNORECASE)

# Images whose names end as they should not: they are found, and said to be none.
_MISNAMED = re.compile(r"_(SR_B\d|ST_B\d+|QA_PIXEL|QA_RADSAT)\.tiff?$", re.IGNORECASE)

# Bands of all Landsat sensors by their common names, and what they are called by those of Landsat 8 and 9 (OLI, TIRS)
# and of Landsat 4, 5 and 7 (TM, ETM+).
_OLI = {"blue": "SR_B2", "green": "SR_B3", "red": "SR_B4", "nir08": "SR_B5", "swir16": "SR_B6", "swir22": "SR_B7",
        "coastal": "SR_B1", "lwir": "ST_B10"}  # fmt: skip
_TM = {"blue": "SR_B1", "green": "SR_B2", "red": "SR_B3", "nir08": "SR_B4", "swir16": "SR_B5", "swir22": "SR_B7",
       "lwir": "ST_B6"}  # fmt: skip

# Scale and offset of reflectance and temperature; fill is 0.
_ENCODING = {"SR": (0.0000275, -0.2), "ST": (0.00341802, 149.0)}

# Flags of QA_PIXEL by bit; 6 says that neither 1 nor 3 is set, those from 8 on are degrees of confidence.
FLAGS = {0: "fill", 1: "dilated cloud", 2: "cirrus", 3: "cloud", 4: "cloud shadow", 5: "snow", 7: "water"}
INVALID = (0, 1, 2, 3, 4, 5)

# Bits of QA_RADSAT: 0 to 6 saturated in bands 1 to 7, among them the thermal one of TM and ETM+; 9 dropped pixel (TM,
# ETM+); 11 hidden by the terrain (OLI). Not 8, of a band that is not read: the sixth of ETM+ in high gain, cirrus.
_RADSAT = 0b0111_1111 | 1 << 9 | 1 << 11


@dataclass(frozen=True)
class _Scene:
    """A product: its name, the folder or archive that holds its files, and their names where they lie in a folder."""

    name: str
    place: Path
    files: tuple[str, ...] = ()

    @property
    def key(self) -> Path:
        """The file that stands for it: an archive; the metadata, or else the quality band; or else its folder."""
        for end in ("_MTL.txt", "_MTL.json", "_MTL.xml", "_QA_PIXEL.TIF"):
            if self.name + end in self.files:
                return self.place / (self.name + end)
        return self.place / min(self.files) if self.files else self.place


class LandsatC2L2:
    """Landsat 4 to 9, surface reflectance and temperature, Collection 2 level 2 (format ``landsat-c2-l2``).

    A pixel is valid where none of some flags of QA_PIXEL is set (`invalid`; fill, clouds, their shadows and snow), nor
    any of QA_RADSAT that concerns a band. Sources: Landsat Collection 2 Level 2 Science Product Guides, LSDS-1618
    (Landsat 4 to 7) and LSDS-1619 (8 and 9).
    """

    optical = True
    tiled = False
    bands = (
        *LANDSAT,
        Band("coastal", "coastal", 30),
        Band("lwir", "lwir", 30, "K"),
    )
    # Those that all satellites have.
    default = ("blue", "green", "red", "nir08", "swir16", "swir22")

    def __init__(self, invalid: list[int] | None = None):
        """Choose the bits of QA_PIXEL that make a pixel invalid.

        Raises:
            SettingsError: One is not a flag.

        """
        chosen = INVALID if invalid is None else tuple(invalid)
        if wrong := [bit for bit in chosen if bit not in FLAGS]:
            flags = ", ".join(f"{bit} {name}" for bit, name in FLAGS.items())
            raise SettingsError(f"invalid: found {wrong[0]}; allowed: bits of QA_PIXEL, {flags}")
        self._invalid = sum({1 << bit for bit in chosen})

    def products(self, path: str, tile: str) -> list[Path]:
        """Metadata file of each scene, or else its quality band, or its archive, or its folder."""
        return [scene.key for scene in _scenes(path, tile)]

    def date_of(self, product: Path) -> datetime.date | None:
        """Day in the name of a scene, with which all of `products` begin."""
        try:
            return _day(product.name.split("_")[3])
        except (IndexError, ValueError):
            return None

    def find(self, path: str, tile: str, sensor: str) -> tuple[list[Acquisition], list[Problem]]:
        """Read the names of the files; of a scene that was processed again, take the newest.

        An acquisition has the bands whose files are there.
        """
        found: list[Acquisition] = []
        problems: list[Problem] = []
        for scene in _newest(_scenes(path, tile)):
            try:
                found.append(self._acquisition(scene, sensor))
            except ValueError as error:
                problems.append(Problem(str(scene.place), str(error), self.date_of(Path(scene.name))))
            except OSError as error:
                why = f"{error.filename} cannot be read ({error.strerror})"
                problems.append(Problem(str(scene.place), why, self.date_of(Path(scene.name))))
        return found, problems

    def _acquisition(self, scene: _Scene, sensor: str) -> Acquisition:
        match = _NAME.match(scene.name)
        if not match:
            raise ValueError(
                f"its name ({scene.name}) is not that of a product of Collection 2 level 2, "
                "LXNN_L2SX_PPPRRR_YYYYMMDD_YYYYMMDD_02_TN"
            )
        root, files = _opened(scene)
        band_files = _OLI if match[1] in ("LC08", "LC09", "LO08", "LO09") else _TM
        assets = {
            band: Asset(f"{root}/{scene.name}_{end}.TIF", 1, *_ENCODING[end[:2]], nodata=0)
            for band, end in band_files.items()
            if f"{scene.name}_{end}.TIF" in files
        }
        if not assets:
            raise ValueError(f"it has no band: no file {scene.name}_SR_B?.TIF or _ST_B?.TIF is there")
        masks = (
            Mask(f"{root}/{_there(files, f'{scene.name}_QA_PIXEL.TIF')}", 1, (), self._invalid),
            Mask(f"{root}/{_there(files, f'{scene.name}_QA_RADSAT.TIF')}", 1, (), _RADSAT),
        )
        time = datetime.datetime.combine(_day(match[3]), datetime.time(), datetime.UTC)
        return Acquisition(scene.name, sensor, time, assets, masks)


def _day(text: str) -> datetime.date:
    try:
        return datetime.datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        raise ValueError(f"its name says the day {text}, which there is not") from None


def _there(files: Iterable[str], name: str) -> str:
    if name not in files:
        raise ValueError(f"it has no {name}")
    return name


def _opened(scene: _Scene) -> tuple[str, frozenset[str]]:
    """Where GDAL finds the files of a scene, and their names; an archive is listed, and nothing of it unpacked."""
    if not os.path.exists(scene.place):
        raise ValueError("it is a link to nothing")
    refuse_special(scene.place)
    if scene.place.suffix != ".tar" and scene.place.suffix.lower() == ".tar":
        raise ValueError(f"its name ends in {scene.place.suffix}: rename it to .tar")
    if scene.place.suffix == ".tar":
        return f"/vsitar/{scene.place}", _members(scene.place)
    if scene.place.name == scene.name and not os.path.isdir(scene.place):
        raise ValueError("it is neither a folder nor an archive: fetch it again")
    if not os.path.isdir(scene.place):
        raise ValueError("it is a compressed archive, which cannot be read in parts: unpack it, or make it a .tar")
    files = frozenset(scene.files or os.listdir(scene.place))
    for file in files:
        refuse_special(scene.place / file)
    return str(scene.place), files


def _members(archive: Path) -> frozenset[str]:
    """Names of the files in an archive.

    Raises:
        ValueError: It is no tar archive, is truncated, or has a member twice or one that could lead out of it.

    """
    try:
        with tarfile.open(archive, "r:") as content:
            members = content.getmembers()
    except (tarfile.TarError, ValueError, OverflowError) as error:  # the last: of sizes that no file has
        raise ValueError(f"it is no tar archive, or a truncated one ({error}): fetch it again") from None
    known: set[str] = set()
    for member in members:
        if member.name.startswith("/") or ".." in member.name.split("/"):
            raise ValueError(f"its member {member.name!r} leads out of it: fetch it again")
        if member.name in known:
            raise ValueError(f"its member {member.name!r} stands twice in it: fetch it again")
        known.add(member.name)
    return frozenset(member.name for member in members if member.isreg())


def _newest(scenes: Iterable[_Scene]) -> list[_Scene]:
    """Of scenes of one satellite, place and day, the one that was processed last; names that tell none of it stay."""
    newest: dict[tuple[str, ...], _Scene] = {}
    for scene in sorted(scenes, key=_processed):
        match = _NAME.match(scene.name)
        key = match.group(1, 2, 3) if match else (str(scene.place),)
        if before := newest.get(key):
            log.info("%s is left out: %s was processed later", before.name, scene.name)
        newest[key] = scene
    return sorted(newest.values(), key=lambda s: s.name)


def _processed(scene: _Scene) -> tuple[str, str]:
    match = _NAME.match(scene.name)
    return (match[4] if match else "", scene.name)


def _scenes(path: str, tile: str) -> list[_Scene]:
    """Scenes in a folder, by name: a folder comes before files side by side, and these before an archive."""
    parent = Path(path.replace("{tile}", tile))
    archives: dict[str, _Scene] = {}
    folders: dict[str, _Scene] = {}
    images: dict[str, list[str]] = defaultdict(list)
    misnamed: dict[str, _Scene] = {}
    for entry in filter(_PRODUCT.match, _listed(parent)):
        place, name = parent / entry, _ARCHIVE.sub("", entry)
        if entry.endswith(".TIF"):
            images["_".join(entry.split("_")[:7])].append(entry)
        elif _MISNAMED.search(entry):
            whole = "_".join(entry.split("_")[:7])
            misnamed.setdefault(whole, _Scene(whole, parent, (entry,)))
        elif name != entry:
            archives.setdefault(name, _Scene(name, place))
        elif os.path.isdir(place) or not os.path.exists(place) or _PRODUCT.fullmatch(entry):
            folders[name] = _Scene(name, place, _within(place))
    beside = {name: _Scene(name, parent, tuple(files)) for name, files in images.items()}
    return [scene for _, scene in sorted((misnamed | archives | beside | folders).items())]


def _listed(folder: Path) -> list[str]:
    """Names in a folder, in order; none if there is no such folder.

    Raises:
        InputError: It may not be looked into.

    """
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(f"{folder} cannot be listed ({error.strerror}): make it readable.") from None


def _within(folder: Path) -> tuple[str, ...]:
    """Names of the files in a scene's folder that begin with its name; none if it cannot be listed: `find` says why."""
    try:
        return tuple(sorted(name for name in os.listdir(folder) if name.startswith(folder.name)))
    except OSError:
        return ()
