"""Which version and which settings made a file."""

import hashlib
import json
from typing import Any

import parcelle
from parcelle.sensors import FORMATS
from parcelle.settings import Settings

# Folders, tiles beside, windows and what is drawn on top change no pixel of a tile's map.
_WITHOUT_EFFECT = {
    *("results", "tiles", "window", "cache", "scratch"),
    *("nomenclature", "seeds", "mosaic", "on_bad_acquisition", "check"),
}


def digest(settings: Settings) -> str:
    """Digest of the settings that change the map of a tile: not of folders, windows, colours or the mosaic's grid."""
    content = settings.model_dump(mode="json", exclude=_WITHOUT_EFFECT)
    for place in (*content["sensors"].values(), content["reference"], content["regions"] or {}, content["area"] or {}):
        place.pop("path", None)
    for sensor in content["sensors"].values():
        # An inventory that is read again gives what the format gave that wrote it.
        if sensor["format"] == "stac" and (sensor["collection"] in FORMATS or ":" in (sensor["collection"] or "")):
            sensor |= {"format": sensor["collection"], "collection": None}
    # The order of the sensors is that of the features, which decides what the trees draw.
    content["sensors"] = list(content["sensors"].items())
    for name in ("products", "freeze", "features"):
        content["map"].pop(name)
    if settings.map.model == "all":
        content.pop("split")
    return digest_of(content)


def digest_of(content: Any) -> str:
    """Digest of plain values."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def tags(digest: str) -> dict[str, str]:
    """Tags of every raster: the version that made it, and the digest of the settings."""
    return {"PARCELLE_VERSION": parcelle.__version__, "PARCELLE_SETTINGS": digest}


def versions() -> dict[str, Any]:
    """Versions of the software that results depend on."""
    import importlib.metadata
    import platform

    import rasterio

    names = (
        "numpy",
        "pandas",
        "pyarrow",
        "rasterio",
        "geopandas",
        "shapely",
        "pyproj",
        "numba",
        "scikit-learn",
        "snakemake",
    )
    found = {name: importlib.metadata.version(name) for name in names}
    return {
        "parcelle": parcelle.__version__,
        "python": platform.python_version(),
        "GDAL": rasterio.__gdal_version__,
    } | found
