"""STAC items: files or catalogues that list the images and what their bands mean."""

import datetime
import os
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pystac

from parcelle import acquisitions, sensors
from parcelle.errors import InputError, SettingsError
from parcelle.sensors import catalogues
from parcelle.sensors.base import Acquisition, Asset, Format, Mask, Problem, refuse_encoding
from parcelle.sensors.catalogues import Listed
from parcelle.sensors.collections import COLLECTIONS, Collection, OwnCollection, Source

# What is raised on the way through JSON that is no item.
_NO_ITEM = (
    AttributeError, KeyError, OverflowError, RecursionError, TypeError, pystac.STACError, pystac.STACTypeError,
)  # fmt: skip


class Stac:
    """Acquisitions that STAC items list (format ``stac``).

    Band → file and band index, scale, offset and nodata are those of the items (`eo:bands` with `raster:bands`, or
    `bands`); what they mean is the table `COLLECTIONS`, or one in the settings. Items that Parcelle wrote are read as
    they are; what their bands mean is said by the format that found them.
    """

    def __init__(
        self, collection: str | None = None, invalid: list[int] | None = None, assets: OwnCollection | None = None
    ):
        self.collection = collection
        self.table = _table(collection, assets)
        given: Collection | type[Format]
        if self.table is None:
            if invalid is not None:
                raise SettingsError(f"collection {collection!r} takes no `invalid`: masks are those of the inventory")
            given = _format(str(collection))
        else:
            given = self.table = self.table if invalid is None else self.table.without(invalid)
        self.bands, self.optical = given.bands, given.optical
        self.default: tuple[str, ...] | None = getattr(given, "default", None)
        # Items of a catalogue may lie on any grid.
        self.tiled: bool = self.table is None and getattr(given, "tiled", True)
        self.static: bool = getattr(given, "static", False)

    def products(self, path: str, tile: str) -> list[Path]:
        """Return the first document, if it is on this machine."""
        place = path.format(tile=tile)
        return [Path(place)] if not catalogues.remote(place) and os.path.exists(place) else []

    def watched(self, path: str, tile: str) -> list[Path]:
        """Documents, and the images that items of the collection name, as far as they are on this machine."""
        if not self.products(path, tile):
            return []
        items, _, documents = catalogues.read(path.format(tile=tile), afar=False)
        named = {href for item in items if self._takes(item) for href in _locations(item)}
        return [Path(p) for p in (*documents, *sorted(named - set(documents)))]

    def find(self, path: str, tile: str, sensor: str) -> tuple[list[Acquisition], list[Problem]]:
        """Read the items of the collection; the images are not opened.

        Raises:
            InputError: The first document cannot be read, or has items of other collections only.

        """
        place = path.format(tile=tile)
        items, problems, _ = catalogues.read(place)
        found: list[Acquisition] = []
        for item in self._chosen(items, sensor, place):
            try:
                found.append(_writable(self._acquisition(item, sensor)))
            except ValueError as error:
                problems.append(_problem(item, str(error)))
            except _NO_ITEM as error:
                problems.append(_problem(item, f"it is not a STAC item ({type(error).__name__}: {error})"))
        return found, problems

    def _takes(self, item: Listed) -> bool:
        """Whether an item is one of the collection."""
        said = _properties(item).get("parcelle:format", item.content.get("collection"))
        return self.collection is None or bool(said == self.collection)

    def _chosen(self, items: list[Listed], sensor: str, place: str) -> list[Listed]:
        """Items of the collection; of those that Parcelle wrote, those of a sensor of this name, if there are any."""
        taken = [item for item in items if self._takes(item)]
        if items and not taken:
            kinds = {str(_properties(i).get("parcelle:format", i.content.get("collection"))) for i in items}
            raise InputError(
                f"{place} has no item of collection {self.collection!r}, but of {', '.join(sorted(kinds))}."
            )
        own = [item for item in taken if _properties(item).get("parcelle:sensor") == sensor]
        return own or taken

    def _acquisition(self, item: Listed, sensor: str) -> Acquisition:
        if "parcelle:format" in _properties(item):
            if catalogues.remote(item.place):
                raise ValueError("it is of an inventory, and remote: copy that to this machine")
            return acquisitions.of_item(item.content, sensor, Path(item.place).parent)
        if self.table is None:
            raise ValueError(f"it is not an item that Parcelle wrote, as {self.collection!r} asks for")
        _refuse_no_time(_properties(item).get("datetime"))
        return _made(pystac.Item.from_dict(item.content), item, self.table, sensor)


def _problem(item: Listed, why: str) -> Problem:
    """Problem of an item, in one line that can be written."""
    name = catalogues.line(f"{item.place}, item {item.content.get('id')}")
    return Problem(name, catalogues.line(why), _day(item))


def _writable(acquisition: Acquisition) -> Acquisition:
    """Refuse names that JSON may hold and no file: halves of letters."""
    assets, masks = acquisition.assets.values(), acquisition.masks
    for name in (acquisition.id, *(a.path for a in assets), *(m.path for m in masks)):
        try:
            name.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{name!r} is no text, but holds half of a letter") from None
    return acquisition


def _refuse_no_time(text: Any) -> None:
    """Refuse a datetime that is none, before others do with less words; without one, there may be others."""
    if text is None:
        return
    try:
        acquisitions.utc(pystac.utils.str_to_datetime(text))
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise ValueError(f"its datetime is {str(text)[:80]!r}, which is no time such as 2018-03-10T10:50:00Z") from None


def _table(collection: str | None, assets: OwnCollection | None) -> Collection | None:
    """Table of a collection; None where its name is that of a format."""
    if assets is not None:
        return assets.collection()
    if collection is None:
        raise SettingsError(f"`stac` needs `collection`: one of {', '.join(COLLECTIONS)}; or `assets`")
    return COLLECTIONS.get(collection)


def _format(name: str) -> type[Format]:
    """Format whose acquisitions Parcelle wrote as STAC."""
    if ":" not in name and (name not in sensors.FORMATS or name == "stac"):
        known = ", ".join(COLLECTIONS)
        raise SettingsError(f"no collection {name!r}; choose from {known}, or describe its bands by `assets`")
    kind = sensors.find(name)
    if missing := [wanted for wanted in ("bands", "optical") if not hasattr(kind, wanted)]:
        raise SettingsError(f"collection {name!r} has no {missing[0]} of its own: name its files by `format: {name}`")
    return kind


def _properties(item: Listed) -> Mapping[str, Any]:
    properties = item.content.get("properties")
    return properties if isinstance(properties, dict) else {}


def _locations(item: Listed) -> list[str]:
    """Files of this machine that an item names."""
    assets = item.content.get("assets")
    hrefs = [a.get("href") for a in assets.values() if isinstance(a, dict)] if isinstance(assets, dict) else []
    found = []
    for href in hrefs:
        try:
            found.append(item.locate(str(href)))
        except ValueError:
            continue
    return [path for path in found if not path.startswith("/vsi")]


def _day(item: Listed) -> datetime.date | None:
    """Day that an item gives, if any."""
    try:
        return datetime.datetime.fromisoformat(_properties(item)["datetime"]).date()
    except (KeyError, TypeError, ValueError):
        return None


@dataclass(frozen=True)
class _Part:
    """A band of an asset: key, number in the file, whether it is the only one, name, where the file is, fields."""

    key: str
    number: int
    alone: bool
    name: str
    href: str
    fields: Mapping[str, Any]


def _made(item: pystac.Item, listed: Listed, table: Collection, sensor: str) -> Acquisition:
    """Make an acquisition of an item; it has the bands that are there, of which those used by default must be."""
    if not isinstance(item.id, str):
        raise ValueError("it has no id")
    if item.datetime is None:
        raise ValueError("it has no datetime")
    parts = [part for key, asset in item.assets.items() for part in _parts(key, asset)]
    places = {s.band.name: _pick(s.names, parts, s.number) for s in table.sources}
    if missing := [s for s in table.sources if places[s.band.name] is None and s.band.name in table.needed]:
        raise ValueError(f"it has no band {', '.join(' or '.join(s.names) for s in missing)}")
    assets = {
        source.band.name: _asset(source, part, item.properties, listed, table)
        for source in table.sources
        if (part := places[source.band.name])
    }
    return Acquisition(item.id, sensor, acquisitions.utc(item.datetime), assets, _masks(table, parts, listed))


def _masks(table: Collection, parts: list[_Part], listed: Listed) -> tuple[Mask, ...]:
    masks = []
    for flags in table.masks:
        part = _pick(flags.names, parts)
        if part is None:
            raise ValueError(f"it has no mask {' or '.join(flags.names)}")
        masks.append(Mask(listed.locate(part.href), part.number, flags.invalid_values, flags.invalid_bits))
    return tuple(masks)


def _parts(key: str, asset: pystac.Asset) -> list[_Part]:
    """Bands of an asset; one that is not named goes by the asset's key."""
    described = _described(key, asset.extra_fields)
    return [
        _Part(key, number, len(described) == 1, str(band.get("name", key)), asset.href, {**asset.extra_fields, **band})
        for number, band in enumerate(described, start=1)
    ]


def _described(key: str, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Fields of each band of an asset; an item may hold `eo:bands`, `raster:bands` and `bands` at once."""
    lists = [fields[name] for name in ("eo:bands", "raster:bands", "bands") if fields.get(name)]
    if any(len(bands) != len(lists[0]) for bands in lists):
        raise ValueError(f"asset {key!r} has lists of {' and '.join(str(len(bands)) for bands in lists)} bands")
    return [dict(ChainMap(*reversed(same))) for same in zip(*lists, strict=True)] if lists else [{}]


def _pick(names: tuple[str, ...], parts: list[_Part], number: int | None = None) -> _Part | None:
    """Band by the first of its names that is the key of an asset with one band, or else the name of one band.

    Catalogues list a band more than once: as JPEG 2000 beside it, at other pixel sizes, in a preview. Keys are unique.
    """
    for name in names:
        for part in parts:
            if part.key == name and (part.alone or part.number == number):
                return part
    for name in names:
        same = [part for part in parts if part.name == name]
        if len(same) > 1:
            raise ValueError(f"it has band {name} {len(same)} times")
        if same:
            return same[0]
    return None


def _asset(source: Source, part: _Part, properties: Mapping[str, Any], listed: Listed, table: Collection) -> Asset:
    """File and encoding of a band: as the item says, or else the table; the other way round where that is certain."""
    # STAC 1.1 prefixes the first two with `raster:`.
    item = [part.fields.get("raster:scale", part.fields.get("scale")),
            part.fields.get("raster:offset", part.fields.get("offset")), part.fields.get("nodata")]  # fmt: skip
    if table.offset:
        item[1] = table.offset(properties, None if item[1] is None else float(item[1]))
    told = (source.scale, source.offset, source.nodata)
    pairs = zip(told, item, strict=True) if table.certain else zip(item, told, strict=True)
    scale, offset, nodata = (second if first is None else first for first, second in pairs)
    scale, offset = _number(scale, 1.0), _number(offset, 0.0)
    refuse_encoding(scale, offset)
    return Asset(
        listed.locate(part.href),
        source.number or part.number,
        scale,
        offset,
        None if nodata is None else float(nodata),
        source.power,
    )


def _number(value: Any, default: float) -> float:
    """Number that an item gives, or the default."""
    if isinstance(value, bool):
        raise ValueError(f"it has {value} as a scale or offset, where a number is expected")
    return default if value is None else float(value)
