"""The learn/validation split: whole groups of polygons go to one side, by hashes."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import geopandas as gpd
import numpy as np
import pandas as pd

from parcelle import files
from parcelle.hashing import number

log = logging.getLogger(__name__)

LEARNING, VALIDATION = "learning", "validation"


@dataclass(frozen=True)
class Options:
    """What goes to one side as a whole (`polygon`, `field` or `block` of so many metres), and the share learnt from."""

    by: str
    block: float | None
    ratio: float


def polygons(paths: Sequence[str], region: str) -> pd.DataFrame:
    """Polygons of a region from the reference of all its tiles, one row each however many pieces there are.

    Returns:
        polygon, code, x, y, field; sorted by polygon.

    """
    parts = (gpd.read_parquet(files.verify(p)) for p in paths)
    table = pd.concat([p[p.region == region][["polygon", "code", "x", "y", "field"]] for p in parts], ignore_index=True)
    return table.drop_duplicates("polygon").sort_values("polygon", ignore_index=True)


def groups(table: pd.DataFrame, options: Options) -> pd.Series:
    """Name of the group of each polygon; a block is that of the polygon's centroid."""
    if options.by == "field":
        return table.field
    if options.by == "block":
        assert options.block
        columns, rows = (np.floor(table[axis] / options.block).astype(int).astype(str) for axis in ("x", "y"))
        return columns + "_" + rows
    return table.polygon


def split(table: pd.DataFrame, options: Options, region: str, seed: int) -> pd.DataFrame:
    """Divide the polygons of a region.

    Class by class, the one with fewest groups first: its groups stand in the order of a hash of (seed, region, class,
    group), and the first ones learn until `ratio` of the class's groups do; both sides get at least one. A group of
    several classes is decided by its rarest. A class with one group learns only. Each place in that order depends on
    nothing but the group itself, so a new polygon moves at most the border between the sides.

    Args:
        table: From `polygons`.
        options: How.
        region: Name of the region.
        seed: Number of the split.

    Returns:
        polygon, code, group, side.

    """
    table = table.assign(group=groups(table, options))
    of_class = {code: sorted(part.unique()) for code, part in table.groupby("code").group}
    side: dict[str, str] = {}
    for code in sorted(of_class, key=lambda c: (len(of_class[c]), c)):
        side |= _sides(of_class[code], side, options.ratio, partial(number, seed, region, code))
    result = table.assign(side=table.group.map(side))[["polygon", "code", "group", "side"]]
    _report_one_sided(result)
    return result


def _report_one_sided(table: pd.DataFrame) -> None:
    for code, sides in table.groupby("code").side.unique().items():
        if len(sides) == 1:
            log.warning("class %s is on the %s side only: its groups cannot be divided", code, sides[0])


def _sides(names: list[str], decided: dict[str, str], ratio: float, rank: Callable[[str], int]) -> dict[str, str]:
    """Sides of the groups of a class that are not decided yet."""
    wanted = min(max(int(ratio * len(names) + 0.5), 1), max(len(names) - 1, 1))
    learning = sum(decided.get(name) == LEARNING for name in names)
    free = sorted((n for n in names if n not in decided), key=rank)
    more = max(wanted - learning, 0)
    return {name: LEARNING if i < more else VALIDATION for i, name in enumerate(free)}


def write(table: pd.DataFrame, path: str) -> None:
    """Write a split."""
    with files.whole(path) as draft:
        table.to_parquet(draft, index=False)
