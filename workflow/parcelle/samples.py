"""The table of samples: pixels that lie in reference polygons, and their features.

Features are int16 where all of them are integers (reflectance × 10,000, indices × 10,000 rounded), else float32.
"""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from parcelle import cube, files
from parcelle.errors import StaleError
from parcelle.hashing import ranks

KEYS = ["polygon", "code", "region", "row", "column"]

DTYPES = (np.dtype(np.int16), np.dtype(np.float32))


@dataclass(frozen=True)
class Samples:
    """Samples of a region.

    Attributes:
        keys: `KEYS` and `tile`, counted from 0; sorted by polygon, tile, row and column.
        features: Names of the features.
        values: ``(sample, feature)`` int16 or float32, as in the files.

    """

    keys: pd.DataFrame
    features: list[str]
    values: np.ndarray


@dataclass(frozen=True)
class Size:
    """How large a table is: samples of all regions, features of each, and bytes of a feature."""

    rows: int
    features: int
    itemsize: int


def first_of_each_polygon(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """Keep at most so many pixels of each polygon: the first in the order of the hash of (polygon, row, column).

    A pixel's place in that order depends on nothing but itself, hence not on windows or on other pixels' clouds.
    """
    order = ranks(table.polygon.to_numpy(), table.row.to_numpy(), table.column.to_numpy())
    place = pd.Series(order, table.index).groupby(table.polygon).rank(method="first")
    return table[place <= most]


def write(table: pd.DataFrame, path: str) -> None:
    """Write the samples of a tile: `KEYS`, and one column per feature, all int16 or all float32.

    The end of the file says how many there are of each region.
    """
    table = table.copy(deep=False)
    table.attrs = {"regions": {str(region): int(n) for region, n in table.region.value_counts(sort=False).items()}}
    with files.whole(path) as draft:
        table.to_parquet(draft, index=False, compression="zstd")


def size(path: str, region: str | None = None) -> Size:
    """Size of a tile's table, or of the samples of a region in it; from the end of its file alone.

    Raises:
        FileNotFoundError: There is no such file.
        StaleError: It is no table of samples.

    """
    found, regions = _size(path, Path(path).stat().st_mtime_ns)
    return found if region is None else replace(found, rows=regions.get(region, 0))


@functools.cache
def _size(path: str, changed: int) -> tuple[Size, dict[str, int]]:
    """Size of a table that was last changed then, and rows of each region.

    Snakemake asks for it once per model of each region.
    """
    try:
        with pq.ParquetFile(path) as table:
            schema, rows = table.schema_arrow, table.metadata.num_rows
        regions = json.loads(schema.metadata[b"PANDAS_ATTRS"])["regions"]
    except (pa.ArrowInvalid, KeyError, TypeError):
        raise _stale(path, "is not a table of samples") from None
    names, dtype = _features(schema, path)
    return Size(rows, len(names), dtype.itemsize), regions


def total(paths: Sequence[str], region: str | None = None) -> Size:
    """Size of the tables of several tiles together, or of the samples of a region in them.

    Raises:
        FileNotFoundError: A file is still to be made.
        StaleError: A file is no table of samples.

    """
    sizes = [size(path, region) for path in paths]
    widest = max(sizes, key=lambda one: one.features * one.itemsize, default=Size(0, 0, 0))
    return Size(sum(one.rows for one in sizes), widest.features, widest.itemsize)


def read(paths: Sequence[str], region: str, per_polygon_max: int | None = None) -> Samples:
    """Samples of a region from all its tiles.

    Keys come first, so that each feature is read into its place: there is one matrix of them, in the files' own type.

    Args:
        paths: `samples/{tile}.parquet` of the tiles.
        region: Name of the region.
        per_polygon_max: Most pixels of a polygon; one in several tiles may have more than that in their files.

    Raises:
        InputError: Two tiles have different features.
        StaleError: A file is not what was written, or two tiles have features of different types.

    """
    names, dtype = _common_features([str(files.verify(path)) for path in paths])
    keys = pd.concat([_keys(path, region) for path in paths], ignore_index=True)
    keys = keys.sort_values(["polygon", "tile", "row", "column"], ignore_index=True)
    if per_polygon_max:
        keys = first_of_each_polygon(keys, per_polygon_max).reset_index(drop=True)
    values = np.empty((len(keys), len(names)), dtype)
    for path in paths:
        own = np.flatnonzero(keys.tile == Path(path).stem)
        _fill(values, own, path, keys.place.to_numpy()[own], names)
    return Samples(keys.drop(columns="place"), names, values)


def _common_features(paths: Sequence[str]) -> tuple[list[str], np.dtype]:
    """Names and type of the features of all files, which must have the same."""
    names, dtype = _features(pq.read_schema(paths[0]), paths[0])
    for path in paths[1:]:
        others, other = _features(pq.read_schema(path), path)
        cube.check_features(others, names, path)
        if other != dtype:
            raise _stale(path, f"has {other} features, where those of {paths[0]} are {dtype}")
    return names, dtype


def _features(schema: pa.Schema, path: str) -> tuple[list[str], np.dtype]:
    """Names of the features of a file, and their one type."""
    found = {np.dtype(kind.to_pandas_dtype()) for kind in schema.types[len(KEYS) :]}
    if schema.names[: len(KEYS)] != KEYS or len(found) != 1 or not found <= set(DTYPES):
        raise _stale(path, f"is not a table of {' or '.join(map(str, DTYPES))} features after {', '.join(KEYS)}")
    return schema.names[len(KEYS) :], found.pop()


def _stale(path: str, found: str) -> StaleError:
    return StaleError(f"{path} {found}. Make it again: snakemake --forcerun {path}")


def _keys(path: str, region: str) -> pd.DataFrame:
    """Keys of the samples of a region in a file, with their `tile` and their `place` among its rows."""
    keys = pd.read_parquet(path, columns=KEYS)
    keys = keys.assign(tile=Path(path).stem, place=np.arange(len(keys)))
    return keys[keys.region == region]


def _fill(values: np.ndarray, places: np.ndarray, path: str, rows: np.ndarray, names: list[str]) -> None:
    """Copy some rows of a file to some places of `values`; feature by feature, since a whole part takes much more."""
    with pq.ParquetFile(path) as table:
        for feature, name in enumerate(names):
            column = table.read(columns=[name], use_threads=False).column(0)
            values[places, feature] = column.to_numpy()[rows]
