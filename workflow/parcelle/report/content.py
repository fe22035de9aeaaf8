"""What the page says: rows of its tables, and the sentences that a reader of its numbers must know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from parcelle import sensors
from parcelle.assessment import COUNTRY
from parcelle.nomenclature import LandClass
from parcelle.report.formats import count, named, percent
from parcelle.report.sources import Assessment, Tile, Value
from parcelle.scores import PER_CLASS
from parcelle.settings import Map, Settings, Split

# Percentiles of a bootstrap over few groups are too narrow: they are named below this number.
FEW_GROUPS = 10
# Pictures of calendars on the page; of more tiles, those with the fewest clear dates.
CALENDARS = 12
# Why nothing is said of the cost, where no record of a job is found.
NO_RECORDS = "No job left a record of what it took."

# Rows of a picture of the calendars of many tiles.
ROWS = 200


@dataclass(frozen=True)
class ClassRow:
    """A class: what it was validated on, its scores, and what the map shows of it.

    Attributes:
        land: Code, name and colour.
        samples: Validation samples of a seed, on average.
        groups: Different groups that some seed validates it on.
        validated: Whether any seed validates it.
        scores: `precision`, `recall` and `f1`; undefined where it is not validated: what is taken for it by
            mistake gives a precision of 0, which says nothing of the class itself.
        pixels: Pixels of the map.
        hectares: Their area.
        share: Share of the mapped area; None where nothing is mapped.
        shares: The same in each region.

    """

    land: LandClass
    samples: float
    groups: int
    validated: bool
    scores: Mapping[str, Value]
    pixels: int
    hectares: float
    share: float | None
    shares: tuple[float | None, ...]


@dataclass(frozen=True)
class RegionRow:
    """A region, or the country: validation samples of a seed on average, overall scores, F1 of each class."""

    name: str
    samples: float
    oa: Value
    kappa: Value
    f1: tuple[Value, ...]


@dataclass(frozen=True)
class Note:
    """Something that the scores do not say by themselves; `items` are its details."""

    title: str
    text: str
    items: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unmapped:
    """Pixels without data."""

    pixels: int
    hectares: float
    share: float


def class_rows(found: Assessment, classes: Sequence[LandClass]) -> list[ClassRow]:
    """Tell of each class of the nomenclature, in its order."""
    table = found.classes.set_index(["region", "class"])
    areas = found.areas.set_index(["region", "class"])
    mapped = mapped_regions(found)
    rows = []
    for land in classes:
        code = str(land.code)
        counts, area = table.loc[(COUNTRY, code)], areas.loc[(COUNTRY, code)]
        rows.append(
            ClassRow(
                land,
                samples=float(counts["validation"]),
                groups=int(counts["interval_groups"]),
                validated=found.validated(code),
                scores={score: _value(found, score, code) for score in PER_CLASS},
                pixels=int(area["pixels"]),
                hectares=float(area["hectares"]),
                share=_defined(area["share"]),
                shares=tuple(_defined(areas.loc[(region, code), "share"]) for region in mapped),
            )
        )
    return rows


def _value(found: Assessment, score: str, code: int | str, region: str = COUNTRY) -> Value:
    return found.value(score, code, region) if found.validated(code, region) else Value()


def mapped_regions(found: Assessment) -> list[str]:
    """Regions with mapped pixels, where there are several."""
    named = found.areas[(found.areas["region"] != COUNTRY) & found.areas["share"].notna()]
    regions = list(dict.fromkeys(named["region"]))
    return regions if len(regions) > 1 else []


def unmapped(found: Assessment) -> Unmapped:
    """Count the pixels of the tiles that have no class."""
    country = found.areas[found.areas["region"] == COUNTRY].set_index("class")["hectares"]
    pixels = found.areas.set_index(["region", "class"]).loc[(COUNTRY, "0"), "pixels"]
    total = float(country.sum())
    return Unmapped(int(pixels), float(country["0"]), float(country["0"]) / total if total else 0.0)


def _defined(value: float) -> float | None:
    return None if pd.isna(value) else float(value)


def region_rows(found: Assessment, codes: Sequence[int]) -> list[RegionRow]:
    """Tell of the country and of each region; nothing where there is one region only."""
    samples = found.classes.groupby("region")["validation"].sum()
    regions = [COUNTRY, *found.regions] if len(found.regions) > 1 else []
    return [
        RegionRow(
            "country" if region == COUNTRY else region,
            float(samples[region]),
            found.value("oa", region=region),
            found.value("kappa", region=region),
            tuple(_value(found, "f1", code, region) for code in codes),
        )
        for region in regions
    ]


def notes(found: Assessment, classes: Sequence[LandClass], settings: Settings) -> list[Note]:
    """Name the classes that the scores say nothing, or too little, about."""
    name = {str(land.code): land.name for land in classes}
    country = found.classes[found.classes["region"] == COUNTRY]
    by_region = found.classes[found.classes["region"] != COUNTRY]
    made = (
        _unvalidated(country, name),
        _unvalidated_in_regions(by_region, country, name),
        _without_samples(country, name),
        _some_seeds(found, country, name, settings.seeds),
        _few_groups(country, name, split_groups(settings.split)),
        _shortfalls(by_region, name, settings.sampling.per_class),
    )
    return [note for note in made if note]


def _names(rows: pd.DataFrame, name: Mapping[str, str]) -> str:
    return named([name[code] for code in rows["class"]])


def _never(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of classes that are learnt and not validated."""
    return table[(table["learning"] > 0) & (table["validated"] == "no")]


def _unvalidated(country: pd.DataFrame, name: Mapping[str, str]) -> Note | None:
    if (rows := _never(country)).empty:
        return None
    text = (
        f"{_names(rows, name)}: the map may show {_them(rows)}, and no score says how well. A class with a "
        "single group of reference polygons is learnt from and never validated on; more reference polygons "
        "would mend it."
    )
    return Note("Learnt but never validated", text)


def _unvalidated_in_regions(by_region: pd.DataFrame, country: pd.DataFrame, name: Mapping[str, str]) -> Note | None:
    """Of the classes that are validated somewhere else."""
    rows = _never(by_region)
    rows = rows[~rows["class"].isin(_never(country)["class"])]
    if rows.empty:
        return None
    items = tuple(f"{region}: {_names(part, name)}." for region, part in rows.groupby("region", sort=False))
    text = "There the map may show them, and no score says how well: the country's come from other regions."
    return Note("Learnt but never validated in a region", text, items)


def _without_samples(country: pd.DataFrame, name: Mapping[str, str]) -> Note | None:
    if (rows := country[country["learning"] == 0]).empty:
        return None
    them = _them(rows)
    text = f"{_names(rows, name)}: no seed has a sample of {them} to learn from, so no model finds {them}."
    return Note("Never learnt", text)


def _them(rows: pd.DataFrame) -> str:
    return "it" if len(rows) == 1 else "them"


def _some_seeds(found: Assessment, country: pd.DataFrame, name: Mapping[str, str], seeds: int) -> Note | None:
    runs = {code: found.value("recall", code).runs for code in country["class"]}
    some = [f"{name[code]} ({number} of {seeds})" for code, number in runs.items() if 0 < number < seeds]
    if not some:
        return None
    return Note("Validated by some seeds only", f"{named(some)}. Their scores are means over these seeds.")


def _few_groups(country: pd.DataFrame, name: Mapping[str, str], groups: str) -> Note | None:
    rows = country[country["interval_groups"].between(1, FEW_GROUPS - 1)]
    if rows.empty:
        return None
    few = [f"{name[c]} ({n})" for c, n in zip(rows["class"], rows["interval_groups"], strict=True)]
    text = (
        f"{named(few)}. Intervals from fewer than {FEW_GROUPS} validation groups ({groups}) are too narrow; "
        "from a single one there is none."
    )
    return Note("Few validation groups", text)


def _shortfalls(by_region: pd.DataFrame, name: Mapping[str, str], per_class: int | None) -> Note | None:
    if per_class is None:
        return None
    rows = by_region[(by_region["learning"] > 0) & (by_region["learning"] < per_class)]
    if rows.empty:
        return None
    items = []
    for region, part in rows.groupby("region", sort=False):
        short = zip(part["class"], part["learning"], strict=True)
        items.append(f"{region}: {named([f'{name[code]} ({count(samples)})' for code, samples in short])}.")
    text = f"{count(per_class)} a class were asked for; where there are fewer, all were taken."
    return Note("Few samples to learn from", text, tuple(items))


def split_groups(split: Split) -> str:
    """Name what goes to one side of a split as a whole, in the plural."""
    if split.by == "field":
        return f"values of {split.field}"
    return f"blocks of {split.block:g} m" if split.by == "block" else "whole polygons"


def split_words(split: Split) -> str:
    """Say how reference polygons are divided, in a few words."""
    if split.by == "field":
        return str(split.field)
    return f"{split.block:g} m blocks" if split.by == "block" else "whole polygons"


def split_sentence(split: Split) -> str:
    """Say what the split keeps together."""
    if split.by == "polygon":
        return (
            "A polygon lies on one side as a whole; its neighbour, perhaps in the same field, may lie on the "
            "other, which makes the scores optimistic."
        )
    if split.by == "field":
        return f"All polygons with one value of {split.field} lie on one side."
    return (
        f"All polygons of a square block of {split.block:g} m lie on one side; polygons on the two sides of a "
        "block's border are still neighbours."
    )


def map_sentence(map_settings: Map) -> str:
    """Say which models made the map."""
    if map_settings.model == "all":
        made_by = "one more model of each region, which learns from all reference polygons"
    elif len(map_settings.model) == 1:
        made_by = f"the model of seed {map_settings.model[0]}"
    else:
        made_by = f"the mean probability of the models of seeds {named([str(s) for s in map_settings.model])}"
    return f"The map itself is made by {made_by}."


def calendars_of(tiles: Sequence[Tile]) -> list[Tile]:
    """Choose the tiles whose calendar is drawn: all of a few, else those with the fewest clear dates."""
    if len(tiles) <= CALENDARS:
        return list(tiles)
    return sorted(tiles, key=lambda tile: (tile.clear_dates, tile.name))[:CALENDARS]


def dated(settings: Settings) -> list[str]:
    """Names of the sensors whose images have dates, in the order of the settings."""
    return [name for name, s in settings.sensors.items() if not getattr(sensors.of(s), "static", False)]


def rows_of(tiles: Sequence[Tile]) -> list[Tile]:
    """Choose the tiles that are drawn as one row each: none if all have a calendar of their own; of many, the worst."""
    if len(tiles) <= CALENDARS:
        return []
    worst = sorted(tiles, key=lambda tile: (tile.clear_dates, tile.name))[:ROWS]
    return [tile for tile in tiles if tile in worst]


def rows_sentence(tiles: Sequence[Tile]) -> str:
    """Say which tiles are drawn as one row each."""
    marks = "Each mark is a date, as dark as its clear share; a cross is a product that was skipped."
    few = f" Of {count(len(tiles))} tiles, these are the {ROWS} with the fewest clear dates of a pixel."
    return marks + (few if len(tiles) > ROWS else "")


def calendars_sentence(tiles: Sequence[Tile]) -> str:
    """Say which tiles' calendars are drawn."""
    bars = (
        "Each bar is a date, as high and as dark as its clear share; a cross is a product that was skipped. The list "
        "below says why."
    )
    if len(tiles) <= CALENDARS:
        return bars
    return (
        f"{bars} Of {count(len(tiles))} tiles, these are the {CALENDARS} with the fewest clear dates of a pixel "
        "(in the sensor that has fewest), the worst first; the table has all."
    )


def alternative(rows: Sequence[ClassRow]) -> str:
    """Describe the map for those who cannot see it: its largest classes."""
    largest = sorted(rows, key=lambda row: -row.pixels)[:3]
    shares = [f"{row.land.name} ({percent(row.share)})" for row in largest if row.pixels]
    return f"Land-cover map, most of it {named(shares)}" if shares else "Land-cover map without data"


def cost_sentence(others: Mapping[str, int]) -> str:
    """Say which jobs the table of the cost is of."""
    left_out = named([f"{count(number)} {why}" for why, number in others.items()])
    return "Of the jobs that were done before this page was made." + (f" Left out: {left_out}." if left_out else "")
