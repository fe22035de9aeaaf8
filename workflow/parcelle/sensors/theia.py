"""Products of the Theia land data centre: one folder or zip archive a date, one file a band."""

import datetime
import os
import re
from pathlib import Path

from parcelle.sensors import archives
from parcelle.sensors.bands import SENTINEL2
from parcelle.sensors.base import Acquisition, Asset, Band, Mask, Problem

# Surface reflectance × 10,000 as int16, in all products.
_SCALE, _NODATA = 1e-4, -10_000

# A mask: its name, its values and its bits that are not valid.
Flags = tuple[str, tuple[int, ...], int]


class _Sentinel2:
    """What the levels of Sentinel-2 products share."""

    optical = True
    bands = SENTINEL2
    satellites: str
    level: str
    reflectance: str
    masks: tuple[Flags, ...]

    def products(self, path: str, tile: str) -> list[Path]:
        """Metadata file of each product folder, or else its first band, or else the folder; archives themselves."""
        return [self._key(place) for place in archives.listed(path, tile, "SENTINEL2")]

    def date_of(self, product: Path) -> datetime.date | None:
        """Day in the name of the product's folder, which `products` gives or which holds what it gives."""
        return archives.day_in((product.parent if product.parent.name.startswith("SENTINEL2") else product).name)

    def find(self, path: str, tile: str, sensor: str) -> tuple[list[Acquisition], list[Problem]]:
        """Read the names of the files, also in the directories of archives; no image is opened."""
        places = archives.listed(path, tile, "SENTINEL2")
        return archives.acquired(places, lambda product: self._acquisition(product, tile, sensor), self.date_of)

    def _acquisition(self, product: archives.Product, tile: str, sensor: str) -> Acquisition:
        match = re.match(
            rf"SENTINEL2[{self.satellites}]_(\d{{8}}-\d{{6}})-\d{{3}}_{self.level}_T?([\w-]+?)_[A-Z]_V\d+-\d+$",
            product.name,
        )
        if not match:
            raise ValueError(f"its name is not SENTINEL2x_YYYYMMDD-HHMMSS-mmm_{self.level}_Txxxxx_C_Vx-x")
        archives.same_tile(match[2], tile)
        images, flags = product.names(), product.names("MASKS")
        assets = {band.name: self._asset(product, images, band) for band in self.bands}
        masks = tuple(
            Mask(product.file(f"MASKS/{archives.only(flags, f'_{name}_R1.tif')}"), 1, values, bits)
            for name, values, bits in self.masks
        )
        return Acquisition(product.name, sensor, archives.moment(match[1]), assets, masks)

    def _asset(self, product: archives.Product, images: list[str], band: Band) -> Asset:
        name = archives.only(images, f"_{self.reflectance}_{band.name.upper()}.tif")
        return Asset(product.file(name), 1, _SCALE, 0.0, _NODATA)

    def _key(self, place: Path) -> Path:
        try:
            names = os.listdir(place) if place.is_dir() else []
        except OSError:  # `find` says why it cannot be read
            names = []
        first = min((n for n in names if n.endswith("_MTD_ALL.xml")), default=None)
        first = first or min((n for n in names if n.endswith(f"_{self.reflectance}_B2.tif")), default=None)
        return place / first if first else place


class Sentinel2L2A(_Sentinel2):
    """Sentinel-2 level 2A by MAJA (format ``sentinel2-theia-l2a``).

    Flat (FRE) or surface reflectance (SRE) as int16 × 10,000, nodata −10000. A pixel is valid where the cloud (CLM),
    edge (EDG) and saturation (SAT) masks at 10 m are all 0; they serve the bands at 20 m too. Source:
    https://labo.obs-mip.fr/multitemp/sentinel-2/theias-sentinel-2-l2a-product-format/
    """

    satellites, level = "A-D", "L2A"
    masks = (("CLM", (), 0xFF), ("EDG", (), 0xFF), ("SAT", (), 0xFF))

    def __init__(self, reflectance: str = "FRE"):
        self.reflectance = reflectance


class Sentinel2L3A(_Sentinel2):
    """Sentinel-2 level 3A: monthly syntheses by WASP (format ``sentinel2-theia-l3a``).

    Flat reflectance (FRC) as int16 × 10,000, nodata −10000; the day is the one in the name, in the middle of the
    month. A pixel is valid where the flags (FLG) are neither 0, no data, nor 1, cloud; 2 is snow, 3 water, 4 land.
    Source: https://labo.obs-mip.fr/multitemp/theias-l3a-product-format/
    """

    satellites, level, reflectance = "A-DX", "L3A", "FRC"
    masks = (("FLG", (0, 1), 0),)

    def find(self, path: str, tile: str, sensor: str) -> tuple[list[Acquisition], list[Problem]]:
        """As of level 2A; and of several syntheses of a day, which would be averaged, the last by name is kept."""
        found, problems = super().find(path, tile, sensor)
        last: dict[datetime.date, str] = {}
        for acquisition in found:
            last[acquisition.date] = max(acquisition.id, last.get(acquisition.date, ""))
        again = [a for a in found if a.id != last[a.date]]
        problems += [Problem(a.id, f"the same synthesis as {last[a.date]}: keep one", a.date) for a in again]
        return [a for a in found if a not in again], problems
