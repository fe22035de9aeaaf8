"""What catalogues do not say of their collections: the bands that Parcelle offers, and which pixels are valid."""

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from parcelle.errors import SettingsError
from parcelle.sensors.base import Band, Unit

Properties = Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """Where a band stands in the items of a collection, and what its numbers mean.

    Attributes:
        band: The band that Parcelle offers.
        names: Keys of assets, or names of bands in them, in the order in which they are looked for.
        scale: Physical value of a step, where the item says nothing; and so on for `offset` and `nodata`.
        offset: What is added to the scaled value.
        nodata: Raw value that stands for no data.
        power: Whether the numbers are linear power, which is brought to dB.
        number: Number of the band in its file; None: as the item lists them.

    """

    band: Band
    names: tuple[str, ...]
    scale: float | None = None
    offset: float | None = None
    nodata: float | None = None
    power: bool = False
    number: int | None = None


@dataclass(frozen=True)
class Flags:
    """A mask of a collection: its names as those of a `Source`, and what is not valid in it."""

    names: tuple[str, ...]
    invalid_values: tuple[int, ...] = ()
    invalid_bits: int = 0


@dataclass(frozen=True)
class Collection:
    """A table for the items of a collection.

    Attributes:
        optical: Whether its dates count in the `validity` product.
        sources: Bands, in their natural order.
        masks: All of them must call a pixel valid.
        offset: What an item's properties, and the offset it gives for a band (or None), say of the offset.
        certain: Whether scale, offset and nodata of this table stand above those of items.
        default: Bands that are used where the settings name none; those with the unit of the first one if None.

    """

    optical: bool
    sources: tuple[Source, ...]
    masks: tuple[Flags, ...] = ()
    offset: Callable[[Properties, float | None], float | None] | None = None
    certain: bool = False
    default: tuple[str, ...] | None = None

    @property
    def bands(self) -> tuple[Band, ...]:
        """Bands that Parcelle offers."""
        return tuple(source.band for source in self.sources)

    @property
    def needed(self) -> tuple[str, ...]:
        """Bands without which an item is of no use."""
        return self.default or tuple(b.name for b in self.bands if b.unit == self.bands[0].unit)

    def without(self, invalid: list[int]) -> Self:
        """Call these values of the classification not valid, instead of the table's.

        Raises:
            SettingsError: There is none, or more than one.

        """
        classes = [mask for mask in self.masks if mask.invalid_values and not mask.invalid_bits]
        if len(classes) != 1:
            raise SettingsError(f"invalid: the collection has {len(classes)} classifications as masks: remove it")
        masks = tuple(replace(m, invalid_values=tuple(invalid)) if m in classes else m for m in self.masks)
        return replace(self, masks=masks)


# First day of processing baseline 04.00, whose reflectances are shifted by −1000 (ESA, Sentinel-2 Products
# Specification; https://sentiwiki.copernicus.eu/web/s2-products).
_SHIFTED = (4, datetime.date(2022, 1, 25))


def boa_offset(properties: Properties, said: float | None) -> float | None:
    """Offset of the reflectances of a Sentinel-2 L2A item (0 or −0.1).

    Earth Search says when its files are already corrected, and then still lists the offset
    (https://github.com/Element84/earth-search, issues 24 and 66); Planetary Computer tells the processing baseline only
    (https://planetarycomputer.microsoft.com/dataset/sentinel-2-l2a, "Baseline change").

    Args:
        properties: Of the item.
        said: Offset that the item gives for the band, if it does.

    Raises:
        ValueError: Nothing tells it, on a day on which products of both kinds were made.

    """
    if any(properties.get(f"{name}:boa_offset_applied") is True for name in ("earthsearch", "sentinel")):
        return 0.0
    if said is not None:
        return said
    baseline, day = _SHIFTED
    told = properties.get("s2:processing_baseline") or properties.get("processing:version")
    if told is not None and re.fullmatch(r"\d+(\.\d+)?", str(told)):
        return -0.1 if float(told) >= baseline else 0.0
    if str(properties.get("datetime"))[:10] < day.isoformat():
        return 0.0
    raise ValueError(f"it is from {day} or later and tells neither an offset nor `s2:processing_baseline`")


def _sentinel2(names: Mapping[str, tuple[str, ...]]) -> tuple[Source, ...]:
    """Bands of Sentinel-2 L2A, reflectance × 10,000 with 0 for no data, under the names of some catalogues."""
    common = ("blue", "green", "red", "rededge071", "rededge075", "rededge078", "nir", "nir08", "swir16", "swir22")
    sizes = (10, 10, 10, 20, 20, 20, 10, 20, 20, 20)
    bands = (Band(name, word, size) for name, word, size in zip(names, common, sizes, strict=True))
    return tuple(Source(band, names[band.name], 1e-4, None, 0) for band in bands)


# Of Sentinel-2 L2A three catalogues have a collection of one name:
# - Planetary Computer, B02 … B12, SCL (https://planetarycomputer.microsoft.com/api/stac/v1/collections/sentinel-2-l2a);
# - CDSE, B02_10m … B12_20m, SCL_20m (https://stac.dataspace.copernicus.eu/v1/collections/sentinel-2-l2a);
# - Earth Search v1, blue … swir22, scl (https://earth-search.aws.element84.com/v1/collections/sentinel-2-l2a).
_SENTINEL2 = _sentinel2({
    "b2": ("B02", "B02_10m", "blue"), "b3": ("B03", "B03_10m", "green"), "b4": ("B04", "B04_10m", "red"),
    "b5": ("B05", "B05_20m", "rededge1"), "b6": ("B06", "B06_20m", "rededge2"), "b7": ("B07", "B07_20m", "rededge3"),
    "b8": ("B08", "B08_10m", "nir"), "b8a": ("B8A", "B8A_20m", "nir08"),
    "b11": ("B11", "B11_20m", "swir16"), "b12": ("B12", "B12_20m", "swir22"),
})  # fmt: skip

# Theia's own catalogue: flat reflectances of MAJA under B02 … B12, nodata −10000, masks at 10 m under CLM_R1 and EDG_R1
# (https://api.stac.teledetection.fr/collections/sentinel2-l2a-theia).
_THEIA = tuple(replace(s, names=s.names[:1], offset=0.0, nodata=-10000) for s in _SENTINEL2)

# Scene classification: 0 no data, 1 saturated, 3 shadow, 8 and 9 cloud, 10 cirrus (Sen2Cor ATBD).
_SCL = Flags(("scl", "SCL", "SCL_20m"), (0, 1, 3, 8, 9, 10))

# Bits of the Collection-1 Landsat 8 `pixel_qa` (Landsat 8 Surface Reflectance Code Product Guide, table 5-3):
# 0 fill, 3 cloud shadow, 5 cloud, 9 cirrus confidence medium or high. Snow (4) is an observation.
_PIXEL_QA = 1 << 0 | 1 << 3 | 1 << 5 | 1 << 9

_LANDSAT8 = (
    Source(Band("b2", "blue", 30), ("B02",)), Source(Band("b3", "green", 30), ("B03",)),
    Source(Band("b4", "red", 30), ("B04",)), Source(Band("b5", "nir", 30), ("B05",)),
    Source(Band("b6", "swir16", 30), ("B06",)), Source(Band("b7", "swir22", 30), ("B07",)),
    Source(Band("b10", "lwir11", 100, "K"), ("B10",)), Source(Band("b11", "lwir12", 100, "K"), ("B11",)),
)  # fmt: skip

# Landsat Collection 2 level 2 under the keys of Planetary Computer and Earth Search
# (https://planetarycomputer.microsoft.com/api/stac/v1/collections/landsat-c2-l2), which are those of the USGS
# (https://landsatlook.usgs.gov/stac-server/collections/landsat-c2l2-sr); its items give no scale. Scale and offset:
# Landsat 8-9 Collection 2 Level 2 Science Product Guide, LSDS-1619, table 6-1.
_LANDSAT_C2 = tuple(
    Source(Band(name, common, 30), (name,), 0.0000275, -0.2, 0)
    for name, common in (
        ("blue", "blue"), ("green", "green"), ("red", "red"), ("nir08", "nir"), ("swir16", "swir16"),
        ("swir22", "swir22"), ("coastal", "coastal"),
    )
)  # fmt: skip
# Temperature is `lwir11` of Landsat 8 and 9, and `lwir` of those before.
_TEMPERATURE = Source(Band("lwir", "lwir", 30, "K"), ("lwir11", "lwir"), 0.00341802, 149.0, 0)
# Those that all satellites have.
_LANDSAT_ALL = tuple(source.band.name for source in _LANDSAT_C2[:6])

# QA_PIXEL bits 0 fill, 1 dilated cloud, 2 cirrus, 3 cloud, 4 cloud shadow, 5 snow; QA_RADSAT bits 0–6 bands 1–7
# saturated, 9 dropped pixel (TM, ETM+), 11 hidden by the terrain (OLI): same guide, tables 6-3 and 6-4.
_LANDSAT_C2_MASKS = (
    Flags(("qa_pixel",), (), 0b11_1111),
    Flags(("qa_radsat",), (), 0b0111_1111 | 1 << 9 | 1 << 11),
)

_VV, _VH = Band("vv", "vv", 10, "dB"), Band("vh", "vh", 10, "dB")

COLLECTIONS = {
    "sentinel-2-l2a": Collection(True, _SENTINEL2, (_SCL,), boa_offset),
    "sentinel2-l2a-theia": Collection(True, _THEIA, (Flags(("CLM_R1",), (), 0xFF), Flags(("EDG_R1",), (), 0xFF))),
    "sentinel-1-grd": Collection(False, (Source(_VV, ("VV",)), Source(_VH, ("VH",)))),
    # Gamma0, linear power, nodata −32768 (https://planetarycomputer.microsoft.com/dataset/sentinel-1-rtc).
    "sentinel-1-rtc": Collection(
        False,
        (
            Source(_VV, ("vv",), nodata=-32768, power=True),
            Source(_VH, ("vh",), nodata=-32768, power=True),
        ),
    ),
    "landsat-8-sr": Collection(True, _LANDSAT8, (Flags(("pixel_qa",), (0,), _PIXEL_QA),)),
    "landsat-c2-l2": Collection(True, (*_LANDSAT_C2, _TEMPERATURE), _LANDSAT_C2_MASKS, default=_LANDSAT_ALL),
    "landsat-c2l2-sr": Collection(True, _LANDSAT_C2, _LANDSAT_C2_MASKS, default=_LANDSAT_ALL),
}


class _Group(BaseModel):
    """A part of the settings, as strict as those are."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class OwnBand(_Group):
    """A band of a collection that Parcelle does not know; what is not given here is taken from the items."""

    asset: str = Field(min_length=1, description="Key of the asset, or name of the band in one.")
    band: int | None = Field(None, ge=1, description="Number of the band in its file, where the item does not say.")
    unit: Unit = Field("reflectance", description="Unit of the values after scale and offset.")
    gsd: float = Field(10, gt=0, description="Pixel size in metres.")
    common: str = Field("", description="Common name, by which indices find their bands.")
    scale: float | None = Field(None, description="Physical value of a step.")
    offset: float | None = Field(None, description="What is added to the scaled value.")
    nodata: float | None = Field(None, description="Stored value that stands for no data.")
    power: bool = Field(False, description="Whether the numbers are linear power, which is brought to dB.")

    @model_validator(mode="after")
    def _in_decibels(self) -> Self:
        if self.power and self.unit != "dB":
            raise ValueError(f"unit: found {self.unit!r}; allowed: dB, by `power: true`")
        return self


class OwnMask(_Group):
    """A mask of such a collection."""

    asset: str = Field(min_length=1, description="Key of the asset, or name of the band in one.")
    invalid: list[int] = Field([], description="Values that are not valid.")
    bits: list[Annotated[int, Field(ge=0, le=31)]] = Field(
        [], description="Bits, any of which makes a pixel not valid."
    )


class OwnCollection(_Group):
    """A collection that Parcelle does not know."""

    bands: dict[Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")], OwnBand] = Field(
        min_length=1, description="Bands by the name that features will have."
    )
    mask: OwnMask | list[OwnMask] = Field([], description="One mask, or a list of them.")
    optical: bool = Field(True, description="Whether its dates count in `validity`.")

    def collection(self) -> Collection:
        """Make a table of it, which stands above what the items say."""
        sources = tuple(
            Source(Band(name, b.common, b.gsd, b.unit), (b.asset,), b.scale, b.offset, b.nodata, b.power, b.band)
            for name, b in self.bands.items()
        )
        listed = self.mask if isinstance(self.mask, list) else [self.mask]
        masks = tuple(Flags((m.asset,), tuple(m.invalid), sum(1 << bit for bit in set(m.bits))) for m in listed)
        return Collection(self.optical, sources, masks, certain=True)
