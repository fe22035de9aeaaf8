"""STAC ItemCollections: a file per tile that lists the images and what their bands mean."""

import datetime
import json
from collections import ChainMap, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pystac

from parcelle.errors import InputError, SettingsError
from parcelle.sensors.base import Acquisition, Asset, Band, Mask, Problem


@dataclass(frozen=True)
class Collection:
    """What a catalogue does not say of a collection: the band names of Parcelle, and which pixels are valid.

    Attributes:
        optical: Whether its dates count in the `validity` product.
        bands: Bands that Parcelle offers.
        names: Their names in the items (`eo:bands`, `bands`), in the same order.
        mask: Asset or band with the quality values, if any.
        invalid_values: Values of the mask that are not valid.
        invalid_bits: Bits of the mask, any of which makes a pixel invalid.

    """

    optical: bool
    bands: tuple[Band, ...]
    names: tuple[str, ...]
    mask: str | None = None
    invalid_values: tuple[int, ...] = ()
    invalid_bits: int = 0


_SENTINEL2 = (
    Band("b2", "blue", 10), Band("b3", "green", 10), Band("b4", "red", 10),
    Band("b5", "rededge071", 20), Band("b6", "rededge075", 20), Band("b7", "rededge078", 20),
    Band("b8", "nir", 10), Band("b8a", "nir08", 20), Band("b11", "swir16", 20), Band("b12", "swir22", 20),
)  # fmt: skip
_LANDSAT8 = (
    Band("b2", "blue", 30), Band("b3", "green", 30), Band("b4", "red", 30),
    Band("b5", "nir", 30), Band("b6", "swir16", 30), Band("b7", "swir22", 30),
    Band("b10", "lwir11", 100, "K"), Band("b11", "lwir12", 100, "K"),
)  # fmt: skip

# Bits of the Collection-1 Landsat 8 `pixel_qa` (Landsat 8 Surface Reflectance Code Product Guide, table 5-3):
# 0 fill, 3 cloud shadow, 5 cloud, 9 cirrus confidence medium or high. Snow (4) is an observation.
_PIXEL_QA = 1 << 0 | 1 << 3 | 1 << 5 | 1 << 9

COLLECTIONS = {
    # Scene classification: 0 no data, 1 saturated, 3 shadow, 8 and 9 cloud, 10 cirrus (Sen2Cor ATBD).
    "sentinel-2-l2a": Collection(
        True,
        _SENTINEL2,
        ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"),
        "scl",
        (0, 1, 3, 8, 9, 10),
    ),
    "sentinel-1-grd": Collection(False, (Band("vv", "vv", 10, "dB"), Band("vh", "vh", 10, "dB")), ("VV", "VH")),
    "landsat-8-sr": Collection(
        True, _LANDSAT8, ("B02", "B03", "B04", "B05", "B06", "B07", "B10", "B11"), "pixel_qa", (0,), _PIXEL_QA
    ),
}


class Stac:
    """Acquisitions that an ItemCollection lists (format ``stac``).

    Band → file and band index, scale, offset and nodata are those of the items (`eo:bands` with `raster:bands`, or
    `bands`); what they mean is the table `COLLECTIONS`.
    """

    tiled = False

    def __init__(self, collection: str | None = None):
        if collection is None:
            raise SettingsError(f"`stac` needs `collection`: one of {', '.join(COLLECTIONS)}")
        if collection not in COLLECTIONS:
            raise SettingsError(f"no collection {collection!r}; choose from {', '.join(COLLECTIONS)}")
        self.collection = collection
        self.table = COLLECTIONS[collection]
        self.bands = self.table.bands
        self.optical = self.table.optical

    def products(self, path: str, tile: str) -> list[Path]:
        """Return the ItemCollection itself."""
        file = _file(path, tile)
        return [file] if file.exists() else []

    def watched(self, path: str, tile: str) -> list[Path]:
        """The ItemCollection, and the images on this machine that the collection's items name."""
        file = _file(path, tile)
        if not file.exists():
            return []
        hrefs = {
            str(asset.get("href", ""))
            for feature in _features(file)
            if feature.get("collection") == self.collection
            for asset in (feature.get("assets") or {}).values()
            if isinstance(asset, dict)
        }
        places = (_resolve(href, file) for href in sorted(hrefs))
        return [file, *(place for place in places if isinstance(place, Path))]

    def find(self, path: str, tile: str, sensor: str) -> tuple[list[Acquisition], list[Problem]]:
        """Read the items of the collection; the images are not opened."""
        file = _file(path, tile)
        found: list[Acquisition] = []
        problems: list[Problem] = []
        for feature in _features(file):
            if feature.get("collection") != self.collection:
                continue
            try:
                found.append(self._acquisition(pystac.Item.from_dict(feature), file, sensor))
            except ValueError as error:
                problems.append(Problem(f"{file}, item {feature.get('id')}", str(error)))
            except (AttributeError, KeyError, TypeError, pystac.STACError, pystac.STACTypeError) as error:
                why = f"it is not a STAC item ({type(error).__name__}: {error})"
                problems.append(Problem(f"{file}, item {feature.get('id')}", why))
        return found, problems

    def _acquisition(self, item: pystac.Item, file: Path, sensor: str) -> Acquisition:
        if not isinstance(item.id, str):
            raise ValueError("it has no id")
        if item.datetime is None:
            raise ValueError("it has no datetime")
        there = _bands_of(item, file)
        if missing := [n for n in self.table.names if n not in there]:
            raise ValueError(f"it has no band {', '.join(missing)}")
        for name in self.table.names:
            if len(there[name]) > 1:
                raise ValueError(f"it has band {name} {len(there[name])} times")
        assets = {band.name: there[name][0] for band, name in zip(self.bands, self.table.names, strict=True)}
        return Acquisition(item.id, sensor, _utc(item.datetime), assets, self._masks(there))

    def _masks(self, there: dict[str, list[Asset]]) -> tuple[Mask, ...]:
        if self.table.mask is None:
            return ()
        if len(there.get(self.table.mask, ())) != 1:
            raise ValueError(f"it must have one mask {self.table.mask!r}")
        asset = there[self.table.mask][0]
        return (Mask(asset.path, asset.band, self.table.invalid_values, self.table.invalid_bits),)


def _file(path: str, tile: str) -> Path:
    return Path(path.format(tile=tile))


def _features(file: Path) -> list[dict[str, Any]]:
    try:
        features = json.loads(file.read_text(encoding="utf-8"))["features"]
        if not (isinstance(features, list) and all(isinstance(f, dict) for f in features)):
            raise TypeError
        return features
    except OSError:
        raise InputError(
            f"{file} is missing: it should list the images of its tile as a STAC ItemCollection."
        ) from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{file} is not a STAC ItemCollection (JSON with `features`).") from None


def _utc(time: datetime.datetime) -> datetime.datetime:
    """Time in UTC; one without a zone is in it, as STAC asks, whatever the zone of the machine."""
    return time.replace(tzinfo=datetime.UTC) if time.tzinfo is None else time.astimezone(datetime.UTC)


def _bands_of(item: pystac.Item, file: Path) -> dict[str, list[Asset]]:
    """Band name → where it stands, for all bands of all assets; an asset with one unnamed band goes by its key."""
    there: dict[str, list[Asset]] = defaultdict(list)
    for key, asset in item.assets.items():
        path = str(_resolve(asset.href, file))
        for index, band in enumerate(_described(key, asset.extra_fields), start=1):
            there[band.get("name", key)].append(Asset(path, index, *_encoding({**asset.extra_fields, **band})))
    return there


def _described(key: str, fields: dict[str, Any]) -> list[dict[str, Any]]:
    """Fields of each band of an asset; an item may hold `eo:bands`, `raster:bands` and `bands` at once."""
    lists = [fields[name] for name in ("eo:bands", "raster:bands", "bands") if fields.get(name)]
    if any(len(bands) != len(lists[0]) for bands in lists):
        raise ValueError(f"asset {key!r} has lists of {' and '.join(str(len(bands)) for bands in lists)} bands")
    return [dict(ChainMap(*reversed(same))) for same in zip(*lists, strict=True)] if lists else [{}]


def _encoding(value: dict[str, Any]) -> tuple[float, float, float | None]:
    """Scale, offset and nodata of a band; STAC 1.1 prefixes the first two with ``raster:``."""
    scale = value.get("raster:scale", value.get("scale", 1.0))
    offset = value.get("raster:offset", value.get("offset", 0.0))
    nodata = value.get("nodata")
    return float(scale), float(offset), None if nodata is None else float(nodata)


def _resolve(href: str, file: Path) -> str | Path:
    """Path of an asset; a relative one starts at the item's file. Remote ones go to GDAL as they are."""
    return href if "://" in href or href.startswith("/vsi") else (file.parent / href).resolve()
