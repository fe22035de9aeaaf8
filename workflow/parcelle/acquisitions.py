"""The acquisitions of a tile as a STAC ItemCollection: what `inventory` writes and every later step reads."""

import datetime
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from parcelle import files
from parcelle.grid import Grid, reproject
from parcelle.sensors import Acquisition, Asset, Mask, Problem
from parcelle.sensors.base import refuse_encoding

PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
RASTER = "https://stac-extensions.github.io/raster/v2.0.0/schema.json"

# Masks hold whole numbers of 32 bits at most.
_MOST = 2**32 - 1


@dataclass(frozen=True)
class Inventory:
    """What there is of a tile: its grid, its acquisitions by date, and the products that were left out.

    `formats` says, by sensor, which format (or STAC collection) tells what the bands are: under that name, as
    `collection` of format `stac`, the file can be read like one of a catalogue.
    """

    tile: str
    grid: Grid
    acquisitions: tuple[Acquisition, ...]
    problems: tuple[Problem, ...] = ()
    formats: Mapping[str, str] = field(default_factory=dict)

    def of(self, sensor: str) -> list[Acquisition]:
        """Acquisitions of one sensor, by date."""
        return [a for a in self.acquisitions if a.sensor == sensor]

    def to_dict(self, folder: Path | None = None) -> dict[str, Any]:
        """STAC ItemCollection; the grid and the problems stand beside the items.

        Args:
            folder: Where it will lie: relative paths start there, as STAC asks; where `snakemake` runs if None.

        """
        outline = reproject(self.grid.footprint(), self.grid.crs, "EPSG:4326")
        return {
            "type": "FeatureCollection",
            "parcelle:tile": self.tile,
            "parcelle:grid": self.grid.to_dict(),
            "parcelle:problems": [_problem(p) for p in self.problems],
            "features": [self._item(a, outline, folder) for a in self.acquisitions],
        }

    def write(self, path: str) -> None:
        """Write the ItemCollection."""
        files.write_json(path, self.to_dict(Path(path).parent))

    def _item(self, acquisition: Acquisition, outline: Any, folder: Path | None) -> dict[str, Any]:
        item = _item(acquisition, self.grid, outline)
        if acquisition.sensor in self.formats:
            item["properties"]["parcelle:format"] = self.formats[acquisition.sensor]
        for asset in item["assets"].values():
            asset["href"] = _written(asset["href"], folder)
        return item


def read(path: str) -> Inventory:
    """Read what `Inventory.write` wrote."""
    content, folder = files.read_json(path), Path(path).parent
    known = [f["properties"] for f in content["features"] if "parcelle:format" in f["properties"]]
    return Inventory(
        tile=content["parcelle:tile"],
        grid=Grid.from_dict(content["parcelle:grid"]),
        acquisitions=tuple(of_item(f, f["properties"]["parcelle:sensor"], folder) for f in content["features"]),
        problems=tuple(_read_problem(p) for p in content["parcelle:problems"]),
        formats={p["parcelle:sensor"]: p["parcelle:format"] for p in known},
    )


def _problem(problem: Problem) -> dict[str, str]:
    """What was left out; day and sensor where they are known."""
    day = problem.date.isoformat() if problem.date else ""
    known = {"sensor": problem.sensor, "date": day}
    return {"product": problem.product, "why": problem.why} | {name: text for name, text in known.items() if text}


def _read_problem(content: dict[str, str]) -> Problem:
    day = datetime.date.fromisoformat(content["date"]) if "date" in content else None
    return Problem(content["product"], content["why"], day, content.get("sensor", ""))


def ordered(acquisitions: Iterable[Acquisition]) -> tuple[Acquisition, ...]:
    """By sensor, time and name, however the files were found."""
    return tuple(sorted(acquisitions, key=lambda a: (a.sensor, a.datetime, a.id)))


def _item(acquisition: Acquisition, grid: Grid, outline: Any) -> dict[str, Any]:
    masks = {f"mask-{i}": _mask(mask) for i, mask in enumerate(acquisition.masks, start=1)}
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [PROJECTION, RASTER],
        "id": acquisition.id,
        "geometry": {"type": "Polygon", "coordinates": [[list(p) for p in outline.exterior.coords]]},
        "bbox": list(outline.bounds),
        "properties": {
            # Not `collection`: STAC allows it only beside a link to one.
            "parcelle:sensor": acquisition.sensor,
            "parcelle:fingerprint": acquisition.fingerprint,
            **({} if acquisition.clear is None else {"parcelle:clear": acquisition.clear}),
            "datetime": acquisition.datetime.isoformat().replace("+00:00", "Z"),
            "proj:code": grid.crs if grid.crs.startswith("EPSG:") else None,
        },
        "links": [],
        "assets": {name: _asset(name, asset) for name, asset in acquisition.assets.items()} | masks,
    }


def _asset(name: str, asset: Asset) -> dict[str, Any]:
    # JSON has no NaN and no infinity; STAC writes them as text.
    nodata = {} if asset.nodata is None else {"nodata": asset.nodata if isfinite(asset.nodata) else str(asset.nodata)}
    band = {"name": name, **nodata, "raster:scale": asset.scale, "raster:offset": asset.offset}
    power = {"parcelle:power": True} if asset.power else {}
    return {"href": asset.path, "roles": ["data"], "bands": [band], "parcelle:band": asset.band, **power}


def _mask(mask: Mask) -> dict[str, Any]:
    return {
        "href": mask.path,
        "roles": ["metadata"],
        "parcelle:band": mask.band,
        "parcelle:invalid_values": list(mask.invalid_values),
        "parcelle:invalid_bits": mask.invalid_bits,
    }


def _written(path: str, folder: Path | None) -> str:
    """Path as a file in a folder names it: a relative one starts there, and not where `snakemake` runs."""
    if folder is None or Path(path).is_absolute() or "://" in path:
        return path
    return os.path.relpath(path, folder)


def _found(href: str, folder: Path) -> str:
    """Path that `_written` wrote."""
    if Path(href).is_absolute() or "://" in href:
        return href
    return os.path.normpath(folder / href)


def of_item(feature: dict[str, Any], sensor: str, folder: Path) -> Acquisition:
    """Read an item of what `Inventory.write` wrote, in a file of a folder, as an acquisition of a sensor.

    Raises:
        ValueError: It was changed since, to what cannot be used.
        KeyError: It lacks a part.
        TypeError: A part is of another kind.

    """
    assets, masks = {}, []
    for key, content in feature["assets"].items():
        path = _found(content["href"], folder)
        if "bands" in content:
            assets[key] = _read_asset(key, content, path)
        else:
            masks.append(_read_mask(key, content, path))
    properties = feature["properties"]
    time = utc(datetime.datetime.fromisoformat(properties["datetime"]))
    fingerprint, clear = properties.get("parcelle:fingerprint", ""), properties.get("parcelle:clear")
    return Acquisition(feature["id"], sensor, time, assets, tuple(masks), fingerprint, clear)


def utc(time: datetime.datetime) -> datetime.datetime:
    """Time in UTC; one without a zone is in it, as STAC asks, whatever the zone of the machine."""
    return time.replace(tzinfo=datetime.UTC) if time.tzinfo is None else time.astimezone(datetime.UTC)


def _read_asset(key: str, content: dict[str, Any], path: str) -> Asset:
    bands = content["bands"]
    if not isinstance(bands, list) or len(bands) != 1:
        raise ValueError(f"asset {key!r} has not one band in `bands`")
    band = bands[0]
    nodata = float(band["nodata"]) if "nodata" in band else None
    scale, offset = band["raster:scale"], band["raster:offset"]
    refuse_encoding(scale, offset)
    number = _whole(key, "parcelle:band", content["parcelle:band"], 1, _MOST)
    return Asset(path, number, scale, offset, nodata, content.get("parcelle:power", False) is True)


def _read_mask(key: str, content: dict[str, Any], path: str) -> Mask:
    number = _whole(key, "parcelle:band", content["parcelle:band"], 1, _MOST)
    listed = content["parcelle:invalid_values"]
    values = tuple(_whole(key, "parcelle:invalid_values", value, -_MOST, _MOST) for value in listed)
    bits = _whole(key, "parcelle:invalid_bits", content["parcelle:invalid_bits"], 0, _MOST)
    return Mask(path, number, values, bits)


def _whole(key: str, name: str, value: Any, least: int, most: int) -> int:
    """A whole number within bounds, from an asset."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"asset {key!r} has {value!r} as `{name}`; allowed: whole numbers from {least} to {most}")
    return value
