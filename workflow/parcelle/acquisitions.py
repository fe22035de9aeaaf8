"""The acquisitions of a tile as a STAC ItemCollection: what `inventory` writes and every later step reads."""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Any

from parcelle import files
from parcelle.grid import Grid, reproject
from parcelle.sensors import Acquisition, Asset, Mask, Problem

PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
RASTER = "https://stac-extensions.github.io/raster/v2.0.0/schema.json"


@dataclass(frozen=True)
class Inventory:
    """What there is of a tile: its grid, its acquisitions by date, and the products that were left out."""

    tile: str
    grid: Grid
    acquisitions: tuple[Acquisition, ...]
    problems: tuple[Problem, ...] = ()

    def of(self, sensor: str) -> list[Acquisition]:
        """Acquisitions of one sensor, by date."""
        return [a for a in self.acquisitions if a.sensor == sensor]

    def to_dict(self) -> dict[str, Any]:
        """STAC ItemCollection; the grid and the problems stand beside the items."""
        outline = reproject(self.grid.footprint(), self.grid.crs, "EPSG:4326")
        return {
            "type": "FeatureCollection",
            "parcelle:tile": self.tile,
            "parcelle:grid": self.grid.to_dict(),
            "parcelle:problems": [{"product": p.product, "why": p.why} for p in self.problems],
            "features": [_item(a, self.grid, outline) for a in self.acquisitions],
        }

    def write(self, path: str) -> None:
        """Write the ItemCollection."""
        files.write_json(path, self.to_dict())


def read(path: str) -> Inventory:
    """Read what `Inventory.write` wrote."""
    content = files.read_json(path)
    return Inventory(
        tile=content["parcelle:tile"],
        grid=Grid.from_dict(content["parcelle:grid"]),
        acquisitions=tuple(_acquisition(f) for f in content["features"]),
        problems=tuple(Problem(p["product"], p["why"]) for p in content["parcelle:problems"]),
    )


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


def _acquisition(feature: dict[str, Any]) -> Acquisition:
    assets, masks = {}, []
    for key, content in feature["assets"].items():
        if "bands" in content:
            assets[key] = _read_asset(content)
        else:
            values = tuple(content["parcelle:invalid_values"])
            masks.append(Mask(content["href"], content["parcelle:band"], values, content["parcelle:invalid_bits"]))
    properties = feature["properties"]
    time = datetime.datetime.fromisoformat(properties["datetime"])
    fingerprint = properties.get("parcelle:fingerprint", "")
    return Acquisition(feature["id"], properties["parcelle:sensor"], time, assets, tuple(masks), fingerprint)


def _read_asset(content: dict[str, Any]) -> Asset:
    band = content["bands"][0]
    nodata = float(band["nodata"]) if "nodata" in band else None
    encoding = band["raster:scale"], band["raster:offset"], nodata, content.get("parcelle:power", False)
    return Asset(content["href"], content["parcelle:band"], *encoding)
