"""What every sensor is made of: bands, files, masks, acquisitions."""

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from parcelle import files

Unit = Literal["reflectance", "dB", "K", "other"]


@dataclass(frozen=True)
class Band:
    """A band of a sensor, by the name that settings and features use (`b8a`), its common name and pixel size."""

    name: str
    common: str
    gsd: float
    unit: Unit = "reflectance"


# Bounds of what values are multiplied by: nobody's are beyond, and damaged ones are.
_SCALES = (1e-9, 1e9)


@dataclass(frozen=True)
class Asset:
    """Where the values of a band are: physical value = raw × `scale` + `offset`; `nodata` is a raw value.

    With `power`, that is linear power, which is brought to dB: 10 log₁₀; where it is not above 0, it is no data.
    """

    path: str
    band: int = 1
    scale: float = 1.0
    offset: float = 0.0
    nodata: float | None = None
    power: bool = False


@dataclass(frozen=True)
class Mask:
    """A raster that says which pixels are not valid: those of some values, or with any of some bits set."""

    path: str
    band: int = 1
    invalid_values: tuple[int, ...] = ()
    invalid_bits: int = 0


@dataclass(frozen=True)
class Acquisition:
    """One date of one sensor over a tile.

    The inventory adds the last three: `fingerprint` changes when a file of it is replaced; `clear` is the share of the
    tile that no mask calls invalid, where there are masks; `checksums` are the SHA-256 of its files, by path, where
    `check: full` read them. They are not part of its STAC item: nothing of a map follows from them.
    """

    id: str
    sensor: str
    datetime: dt.datetime
    assets: dict[str, Asset]
    masks: tuple[Mask, ...] = ()
    fingerprint: str = ""
    clear: float | None = None
    checksums: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def date(self) -> dt.date:
        """Day (UTC)."""
        return self.datetime.date()


@dataclass(frozen=True)
class Problem:
    """A product that cannot be used, and why, in one clause; its day and its sensor, where they are known."""

    product: str
    why: str
    date: dt.date | None = None
    sensor: str = ""

    def __str__(self) -> str:
        """For messages and logs."""
        return f"{self.product}: {self.why}"


def refuse_special(path: str | Path) -> None:
    """Refuse a pipe, a device and the like, which one could wait for without end; what is missing passes.

    Raises:
        ValueError: It is one.

    """
    if files.special(path):
        raise ValueError(f"{path} is no file")


def refuse_encoding(scale: float, offset: float) -> None:
    """Refuse what no values can be multiplied by, and an offset that is no finite number.

    Raises:
        ValueError: One is that.

    """
    least, most = _SCALES
    if isinstance(scale, bool) or not least <= scale <= most:
        raise ValueError(f"it has the scale {scale}, where one from {least:g} to {most:g} is expected")
    if isinstance(offset, bool) or not math.isfinite(offset):
        raise ValueError(f"it has the offset {offset}, which is no finite number")


class Format(Protocol):
    """A satellite product format that Parcelle can read: one small class a format, one file each.

    Attributes:
        bands: All bands of the product, in their natural order; their names are what settings may ask for.
        optical: Whether its dates count in the `validity` product.
        tiled: Whether products are cut to tiles, so that all of a tile have one grid; True where it is not said. An
            image on another grid is a fault then; of formats that are not tiled, images are warped.
        static: Whether there is one image of a tile, of no date; False where it is not said.
        drivers: GDAL's drivers that may open its images; GeoTIFF and JPEG 2000 where it is not said, or any for images
            that are `auxiliary`. Others could name further files, as a VRT does.
        auxiliary: Whether its images do not give a tile's grid where others can; False where it is not said.
        default: Names of the bands that are used unless settings name others; where it is not said, all that have the
            unit of the first one.
        date_of: If there is one: the day of one of `products`, or None. Without it, products of other years in one
            folder are inputs of every run.

    """

    bands: tuple[Band, ...]
    optical: bool

    def products(self, path: str, tile: str) -> list[Path]:
        """One path per product: the one file (or folder) whose coming and going means a product's.

        Called for every tile at each start of the workflow, so it only lists folders.
        """
        ...

    def find(self, path: str, tile: str, sensor: str) -> tuple[list[Acquisition], list[Problem]]:
        """List the acquisitions of a tile, of all dates, with every band they have; and the products that are no good.

        Args:
            path: The setting `sensors.*.path`, which may hold `{tile}`.
            tile: Name of the tile.
            sensor: Name of the sensor in the settings.

        """
        ...
