"""Products of the Theia land data centre: one folder a date, one file a band."""

import datetime
import os
import re
from collections.abc import Collection
from pathlib import Path

from parcelle.sensors.base import Acquisition, Asset, Band, Mask, Problem

_NAME = re.compile(r"SENTINEL2[A-D]_(\d{8}-\d{6})-\d{3}_L2A_T?([\w-]+?)_[A-Z]_V\d+-\d+$")


class Sentinel2L2A:
    """Sentinel-2 level 2A by MAJA (format ``sentinel2-theia-l2a``).

    Flat reflectance (FRE) as int16 × 10,000, nodata −10000. A pixel is valid where the cloud (CLM), edge (EDG) and
    saturation (SAT) masks at 10 m are all 0. Source: https://labo.obs-mip.fr/multitemp/sentinel-2/theias-sentinel-2-l2a-product-format/
    """

    optical = True
    bands = (
        Band("b2", "blue", 10),
        Band("b3", "green", 10),
        Band("b4", "red", 10),
        Band("b5", "rededge071", 20),
        Band("b6", "rededge075", 20),
        Band("b7", "rededge078", 20),
        Band("b8", "nir", 10),
        Band("b8a", "nir08", 20),
        Band("b11", "swir16", 20),
        Band("b12", "swir22", 20),
    )

    def products(self, path: str, tile: str) -> list[Path]:
        """Metadata file of each product folder, or else its first band, or else the folder itself."""
        return [_key(folder) for folder in _folders(path, tile)]

    def date_of(self, product: Path) -> datetime.date | None:
        """Day in the name of the product's folder, which `products` gives or which holds what it gives."""
        folder = product.parent if product.parent.name.startswith("SENTINEL2") else product
        try:
            return datetime.datetime.strptime(folder.name[11:19], "%Y%m%d").date()
        except ValueError:
            return None

    def find(self, path: str, tile: str, sensor: str) -> tuple[list[Acquisition], list[Problem]]:
        """Read the names of the files; nothing is opened."""
        found: list[Acquisition] = []
        problems: list[Problem] = []
        for folder in _folders(path, tile):
            try:
                found.append(self._acquisition(folder, tile, sensor))
            except (ValueError, OSError) as error:
                problems.append(Problem(str(folder), str(error), self.date_of(folder)))
        return found, problems

    def _acquisition(self, folder: Path, tile: str, sensor: str) -> Acquisition:
        if not folder.is_dir():
            raise ValueError("it is no folder: unpack it" if folder.exists() else "it is a link to nothing")
        match = _NAME.match(folder.name)
        if not match:
            raise ValueError("its name is not SENTINEL2x_YYYYMMDD-HHMMSS-mmm_L2A_Txxxxx_C_Vx-x")
        if match[2] != tile.removeprefix("T"):
            raise ValueError(f"its name says tile {match[2]}, but it lies in the folder of tile {tile}")
        time = datetime.datetime.strptime(match[1], "%Y%m%d-%H%M%S").replace(tzinfo=datetime.UTC)
        images, masks = sorted(os.listdir(folder)), _masks(folder)
        assets = {
            band.name: Asset(str(folder / _one(images, f"_FRE_{band.name.upper()}.tif")), 1, 1e-4, 0.0, -10000)
            for band in self.bands
        }
        flags = (
            Mask(str(folder / "MASKS" / _one(masks, f"_{name}_R1.tif")), 1, (), 0xFF) for name in ("CLM", "EDG", "SAT")
        )
        return Acquisition(folder.name, sensor, time, assets, tuple(flags))


def _masks(folder: Path) -> list[str]:
    return sorted(os.listdir(folder / "MASKS")) if (folder / "MASKS").is_dir() else []


def _one(names: list[str], suffix: str) -> str:
    """Name of the only file that ends in `suffix`."""
    match = [name for name in names if name.endswith(suffix)]
    if len(match) != 1:
        raise ValueError(f"{len(match)} files end in {suffix}, where there must be one")
    return match[0]


def _folders(path: str, tile: str) -> list[Path]:
    """Product folders of a tile, by name; and what should be one: links to nothing, archives not unpacked."""
    parent = Path(path.format(tile=tile) if "{tile}" in path else f"{path}/{tile}")
    if not parent.is_dir():
        return []
    with os.scandir(parent) as entries:
        kinds = {e.name: e.is_dir() for e in entries if e.name.startswith("SENTINEL2")}
    return [parent / name for name, is_folder in sorted(kinds.items()) if is_folder or _should_be(name, parent, kinds)]


def _should_be(name: str, parent: Path, there: Collection[str]) -> bool:
    """Whether something that is no folder stands for a product that is missing."""
    product = re.sub(r"\.(zip|tar|tgz|tar\.gz)$", "", name)
    return not (parent / name).exists() or (product != name and product not in there)


def _key(folder: Path) -> Path:
    names = os.listdir(folder) if folder.is_dir() else []
    first = min((n for n in names if n.endswith("_MTD_ALL.xml")), default=None)
    first = first or min((n for n in names if n.endswith("_FRE_B2.tif")), default=None)
    return folder / first if first else folder
