"""Sentinel-2 level 2A by Sen2Cor: products of ESA, one ``.SAFE`` folder or zip archive a date."""

import datetime
import logging
import os
import re
import xml.parsers.expat
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from parcelle.errors import SettingsError
from parcelle.sensors import archives
from parcelle.sensors.bands import SENTINEL2
from parcelle.sensors.base import Acquisition, Asset, Band, Mask, Problem

log = logging.getLogger(__name__)

METADATA = "MTD_MSIL2A.xml"

# Scene classification: 0 no data, 1 saturated, 3 shadow, 8 and 9 cloud, 10 cirrus (Sen2Cor ATBD); 11, snow, is valid.
INVALID = (0, 1, 3, 8, 9, 10)
CLASSES = range(12)

# Products of these processing baselines, as they stand in names, have an offset; 9999 is Sen2Cor run by oneself.
WITH_OFFSET = range(400, 9999)

# Elements of the metadata: in products of 2017 the level stands before the first one's name.
QUANTIFICATION = ("BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE")
OFFSET = "BOA_ADD_OFFSET"

# Reflectances are whole numbers: of a smaller ratio, they would have no digits left.
LEAST_RATIO = 100

# Bands in the order of `band_id` in the metadata, as they are written in the names of files.
BAND_IDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")

_NAME = re.compile(r"(S2[A-D])_MSIL2A_(\d{8}T\d{6})_N(\d{4})_(R\d{3})_T([\w-]+?)_(\d{8}T\d{6})(\.SAFE)?$")

_GRANULE = re.compile(r"L2A_T[\w-]+_A\d{6}_\d{8}T\d{6}$")


class Sentinel2L2A:
    """Sentinel-2 level 2A by Sen2Cor (format ``sentinel2-sen2cor-l2a``).

    Reflectance is (value + BOA_ADD_OFFSET of the band) / BOA_QUANTIFICATION_VALUE, both from the product's metadata;
    nodata is 0. Each band is read at its own pixel size. A pixel is valid where the scene classification (SCL) at 20 m
    has none of the values `invalid`. Source: Sentinel-2 Products Specification Document, S2-PDGS-TAS-DI-PSD, level 2A.
    """

    optical = True
    bands = (Band("b1", "coastal", 60), *SENTINEL2[:8], Band("b9", "nir09", 60), *SENTINEL2[8:])
    # Those at 60 m tell of the air: they are used where settings name them.
    default = tuple(band.name for band in bands if band.gsd < 60)

    def __init__(self, invalid: Sequence[int] = INVALID):
        if unknown := [value for value in invalid if value not in CLASSES]:
            raise SettingsError(f"invalid: {unknown[0]} is no class of the scene classification; they are 0 to 11")
        self.invalid = tuple(invalid)

    def products(self, path: str, tile: str) -> list[Path]:
        """Metadata file of each product folder, or else the folder; archives themselves."""
        places = archives.listed(path, tile, r"S2[A-Z]_MSIL2A_")
        return [key if os.path.isfile(key := place / METADATA) else place for place in places]

    def date_of(self, product: Path) -> datetime.date | None:
        """Day in the name of the product's folder, which `products` gives or which holds what it gives."""
        return archives.day_in((product.parent if product.name == METADATA else product).name)

    def find(self, path: str, tile: str, sensor: str) -> tuple[list[Acquisition], list[Problem]]:
        """Read the names of the files, also in the directories of archives, and the metadata; no image is opened.

        Of one overpass that was processed several times, the newest is taken, and the log names the others.
        """
        places = archives.listed(path, tile, r"S2[A-Z]_MSIL2A_")
        found, problems = archives.acquired(places, lambda product: self._version(product, tile, sensor), self.date_of)
        return _newest(found), problems

    def _version(self, product: archives.Product, tile: str, sensor: str) -> "_Version":
        match = _NAME.match(product.name)
        if not match:
            raise ValueError("its name is not S2x_MSIL2A_YYYYMMDDTHHMMSS_Nxxxx_Rxxx_Txxxxx_YYYYMMDDTHHMMSS.SAFE")
        satellite, taken, baseline, orbit, name, generated = match.groups()[:6]
        archives.same_tile(name, tile)
        granule, strip = _granule(product)
        assets, masks = self._files(product, f"GRANULE/{granule}/IMG_DATA", _meaning(product, int(baseline)))
        time = archives.moment(taken)
        acquisition = Acquisition(product.name.removesuffix(".SAFE"), sensor, time, assets, masks)
        return _Version((satellite, str(time.date()), orbit), int(baseline), strip, generated, acquisition)

    def _files(
        self, product: archives.Product, folder: str, meaning: "_Meaning"
    ) -> tuple[dict[str, Asset], tuple[Mask, ...]]:
        """Images and the mask, in the folders of their pixel sizes; bands that are not used by default may lack."""
        names = {size: product.names(f"{folder}/R{size}m") for size in (10, 20, 60)}

        def path(name: str, size: int) -> str:
            return product.file(f"{folder}/R{size}m/{archives.only(names[size], f'_{name}_{size}m.jp2')}")

        assets = {}
        for band in self.bands:
            name, size = f"B{band.name[1:].upper():0>2}", round(band.gsd)
            if band.name in self.default or any(file.endswith(f"_{name}_{size}m.jp2") for file in names[size]):
                assets[band.name] = meaning.asset(name, path(name, size))
        return assets, (Mask(path("SCL", 20), 1, self.invalid),)


@dataclass(frozen=True)
class _Version:
    """One processing of what a satellite saw of a tile.

    Attributes:
        overpass: Satellite, day, orbit.
        baseline: Processing baseline.
        strip: Start of the datastrip.
        generated: When it was processed.
        acquisition: What is read of it.

    """

    overpass: tuple[str, str, str]
    baseline: int
    strip: str
    generated: str
    acquisition: Acquisition


def _newest(versions: Iterable[_Version]) -> list[Acquisition]:
    """Of each overpass, the newest processing; the log says which others there are."""
    of_overpass: dict[tuple[str, str, str], list[_Version]] = defaultdict(list)
    for version in versions:
        of_overpass[version.overpass].append(version)
    return [one for same in of_overpass.values() for one in _chosen(same)]


def _chosen(same: Sequence[_Version]) -> list[Acquisition]:
    """Of an overpass, the newest baseline, and what was generated last.

    Where the take changes from one datastrip to the next, a tile has two products of one overpass and baseline, each
    with a part of the tile. Both are kept then; their times are those of the datastrips.
    """
    baseline = max(version.baseline for version in same)
    last: dict[str, str] = {}
    for version in same:
        if version.baseline == baseline:
            last[version.strip] = max(version.generated, last.get(version.strip, ""))
    kept = [v for v in same if v.baseline == baseline and v.generated == last[v.strip]]
    for version in same:
        if version not in kept:
            log.info("left out: %s: %s is newer", version.acquisition.id, kept[-1].acquisition.id)
    if len(last) == 1:
        return [version.acquisition for version in kept]
    return [replace(version.acquisition, datetime=archives.moment(version.strip)) for version in kept]


def _granule(product: archives.Product) -> tuple[str, str]:
    """Folder of the only granule, and the start of the datastrip, which ends its name."""
    names = [name for name in product.names("GRANULE") if _GRANULE.match(name)]
    if len(names) != 1:
        raise ValueError(f"{len(names)} folders in GRANULE are named as L2A_Txxxxx_Axxxxxx_…, where there must be one")
    return names[0], names[0].rpartition("_")[2]


@dataclass(frozen=True)
class _Meaning:
    """What the numbers in the images mean: reflectance = (number + offset) / quantification."""

    quantification: float
    offsets: dict[str, float]

    def asset(self, band: str, path: str) -> Asset:
        """Image of a band; its offset is 0 where no band has one.

        Raises:
            ValueError: Other bands have an offset.

        """
        if self.offsets and band not in self.offsets:
            raise ValueError(f"its {METADATA} has a {OFFSET} of other bands, but none of {band}")
        return Asset(path, 1, 1 / self.quantification, self.offsets.get(band, 0.0) / self.quantification, 0)


def _meaning(product: archives.Product, baseline: int) -> _Meaning:
    """Read the metadata.

    Raises:
        ValueError: It is missing, cannot be read, or does not say what the numbers mean.

    """
    elements = _elements(product.read(METADATA), (*QUANTIFICATION, OFFSET))
    ratios = [_number(e) for e in elements if e.name in QUANTIFICATION]
    if len(ratios) != 1 or ratios[0] < LEAST_RATIO:
        raise ValueError(f"its {METADATA} has no single {QUANTIFICATION[0]} of {LEAST_RATIO} or more (ESA's: 10000)")
    offsets = _offsets(elements)
    if baseline in WITH_OFFSET and not offsets:
        raise ValueError(
            f"its {METADATA} has no {OFFSET}, which products of baseline "
            f"{baseline // 100:02}.{baseline % 100:02} have: fetch it again"
        )
    return _Meaning(ratios[0], offsets)


def _offsets(elements: Iterable["_Element"]) -> dict[str, float]:
    """Offset of each band that has one."""
    offsets: dict[str, float] = {}
    for element in elements:
        if element.name == OFFSET:
            band, number = _band(element), _number(element)
            if offsets.setdefault(band, number) != number:
                raise ValueError(f"its {METADATA} has two {OFFSET} of {band}, {offsets[band]:g} and {number:g}")
    return offsets


@dataclass
class _Element:
    """An element of XML, without what is in it but its text, which parsers give in parts."""

    name: str
    attributes: dict[str, str]
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text, without blanks around it."""
        return "".join(self.parts).strip()


def _number(element: _Element) -> float:
    try:
        number = float(element.text)
    except ValueError:
        number = float("nan")
    if not -1e6 < number < 1e6:
        raise ValueError(f"its {METADATA} has a {element.name} of {element.text[:40]!r}, which is no such number")
    return number


def _band(element: _Element) -> str:
    number = element.attributes.get("band_id", "")
    if not (number.isdecimal() and int(number) < len(BAND_IDS)):
        raise ValueError(f"its {METADATA} has a {element.name} with the band_id {number!r}; they are 0 to 12")
    return BAND_IDS[int(number)]


def _elements(content: bytes, wanted: Collection[str]) -> list[_Element]:
    """Elements of XML with some names, prefixes aside; they hold text alone.

    A document type is refused: by what it declares, a file could ask for others, on this machine or elsewhere, or grow
    without bounds as it is read.

    Raises:
        ValueError: It is no XML, or declares a document type.

    """
    reader = _Reader(wanted)
    parser = xml.parsers.expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler, parser.EndElementHandler = reader.begin, reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(content, True)
    except (xml.parsers.expat.ExpatError, LookupError) as error:  # the last: of an encoding that there is not
        raise ValueError(f"its {METADATA} is no whole XML ({error}): fetch it again") from None
    return reader.found


def _refuse(*_: object) -> None:
    raise ValueError(f"its {METADATA} declares a document type, which may hold entities and no product has")


@dataclass
class _Reader:
    """Gathers elements of XML as a parser meets them."""

    wanted: Collection[str]
    found: list[_Element] = field(default_factory=list)
    inside: bool = False

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        """Begin an element; the prefix of a namespace does not count."""
        name = name.rpartition(":")[2]
        self.inside = name in self.wanted
        if self.inside:
            self.found.append(_Element(name, attributes))

    def end(self, name: str) -> None:
        """End an element."""
        self.inside = False

    def text(self, part: str) -> None:
        """Take a part of the text of an element."""
        if self.inside:
            self.found[-1].parts.append(part)
