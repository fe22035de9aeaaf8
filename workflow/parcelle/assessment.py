"""The assessment: add up the seeds' predictions on validation samples, and the counts of the maps.

Region `all` is the country; an empty class is the overall score; an empty value is undefined.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet

from parcelle import files, scores
from parcelle.errors import InputError

COUNTRY = "all"
DECIMALS = 6
SQUARE_METRES_PER_HECTARE = 10_000

_log = logging.getLogger(__name__)
Scopes = Mapping[str, scores.GroupCounts]
_PAIR = ["group", "reference", "predicted"]
_NUMBERS = [f"{side}{unit}" for unit in ("", "_polygons", "_groups") for side in ("learning", "validation")]


@dataclass(frozen=True)
class Tally:
    """Validation samples of all models, counted.

    Attributes:
        counts: Columns region, group, cell ((position of the seed * K + that of the reference) * K + that of
            the prediction) and count.
        regions: Names, sorted.
        seeds: Numbers, sorted.
        codes: Codes of the nomenclature, K of them, in its order.

    """

    counts: pd.DataFrame
    regions: list[str]
    seeds: list[int]
    codes: list[int]

    @property
    def scopes(self) -> dict[str, list[str]]:
        """What is scored: the country, and each region; with the regions it is made of."""
        return _scopes(self.regions)

    def of(self, regions: list[str]) -> scores.GroupCounts:
        """Counts of each group of some regions; a group that crosses a border is one.

        It is resampled with the groups of the first of its regions.
        """
        chosen = self.counts[self.counts["region"].isin(regions)]
        home = chosen.groupby("group")["region"].min().sort_index()
        return scores.GroupCounts.of(
            chosen["cell"].to_numpy(),
            home.index.get_indexer(pd.Index(chosen["group"])),
            chosen["count"].to_numpy(),
            strata=pd.factorize(home, sort=True)[0],
            seeds=len(self.seeds),
            classes=len(self.codes),
        )


def assess(
    validations: Sequence[str | Path],
    models: Sequence[str | Path],
    counts: Sequence[str | Path],
    codes: Sequence[int],
    outputs: Mapping[str, str | Path],
) -> None:
    """Write the tables of the assessment.

    Args:
        validations: ``model/{region}/{seed}/validation.parquet`` of every region and numbered seed.
        models: ``model/{region}/{seed}/model.json`` of the same.
        counts: ``map/{tile}/counts.csv`` of every tile.
        codes: Codes of the nomenclature, in its order.
        outputs: Path of each table: `scores`, `summary`, `confusion`, `classes`, `areas`.

    Raises:
        InputError: A region lacks a seed or a file, or a class is not in the nomenclature.
        StaleError: A file is not the one that was written.

    """
    if strange := set(_keyed(models)) ^ set(_keyed(validations)):
        region, seed = min(strange)
        raise InputError(f"region {region}, seed {seed}: give both its model.json and its validation.parquet.")
    tally, codes = read_tally(validations, codes), list(codes)
    scopes = {region: tally.of(parts) for region, parts in tally.scopes.items()}
    tables = {
        "scores": scores_table(scopes, tally.seeds, codes),
        "summary": summary_table(scopes, codes),
        "confusion": confusion_table(scopes, tally.seeds, codes),
        "classes": classes_table(models, scopes, codes),
        "areas": areas_table(counts, codes),
    }
    for name, path in outputs.items():
        _write(tables[name], path)


def read_tally(validations: Sequence[str | Path], codes: Sequence[int]) -> Tally:
    """Count the validation samples of every region and seed by group, reference and prediction.

    Raises:
        InputError: A region lacks a seed, or a class is not in the nomenclature.
        StaleError: A file is not the one that was written.

    """
    paths = _keyed(validations)
    regions, seeds = sorted({region for region, _ in paths}), sorted({seed for _, seed in paths})
    tables = []
    for (region, seed), path in paths.items():
        table = _counted(path, list(codes)).assign(region=region)
        table["cell"] += seeds.index(seed) * len(codes) ** 2
        tables.append(table)
    return Tally(pd.concat(tables, ignore_index=True), regions, seeds, list(codes))


def scores_table(scopes: Scopes, seeds: Sequence[int], codes: Sequence[int]) -> pd.DataFrame:
    """Score every seed, region and the country: seed, region, class, score, value."""
    classes, names = zip(*scores.labels(codes), strict=True)
    parts = [
        pd.DataFrame({"seed": seed, "region": region, "class": classes, "score": names, "value": values})
        for region, counts in scopes.items()
        for seed, values in zip(seeds, scores.stacked(counts.confusions), strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def summary_table(scopes: Scopes, codes: Sequence[int]) -> pd.DataFrame:
    """Average the scores over the seeds that define them; add the interval and the spread over seeds.

    Returns:
        region, class, score, mean, low and high (bootstrap over groups), runs (seeds that define the score),
        spread_low and spread_high (mean ± Student-t 95 % over seeds).

    """
    parts = [_summary(region, counts, codes) for region, counts in scopes.items()]
    return pd.concat(parts, ignore_index=True)


def confusion_table(scopes: Scopes, seeds: Sequence[int], codes: Sequence[int]) -> pd.DataFrame:
    """List all cells of all confusion matrices, zeros included: seed, region, reference, predicted, count."""
    cells = {"reference": np.repeat(codes, len(codes)), "predicted": np.tile(codes, len(codes))}
    parts = [
        pd.DataFrame({"seed": seed, "region": region, **cells, "count": matrix.ravel()})
        for region, counts in scopes.items()
        for seed, matrix in zip(seeds, counts.confusions, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def classes_table(models: Sequence[str | Path], scopes: Scopes, codes: Sequence[int]) -> pd.DataFrame:
    """Tell what each class was learnt from and validated on.

    Args:
        models: ``model/{region}/{seed}/model.json`` of every region and numbered seed.
        scopes: Counts of each group, by region.
        codes: Codes of the nomenclature.

    Returns:
        region, class; samples, polygons and groups of either side, as means over seeds;
        validation_groups_min, of the seed with the fewest; interval_groups, the different groups of all
        seeds, from which the bootstrap draws; validated, `yes` if any seed has a validation sample. Except
        for interval_groups, the country is the sum of its regions: a polygon or group that crosses a border
        counts in each.

    Raises:
        InputError: A class is not in the nomenclature.
        StaleError: A file is not the one that was written.

    """
    table = _samples(_keyed(models), list(codes))
    groups = table.groupby(["region", "class"], sort=False)
    result = groups[_NUMBERS].mean()
    result["validation_groups_min"] = groups["validation_groups"].min()
    evidence = {region: dict(zip(codes, counts.groups, strict=True)) for region, counts in scopes.items()}
    result["interval_groups"] = [evidence[region][code] for region, code in result.index]
    result["validated"] = np.where(result["validation"] > 0, "yes", "no")
    for region, code in result.index[(result["learning"] > 0) & (result["validation"] == 0)]:
        _log.warning("class %s of region %s is learnt but never validated", code, region)
    return result.reset_index()


def areas_table(counts: Sequence[str | Path], codes: Sequence[int]) -> pd.DataFrame:
    """Add up the mapped area of each class.

    These are pixel counts, not area estimates: they carry the map's errors, and no interval goes with them.

    Args:
        counts: ``map/{tile}/counts.csv`` of every tile: region, class (0 is no data), own_pixels (those in no
            earlier tile) and pixel_area in m².
        codes: Codes of the nomenclature.

    Returns:
        region, class, pixels, hectares, and share of the mapped area (empty for no data).

    Raises:
        InputError: A class is not in the nomenclature.
        StaleError: A file is not the one that was written.

    """
    pixels = pd.concat([_read_counts(path) for path in counts], ignore_index=True)
    scores.positions(pixels["class"].to_numpy(), [0, *codes], "counts.csv of the maps")
    # Whole numbers first, then areas in the order of the keys: the order of the tiles does not show.
    sums = pixels.groupby(["region", "class", "pixel_area"])[["own_pixels"]].sum().reset_index()
    sums["hectares"] = sums["own_pixels"] * sums["pixel_area"] / SQUARE_METRES_PER_HECTARE
    scopes = _scopes(sorted(set(sums["region"])))
    parts = [_areas(sums, region, names, codes) for region, names in scopes.items()]
    return pd.concat(parts, ignore_index=True)


def _scopes(regions: list[str]) -> dict[str, list[str]]:
    if COUNTRY in regions and len(regions) > 1:
        raise InputError(f"a region is named {COUNTRY!r}, the word for the country: rename it in the regions file.")
    return {COUNTRY: regions} | {region: [region] for region in regions}


def _keyed(paths: Sequence[str | Path]) -> dict[tuple[str, int], Path]:
    """Sort the paths of models by region and seed, which their two folders name; none may lack."""
    found = {}
    for path in map(Path, paths):
        region, seed = path.parts[-3:-1]
        if not seed.isdigit():
            raise InputError(f"{path} is of seed {seed!r}, which is not validated: give numbered seeds only.")
        found[region, int(seed)] = path
    if not found:
        raise InputError("no model to assess: give those of at least one region and seed.")
    regions, seeds = sorted({region for region, _ in found}), sorted({seed for _, seed in found})
    keys = [(region, seed) for region in regions for seed in seeds]
    if missing := next((key for key in keys if key not in found), None):
        name = next(iter(found.values())).name
        raise InputError(f"region {missing[0]} has no {name} of seed {missing[1]}; train it first.")
    return {key: found[key] for key in keys}


def _counted(path: Path, codes: list[int]) -> pd.DataFrame:
    """Count the samples of one model: group, cell, count."""
    table = pyarrow.parquet.read_table(files.verify(path), columns=_PAIR)
    pairs = table.group_by(_PAIR).aggregate([([], "count_all")]).to_pandas()
    reference, predicted = (scores.positions(pairs[name].to_numpy(), codes, str(path)) for name in _PAIR[1:])
    cell = reference * len(codes) + predicted
    return pd.DataFrame({"group": pairs["group"].astype(str), "cell": cell, "count": pairs["count_all"]})


def _read_counts(path: str | Path) -> pd.DataFrame:
    # A region may be called NA: only an empty number would be missing, and there is none.
    return pd.read_csv(files.verify(path), dtype={"region": str}, keep_default_na=False)


def _summary(region: str, counts: scores.GroupCounts, codes: Sequence[int]) -> pd.DataFrame:
    classes, names = zip(*scores.labels(codes), strict=True)
    values = scores.stacked(counts.confusions)
    low, high = scores.interval(counts)
    spread_low, spread_high = scores.spread(values)
    return pd.DataFrame(
        {
            "region": region,
            "class": classes,
            "score": names,
            "mean": scores.mean_of_defined(values),
            "low": low,
            "high": high,
            "runs": (~np.isnan(values)).sum(0),
            "spread_low": spread_low,
            "spread_high": spread_high,
        }
    )


def _samples(models: dict[tuple[str, int], Path], codes: list[int]) -> pd.DataFrame:
    """Counts of `model.json` for every scope, seed and class; 0 for a class that a model does not name."""
    rows = []
    for (region, seed), path in models.items():
        found = {sample["code"]: sample for sample in files.read_json(path)["samples"]}
        scores.positions(np.array([*found], dtype=int), codes, str(path))
        for code in codes:
            numbers = {name: found.get(code, {}).get(name, 0) for name in _NUMBERS}
            rows.append({"region": region, "class": code, "seed": seed, **numbers})
    table = pd.DataFrame(rows)
    parts = []
    for scope, regions in _scopes(sorted({region for region, _ in models})).items():
        chosen = table[table["region"].isin(regions)]
        sums = chosen.groupby(["class", "seed"], sort=False)[_NUMBERS].sum().reset_index()
        parts.append(sums.assign(region=scope))
    return pd.concat(parts, ignore_index=True)


def _areas(sums: pd.DataFrame, region: str, names: list[str], codes: Sequence[int]) -> pd.DataFrame:
    classes = sums[sums["region"].isin(names)].groupby("class")
    table = pd.DataFrame({"pixels": classes["own_pixels"].sum(), "hectares": classes["hectares"].sum()})
    table = table.reindex([0, *codes], fill_value=0)
    mapped = table["hectares"].where(table.index != 0)
    share = scores.ratio(mapped.to_numpy(), np.array(mapped.sum()))
    table = table.assign(share=share).rename_axis("class").reset_index()
    table.insert(0, "region", region)
    return table


def _write(table: pd.DataFrame, path: str | Path) -> None:
    """Write CSV, whole; floats are rounded, so that the last bits of a sum do not show."""
    numbers = table.select_dtypes("float").round(DECIMALS) + 0.0  # -0.0 becomes 0.0
    with files.whole(path) as draft:
        table.assign(**numbers).to_csv(draft, index=False, lineterminator="\n", encoding="utf-8")
