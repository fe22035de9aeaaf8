"""Landsat products of the Theia land data centre, in its layout since 2017 and in the one before."""

import datetime
import os
import re
from pathlib import Path
from typing import Literal

from parcelle.sensors import archives
from parcelle.sensors.bands import LANDSAT
from parcelle.sensors.base import Acquisition, Asset, Band, Mask, Problem

_NEW = re.compile(r"LANDSAT([578])(?:-[A-Z]+-XS[A-Z]*)?_(\d{8}-\d{6})-\d{3}_L2A_T?([\w-]+?)_[A-Z]_V\d+-\d+$")
_OLD = re.compile(r"LANDSAT([578])_[A-Z]+_XS_(\d{8})_N2A_([\w-]+)$")
_DATE = re.compile(r"LANDSAT[578][A-Z_-]*_(\d{8})")

# Numbers of the bands, in their order: Landsat 8, and Landsat 5 and 7, which have no coastal one and whose sixth is
# thermal and not in the products.
_OLI = {"coastal": 1, "blue": 2, "green": 3, "red": 4, "nir08": 5, "swir16": 6, "swir22": 7}
_TM = {"blue": 1, "green": 2, "red": 3, "nir08": 4, "swir16": 5, "swir22": 7}

# Images of the layout before 2017, by the names of today: corrected for slopes, or not.
_ORTHO = {"FRE": "ORTHO_SURF_CORR_PENTE", "SRE": "ORTHO_SURF_CORR_ENV"}

# Masks of both layouts, and the bits that make a pixel invalid: all, but for DIV, of which the first is no data (then
# come water, snow and terrain in shadow).
_MASKS = {"CLM": 0xFFFF, "EDG": 0xFFFF, "SAT": 0xFFFF}
_OLD_MASKS = {"NUA": 0xFFFF, "SAT": 0xFFFF, "DIV": 1}

# What reflectances are multiplied by, in the metadata of the layout before 2017: 1000 or 10,000. It is looked for as
# text, so that nothing in the file can refer to another one.
_QUANTIFICATION = re.compile(
    rb"<QUANTIFICATION>\s*<THERM_BAND>\s*False\s*</THERM_BAND>\s*<VALUE>\s*(\d+(?:\.\d*)?)\s*</VALUE>"
)
_NODATA = -10_000

# What is no part of the metadata; a comment that does not end reaches to the end.
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)

# Reflectances are whole numbers: of a smaller ratio they would have no digits left, and none is larger.
_RATIOS = (100, 1_000_000)

Content = tuple[dict[str, Asset], tuple[Mask, ...]]


class LandsatTheia:
    """Landsat 5, 7 and 8 level 2A by MAJA (format ``landsat-theia``).

    Flat (FRE) or surface reflectance (SRE) as int16, nodata −10000; × 10,000, or before 2017 as the metadata say. Valid
    is where clouds (CLM, NUA), saturation (SAT), edge (EDG) and the first bit of DIV are all 0. Sources: the format of
    Theia's Landsat products, https://labo.obs-mip.fr/multitemp/; for the layout before 2017 also metadata of a product
    in the catalogue https://github.com/jjrom/resto, and the bits of DIV in the help of SNAP's reader of SPOT 4 Take 5,
    which has this layout.
    """

    optical = True
    bands = (
        *LANDSAT,
        Band("coastal", "coastal", 30),
    )
    # Those that all satellites have.
    default = ("blue", "green", "red", "nir08", "swir16", "swir22")

    def __init__(self, reflectance: Literal["FRE", "SRE"] = "FRE"):
        self._reflectance = reflectance

    def products(self, path: str, tile: str) -> list[Path]:
        """Metadata file of each product folder, or else its first image, or else the folder; archives themselves."""
        return [_key(place) for place in archives.listed(path, tile, "LANDSAT")]

    def date_of(self, product: Path) -> datetime.date | None:
        """Day in the name of the product's folder, which `products` gives or which holds what it gives."""
        match = _DATE.match(product.name) or _DATE.match(product.parent.name)
        try:
            return datetime.datetime.strptime(match[1], "%Y%m%d").date() if match else None
        except ValueError:
            return None

    def find(self, path: str, tile: str, sensor: str) -> tuple[list[Acquisition], list[Problem]]:
        """Read the names of the files, and the metadata of products in the layout before 2017; no image is opened."""
        places = archives.listed(path, tile, "LANDSAT")
        return archives.acquired(places, lambda product: self._acquisition(product, tile, sensor), self.date_of)

    def _acquisition(self, product: archives.Product, tile: str, sensor: str) -> Acquisition:
        new = _NEW.match(product.name)
        match = new or _OLD.match(product.name)
        if not match:
            raise ValueError(
                "its name is neither LANDSATn-…-XS_YYYYMMDD-HHMMSS-mmm_L2A_Txxxxx_C_Vx-x "
                "nor LANDSATn_…_XS_YYYYMMDD_N2A_…DxxxxHxxxx"
            )
        _same_tile(match[3], tile)
        time = _time(match[2], "%Y%m%d-%H%M%S" if new else "%Y%m%d")
        numbers = _OLI if match[1] == "8" else _TM
        assets, masks = (_new if new else _old)(product, numbers, self._reflectance)
        return Acquisition(product.name, sensor, time, assets, masks)


def _new(product: archives.Product, numbers: dict[str, int], kind: str) -> Content:
    """Look for one file a band, and the masks."""
    images, flags = product.names(), product.names("MASKS")
    files = {band: archives.only(images, f"_{kind}_B{number}.tif") for band, number in numbers.items()}
    assets = {band: Asset(product.file(name), 1, 1e-4, 0.0, _NODATA) for band, name in files.items()}
    masks = {archives.only(flags, f"_{name}_XS.tif"): bits for name, bits in _MASKS.items()}
    return assets, tuple(Mask(product.file(f"MASKS/{name}"), 1, (), bits) for name, bits in masks.items())


def _old(product: archives.Product, numbers: dict[str, int], kind: str) -> Content:
    """Look for the file with all bands, one behind the other, and the masks."""
    images, flags = product.names(), product.names("MASK")
    found = [name for name in images if f"_{_ORTHO[kind]}_" in name and name.endswith(".TIF")]
    if len(found) != 1:
        raise ValueError(f"{len(found)} files are named …_{_ORTHO[kind]}_….TIF, where there must be one")
    scale = 1 / _quantification(product, archives.only(images, f"{product.name}.xml"))
    bands = enumerate(numbers, start=1)
    assets = {band: Asset(product.file(found[0]), place, scale, 0.0, _NODATA) for place, band in bands}
    masks = {archives.only(flags, f"_{name}.TIF"): bits for name, bits in _OLD_MASKS.items()}
    return assets, tuple(Mask(product.file(f"MASK/{name}"), 1, (), bits) for name, bits in masks.items())


def _quantification(product: archives.Product, metadata: str) -> float:
    """What reflectances are multiplied by."""
    content = _COMMENT.sub(b"", product.read(metadata))
    found = [float(value) for value in _QUANTIFICATION.findall(content)]
    if len(found) != 1 or not _RATIOS[0] <= found[0] <= _RATIOS[1]:
        raise ValueError(f"{metadata} does not say what reflectances are multiplied by (QUANTIFICATION)")
    return found[0]


def _time(text: str, form: str) -> datetime.datetime:
    try:
        return datetime.datetime.strptime(text, form).replace(tzinfo=datetime.UTC)
    except ValueError:
        raise ValueError(f"its name says the time {text}, which there is not") from None


def _same_tile(found: str, tile: str) -> None:
    """Refuse the product of another tile; one of the grid before 2017 may go by its last ten letters, D0005H0002."""
    if tile != found[-10:]:
        archives.same_tile(found, tile)


def _key(place: Path) -> Path:
    try:
        names = sorted(os.listdir(place)) if place.is_dir() else []
    except OSError:  # `find` says why it cannot be read
        names = []
    metadata = [name for name in names if name.endswith(".xml")]
    images = [name for name in names if name.lower().endswith(".tif")]
    return place / min(metadata or images or [""])
