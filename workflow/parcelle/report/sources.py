"""What the report reads: the tables of the assessment, and what was acquired over each tile."""

import datetime
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from parcelle import acquisitions, files, scores
from parcelle.assessment import COUNTRY
from parcelle.errors import InputError
from parcelle.sensors import Problem

_TEXT = {"region": str, "class": str, "sensor": str, "score": str}


@dataclass(frozen=True)
class Value:
    """A score averaged over seeds; None where it is undefined.

    Attributes:
        mean: Mean over the seeds that define it.
        low: Lower end of the bootstrap interval.
        high: Upper end of the bootstrap interval.
        spread: Half the width of the spread over seeds, mean ± this.
        runs: Number of seeds that define it.

    """

    mean: float | None = None
    low: float | None = None
    high: float | None = None
    spread: float | None = None
    runs: int = 0


@dataclass(frozen=True)
class Assessment:
    """The tables of the assessment.

    Attributes:
        values: Scores by (region, class, score); region `all` is the country, an empty class the overall one.
        of_seeds: `oa` and `kappa` of the country, one row per seed.
        confusion: Counts pooled over seeds, of the country: ``(K, K)`` in the nomenclature's order, rows are the
            reference.
        classes: `classes.csv`; classes as text.
        areas: `areas.csv`; classes as text.

    """

    values: Mapping[tuple[str, str, str], Value]
    of_seeds: pd.DataFrame
    confusion: np.ndarray
    classes: pd.DataFrame
    areas: pd.DataFrame

    def value(self, score: str, code: int | str = "", region: str = COUNTRY) -> Value:
        """Score of a class (or overall) in a region (or the country)."""
        return self.values[region, str(code), score]

    def validated(self, code: int | str, region: str = COUNTRY) -> bool:
        """Whether any seed has a validation sample of a class."""
        return (region, str(code)) in self._validated

    @cached_property
    def _validated(self) -> set[tuple[str, str]]:
        rows = self.classes[self.classes["validated"] == "yes"]
        return set(zip(rows["region"], rows["class"], strict=True))

    @property
    def regions(self) -> list[str]:
        """Regions that have a model of their own, in the order of the tables."""
        return [region for region in dict.fromkeys(key[0] for key in self.values) if region != COUNTRY]


@dataclass(frozen=True)
class Dates:
    """Dates of one sensor over a tile, ascending, with the clear share (0 to 1) of each."""

    sensor: str
    acquisitions: int
    dates: tuple[datetime.date, ...]
    clear: tuple[float, ...]

    @property
    def clear_dates(self) -> float:
        """Clear dates of a pixel, averaged over the tile."""
        return math.fsum(self.clear)

    @property
    def clear_share(self) -> float | None:
        """Mean clear share of the dates; None without a date."""
        return self.clear_dates / len(self.clear) if self.clear else None


@dataclass(frozen=True)
class Tile:
    """What was acquired over a tile, and the products that were left out."""

    name: str
    sensors: tuple[Dates, ...]
    problems: tuple[Problem, ...]

    @property
    def clear_dates(self) -> float:
        """Clear dates of a pixel in the sensor that has fewest: what a tile is short of."""
        return min((s.clear_dates for s in self.sensors), default=0.0)


def read_assessment(paths: Mapping[str, str | Path], codes: Sequence[int]) -> Assessment:
    """Read the tables of the assessment.

    Args:
        paths: `scores`, `summary`, `confusion`, `classes` and `areas`.
        codes: Codes of the nomenclature, in its order.

    Raises:
        StaleError: A table is not the one that was written.
        InputError: A class is not in the nomenclature.

    """
    seeds = _table(paths["scores"], "value")
    seeds = seeds[(seeds["region"] == COUNTRY) & (seeds["class"] == "")]
    return Assessment(
        values=_values(_table(paths["summary"], "mean", "low", "high", "spread_low", "spread_high")),
        of_seeds=seeds.pivot(index="seed", columns="score", values="value"),
        confusion=_pooled(_table(paths["confusion"]), codes, str(paths["confusion"])),
        classes=_table(paths["classes"]),
        areas=_table(paths["areas"], "share"),
    )


def read_tiles(
    clear_shares: Sequence[str | Path], inventories: Sequence[str | Path], sensors: Sequence[str]
) -> list[Tile]:
    """Read what was acquired over each tile.

    Args:
        clear_shares: ``map/{tile}/clear.csv``.
        inventories: ``acquisitions/{tile}.json`` of the same tiles.
        sensors: Names of the sensors, in the order of the settings.

    Returns:
        The tiles in the order of `inventories`.

    Raises:
        StaleError: A file is not the one that was written.
        InputError: A tile lacks one of the two files.

    """
    clear = {Path(path).parent.name: path for path in clear_shares}
    tiles = []
    for path in inventories:
        found = acquisitions.read(str(path))
        if found.tile not in clear:
            raise InputError(f"tile {found.tile} has {path} but no map/{found.tile}/clear.csv: map it first.")
        table = _table(clear[found.tile])
        tiles.append(Tile(found.tile, tuple(_dates(table, s) for s in sensors), found.problems))
    return tiles


def _table(path: str | Path, *undefined: str) -> pd.DataFrame:
    """Read a table; empty cells of the columns `undefined` are NaN, any other text is kept (a region may be NA)."""
    empty = {column: [""] for column in undefined}
    return pd.read_csv(files.verify(path), dtype=_TEXT, keep_default_na=False, na_values=empty)


def _values(summary: pd.DataFrame) -> dict[tuple[str, str, str], Value]:
    spread = (summary["spread_high"] - summary["spread_low"]) / 2
    columns = (summary["mean"], summary["low"], summary["high"], spread)
    numbers = zip(*(_optional(column) for column in columns), summary["runs"].tolist(), strict=True)
    keys = zip(summary["region"], summary["class"], summary["score"], strict=True)
    return {key: Value(*row) for key, row in zip(keys, numbers, strict=True)}


def _optional(column: pd.Series) -> list[float | None]:
    """Numbers of a column, None for NaN."""
    return [None if math.isnan(value) else value for value in column.astype(float).tolist()]


def _pooled(table: pd.DataFrame, codes: Sequence[int], path: str) -> np.ndarray:
    table = table[table["region"] == COUNTRY]
    counts = np.zeros((len(codes), len(codes)), np.int64)
    places = (scores.positions(table[side].to_numpy(), codes, path) for side in ("reference", "predicted"))
    np.add.at(counts, tuple(places), table["count"].to_numpy())
    return counts


def _dates(table: pd.DataFrame, sensor: str) -> Dates:
    rows = table[table["sensor"] == sensor].sort_values("date")
    days = tuple(datetime.date.fromisoformat(day) for day in rows["date"])
    return Dates(sensor, int(rows["acquisitions"].sum()), days, tuple(rows["clear"].astype(float)))
