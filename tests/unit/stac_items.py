"""Items as catalogues write them, with the images that they name."""

import json

import numpy as np
from unit.rasters_for_tests import TILE, coarser, noise, save

# Bands of Sentinel-2 at 10 and at 20 m, by Parcelle's names, under the keys of Planetary Computer and of Earth Search.
KEYS = {
    "b2": ("B02", "blue"), "b3": ("B03", "green"), "b4": ("B04", "red"), "b8": ("B08", "nir"),
    "b5": ("B05", "rededge1"), "b6": ("B06", "rededge2"), "b7": ("B07", "rededge3"), "b8a": ("B8A", "nir08"),
    "b11": ("B11", "swir16"), "b12": ("B12", "swir22"),
}  # fmt: skip
FINE = ("b2", "b3", "b4", "b8")


def item(collection, assets, name="x", **properties):
    """An item of STAC 1.0."""
    when = {"datetime": "2023-03-10T10:50:00Z", "platform": "a"}
    base = {"type": "Feature", "stac_version": "1.0.0", "stac_extensions": [], "id": name, "collection": collection}
    return base | {"geometry": None, "bbox": None, "properties": when | properties, "links": [], "assets": assets}


def written(path, *items, **more):
    """Write an ItemCollection."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items, **more}))
    return str(path)


def grid_of(band):
    return TILE if band in FINE else coarser(TILE, 2)


def truth(seed=0, bands=KEYS):
    """Reflectance × 10,000 of each band ``(row, column)`` int16, and the classes at 20 m ``(row, column)`` uint8."""
    values = {b: noise(grid_of(b), low=100, high=6000, seed=seed + i)[0] for i, b in enumerate(bands)}
    return values, noise(coarser(TILE, 2), low=0, high=12, dtype="uint8", seed=seed + 99)[0]


def images(folder, values, classes, shift=0):
    """Write a file a band, digital numbers shifted by so much, and the classification; give back their names."""
    files = {
        band: save(folder / f"{band}.tif", (pixels + shift).astype(np.uint16), grid_of(band), nodata=0)
        for band, pixels in values.items()
    }
    return files | {"scl": save(folder / "scl.tif", classes, coarser(TILE, 2))}


def planetary_computer(files, name="pc", **properties):
    """Keys B02 … and SCL; nothing about values, but the processing baseline; a preview that names bands again."""
    assets = {
        KEYS[b][0]: {"href": files[b], "eo:bands": [{"name": KEYS[b][0], "common_name": KEYS[b][1]}]} for b in KEYS
    }
    assets["SCL"] = {"href": files["scl"]}
    assets["visual"] = {"href": "https://example.com/tci.tif", "eo:bands": [{"name": n} for n in ("B04", "B03", "B02")]}
    return item("sentinel-2-l2a", assets, name, **{"s2:processing_baseline": "05.09"} | properties)


def earth_search(files, name="es", offset=-0.1, applied=True, **properties):
    """Keys blue … and scl; scale and offset in `raster:bands`; beside each, the same band as JPEG 2000."""
    scaled = {"nodata": 0, "data_type": "uint16", "scale": 0.0001, "offset": offset}
    assets = {}
    for band in KEYS:
        key = KEYS[band][1]
        assets[key] = {"href": files[band], "eo:bands": [{"name": key}], "raster:bands": [scaled]}
        assets[f"{key}-jp2"] = {"href": f"s3://sentinel-s2-l2a/{key}.jp2", "eo:bands": [{"name": key}]}
    assets["scl"] = {"href": files["scl"], "raster:bands": [{"nodata": 0, "data_type": "uint8"}]}
    assets["visual"] = {"href": "tci.tif", "eo:bands": [{"name": n} for n in ("red", "green", "blue")]}
    told = {"earthsearch:boa_offset_applied": applied, "s2:processing_baseline": "05.09"}
    return item("sentinel-2-l2a", assets, name, **told | properties)


def cdse(files, name="cdse", **properties):
    """STAC 1.1: keys B02_10m … and SCL_20m, other pixel sizes of the same bands, scale and offset of the asset."""
    encoding = {"nodata": 0, "data_type": "uint16", "raster:scale": 0.0001, "raster:offset": -0.1}
    assets = {}
    for band in KEYS:
        code = KEYS[band][0]
        for size in (10, 20, 60) if band in FINE else (20, 60):
            own = size == (10 if band in FINE else 20)
            href = files[band] if own else f"s3://eodata/{code}_{size}m.jp2"
            assets[f"{code}_{size}m"] = {"href": href, "bands": [{"name": code}], **encoding}
    assets["SCL_20m"] = {"href": files["scl"], "nodata": 0}
    return item("sentinel-2-l2a", assets, name, **{"processing:version": "05.11"} | properties) | {
        "stac_version": "1.1.0"
    }
