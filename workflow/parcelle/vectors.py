"""Read polygons of any vector file, and mend or refuse them."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pyproj
import shapely

from parcelle import vector_files
from parcelle.errors import InputError
from parcelle.grid import on_earth

log = logging.getLogger(__name__)

# What reading a file that is something else, or damaged, raises: its format, its geometries, its CRS.
_UNREADABLE = (
    *(OSError, ValueError, pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError),
    *(shapely.errors.ShapelyError, pyproj.exceptions.ProjError),
)


def read(path: str, fields: list[str], layer: str | None = None) -> gpd.GeoDataFrame:
    """Read some fields and the geometry of a vector file; `fid` is the feature's number in it.

    Raises:
        InputError: The file cannot be read, has several layers and none is named, has no CRS or a local one, or
            lacks a field.

    """
    vector_files.refuse_special(path)
    try:
        frame = _open(path, layer)
    except _UNREADABLE as error:
        raise InputError(f"{path} cannot be read as polygons: {error}") from None
    if not isinstance(frame, gpd.GeoDataFrame):
        raise InputError(f"{path} has no geometry.")
    there = [c for c in frame.columns if c != frame.geometry.name]
    if missing := [f for f in fields if f not in there]:
        raise InputError(f"{path} has no field {missing[0]!r}; its fields are {', '.join(there)}.")
    if frame.crs is None:
        raise InputError(f"{path} has no CRS. Write one into it, e.g. with ogr2ogr -a_srs.")
    if not on_earth(frame.crs):
        raise InputError(f"{path} has a CRS that is not tied to the Earth ({frame.crs.name}): write its own into it.")
    if frame.geometry.name != "geometry":
        frame = frame.rename_geometry("geometry")
    frame = frame[[*dict.fromkeys(fields), "geometry"]]
    return frame if "fid" in frame else frame.rename_axis("fid").reset_index()


def _open(path: str, layer: str | None) -> gpd.GeoDataFrame:
    if Path(path).suffix.lower() in {".parquet", ".geoparquet"}:
        if layer is not None:
            raise InputError(f"{path} is GeoParquet, which has no layers: remove `layer`.")
        return gpd.read_parquet(path)
    with_geometry = [name for name, kind in pyogrio.list_layers(path) if kind is not None]
    if layer is None and len(with_geometry) > 1:
        raise InputError(
            f"{path} has the layers {listed(with_geometry)}: say which with `layer`, or save it in a file of its own."
        )
    return gpd.read_file(path, layer=layer or next(iter(with_geometry), None), fid_as_index=True)


def mend(frame: gpd.GeoDataFrame, path: str) -> gpd.GeoDataFrame:
    """Make invalid polygons valid, and count them in the log.

    Raises:
        InputError: Some features are not polygons, are empty, or have no area once they are made valid.

    """
    kinds = frame.geometry.geom_type
    refuse(frame.geometry.is_empty | frame.geometry.isna(), frame, path, "are empty", "remove them")
    refuse(~kinds.isin(["Polygon", "MultiPolygon"]), frame, path, "are not polygons", "remove them")
    broken = ~frame.geometry.is_valid
    if broken.any():
        log.warning("%s: %d invalid polygons made valid: fid %s", path, broken.sum(), listed(frame.fid[broken]))
        mended = shapely.make_valid(frame.geometry[broken].to_numpy(), method="structure", keep_collapsed=False)
        frame = frame.copy()
        frame.loc[broken, "geometry"] = mended
        flat = frame.geometry.is_empty | ~frame.geometry.geom_type.isin(["Polygon", "MultiPolygon"])
        refuse(flat, frame, path, "have no area once made valid", "repair or remove them")
    return frame


def refuse(wrong: Any, frame: pd.DataFrame, path: str, what: str, cure: str) -> None:
    """Raise an error that names the features, if there are any."""
    if np.any(wrong):
        raise InputError(f"{path}: {int(np.sum(wrong))} features {what} (fid {listed(frame.fid[wrong])}): {cure}.")


def listed(values: Any, most: int = 10) -> str:
    """First values of a list, for a message."""
    texts = [str(v) for v in values]
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


def identity(geometry: Any) -> list[str]:
    """Name of each polygon: the hash of its geometry in its own CRS, so that it does not depend on the others.

    Coordinates are rounded to 1e-7 units, then rings start at their smallest vertex, so that a file saved again by
    another program keeps its names.
    """
    # Adding 0 makes −0 a 0, which are not the same bytes.
    rounded = shapely.transform(np.asarray(geometry), lambda vertices: np.round(vertices, 7) + 0)
    return [_digest(shapely.get_coordinates(g).tobytes()) for g in shapely.normalize(rounded)]


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()
