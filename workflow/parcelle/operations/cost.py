"""What a run costs, before it runs: ``python -m parcelle.operations.cost --configfile …``.

Jobs, core-hours, memory and disk of each rule, of a run from its beginning. The plan is made first where it is missing
or out of date. A tile without an inventory is taken for what the names of its products say, and named.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from parcelle import features, listing, models_size, needs, reference, samples, vectors
from parcelle.errors import in_one_sentence
from parcelle.needs import Need, Work
from parcelle.operations import commands, previews
from parcelle.operations.commands import Run
from parcelle.operations.facts import Facts
from parcelle.samples import Size
from parcelle.settings_models import OwnModel

Wildcards = Mapping[str, str]

HEADER = f"{'rule':<12}{'jobs':>7}{'core-hours':>12}{'memory':>11}{'disk':>11}{'drafts':>11}"


@dataclass(frozen=True)
class Row:
    """What the jobs of a rule need.

    Attributes:
        rule: Its name; `all` for all of them.
        jobs: Their number.
        core_hours: Of all together.
        memory_mb: Of the largest, MiB: that of its script.
        disk_mb: What all of them leave behind, MiB.
        drafts_mb: What the largest has beside that while it runs, MiB.

    """

    rule: str
    jobs: int
    core_hours: float
    memory_mb: float
    disk_mb: float
    drafts_mb: float

    @classmethod
    def of(cls, rule: str, found: Sequence[Need]) -> "Row":
        """Add up what jobs need."""
        return cls(
            rule,
            len(found),
            sum(need.core_seconds for need in found) / 3600,
            max(need.memory_mb for need in found),
            sum(need.disk_mb for need in found),
            max(need.drafts_mb for need in found),
        )


def rows(facts: Facts) -> list[Row]:
    """What each rule needs in a run from its beginning, and all of them."""
    found: dict[str, list[Need]] = {}
    for rule, wildcards in jobs_of(facts):
        found.setdefault(rule, []).append(of_job(rule, wildcards, facts))
    every = [need for of_rule in found.values() for need in of_rule]
    return [*(Row.of(rule, of_rule) for rule, of_rule in found.items()), Row.of("all", every)]


def table(facts: Facts) -> list[str]:
    """Lines for a person."""
    return [HEADER, *map(_line, rows(facts)), "", *remarks(facts)]


def _line(row: Row) -> str:
    sizes = "".join(f"{size(one):>11}" for one in (row.memory_mb, row.disk_mb, row.drafts_mb))
    return f"{row.rule:<12}{row.jobs:>7}{hours(row.core_hours):>12}{sizes}"


def hours(number: float) -> str:
    """A number of core-hours with three digits that mean something; whole from 100 on."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def size(mebibytes: float) -> str:
    """An amount of memory or disk in the unit that gives it few digits."""
    for unit in ("MiB", "GiB"):
        if mebibytes < 1000:
            return f"{mebibytes:.3g} {unit}"
        mebibytes /= 1024
    return f"{mebibytes:.3g} TiB"


def remarks(facts: Facts) -> list[str]:
    """What the table means, and what its figures rest upon."""
    highest = max(_high_water(tile, facts) for tile in facts.plan.tiles)
    said = [
        "memory: of the script of the largest job; drafts: what the largest job has on disk beside what it leaves.",
        f"While a tile is mapped, it takes up to {size(highest)} of disk.",
    ]
    if facts.guessed:
        named = vectors.listed(facts.guessed, 3)
        said += [
            f"{len(facts.guessed)} of {len(facts.tiles)} tiles have no inventory yet ({named}): they are taken for "
            "what the names of their products say.",
            "Exact figures follow from: snakemake --until inventory",
        ]
    if isinstance(facts.settings.model, OwnModel):
        said.append(
            f"Nothing is known of the speed of {facts.settings.model.name}: it counts as a forest of 100 trees."
        )
    return said


def _high_water(tile: str, facts: Facts) -> float:
    """Disk that a tile takes while it is mapped: its samples, its maps and their drafts, MiB."""
    kept = of_job("sample", {"tile": tile}, facts).disk_mb if tile in facts.extents else 0
    mapped = of_job("classify", {"tile": tile}, facts)
    return kept + mapped.disk_mb + mapped.drafts_mb


def of_job(rule: str, wildcards: Wildcards, facts: Facts) -> Need:
    """What a job needs.

    Args:
        rule: Name of its rule.
        wildcards: Its tile, region, seed or product.
        facts: What is known of the run.

    Raises:
        KeyError: There is no such rule, tile or region.

    """
    return work_of(rule, wildcards, facts).need()


def work_of(rule: str, wildcards: Wildcards, facts: Facts) -> Work:
    """What a job does, counted."""
    return _WORK[rule](facts, **wildcards)


def _plan(facts: Facts) -> Work:
    return needs.plan(facts.vectors_mb, len(facts.plan.tiles))


def _inventory(facts: Facts, tile: str) -> Work:
    return needs.inventory(facts.acquisitions([tile]), listing.read_mb(facts.settings, tile))


def _sample(facts: Facts, tile: str) -> Work:
    extent = reference.extent(facts.extents[tile].values())
    return needs.sample(facts.tiles[tile], extent, facts.sources, facts.settings, facts.of("sample"))


def _split(facts: Facts, region: str, seed: str) -> Work:
    # The files of the region's tiles are read whole.
    tiles = facts.plan.tiles_of(region)
    return needs.split(sum(reference.extent(facts.extents[tile].values()).polygons for tile in tiles))


def _train(facts: Facts, region: str, seed: str) -> Work:
    return needs.train(_samples(facts, region), len(facts.codes), facts.settings, seed, facts.of("train"))


def _samples(facts: Facts, region: str) -> Size:
    """Samples of a region: those that are there; until then, as many as pixels in its polygons."""
    paths = [f"{facts.settings.results}/samples/{tile}.parquet" for tile in facts.plan.tiles_of(region)]
    if all(Path(path).is_file() for path in paths):
        return samples.total(paths, region)
    itemsize = np.dtype(features.dtype_of(facts.sources)).itemsize
    return Size(int(needs.rows(facts.region(region), facts.settings)), len(features.names(facts.sources)), itemsize)


def _classify(facts: Facts, tile: str) -> Work:
    seeds, classes = models_size.map_seeds(facts.settings), len(facts.codes)
    rows = [_samples(facts, region).rows for region in facts.plan.regions[tile]]
    learnt = [models_size.learning(n, classes, facts.settings, seeds[0]) for n in rows]
    models = models_size.models(learnt, classes, facts.settings)
    return needs.classify(
        facts.tiles[tile], models, facts.sources, facts.settings, facts.codes, facts.of("classify"), facts.shares[tile]
    )


def _feature_map(facts: Facts, tile: str) -> Work:
    return needs.feature_map(
        facts.tiles[tile], facts.sources, facts.chosen, facts.settings, facts.of("feature_map"), facts.shares[tile]
    )


def _mosaic(facts: Facts, product: str) -> Work:
    grid = facts.settings.mosaic
    # Of tiles that are not mapped as a whole, what is mapped counts.
    share = sum(facts.shares.values()) / len(facts.shares)
    pixels, warped = share * facts.plan.mosaic_pixels(grid.resolution), facts.plan.warped(grid.crs)
    return needs.mosaic_of(product, pixels, facts.settings, facts.codes, facts.of("mosaic"), warped)


def _assess(facts: Facts) -> Work:
    regions, seeds = facts.plan.all_regions(), facts.settings.seeds
    tried = sum(_samples(facts, region).rows for region in regions) * seeds * (1 - facts.settings.split.ratio)
    return needs.assess(tried, len(regions) * seeds, len(facts.codes), len(facts.plan.tiles))


def _report(facts: Facts) -> Work:
    pixels = facts.plan.mosaic_pixels(facts.settings.mosaic.resolution)
    return needs.report(len(facts.plan.tiles), _listed_mb(facts), pixels)


def _listed_mb(facts: Facts) -> float:
    """Size of the lists of acquisitions of all tiles, MiB."""
    return sum(_inventory(facts, tile).need().disk_mb for tile in facts.plan.tiles)


def _provenance(facts: Facts) -> Work:
    plan, products = facts.plan, len(facts.settings.map.products)
    published = (
        3 * products + len(plan.tiles) * (products + 3) + 3 * len(plan.all_regions()) * (facts.settings.seeds + 1)
    )
    return needs.provenance(len(plan.tiles), _listed_mb(facts), published)


_WORK: Mapping[str, Callable[..., Work]] = {
    "plan": _plan,
    "inventory": _inventory,
    "sample": _sample,
    "split": _split,
    "train": _train,
    "classify": _classify,
    "feature_map": _feature_map,
    "mosaic": _mosaic,
    "assess": _assess,
    "report": _report,
    "provenance": _provenance,
}


# Rules in the order in which they follow from each other.
RULES = tuple(_WORK)


def jobs_of(facts: Facts) -> list[tuple[str, Wildcards]]:
    """All jobs of a run from its beginning: rule and wildcards."""
    plan, settings = facts.plan, facts.settings
    tiles = [{"tile": tile} for tile in plan.tiles]
    found: list[tuple[str, Wildcards]] = [("plan", {}), *(("inventory", tile) for tile in tiles)]
    if not settings.map.freeze:
        found += _learning(facts)
    found += [("classify", tile) for tile in tiles]
    found += [("mosaic", {"product": product}) for product in settings.map.products]
    return [*found, *([] if settings.map.freeze else [("assess", {}), ("report", {})]), ("provenance", {})]


def _learning(facts: Facts) -> list[tuple[str, Wildcards]]:
    """Jobs that lead to the models."""
    regions, seeds = facts.plan.all_regions(), [str(seed) for seed in range(facts.settings.seeds)]
    trained = dict.fromkeys([*seeds, *models_size.map_seeds(facts.settings)])
    return [
        *(("sample", {"tile": tile}) for tile in facts.plan.sampled_tiles()),
        *(("split", {"region": region, "seed": seed}) for region in regions for seed in seeds),
        *(("train", {"region": region, "seed": seed}) for region in regions for seed in trained),
    ]


@in_one_sentence
def main(words: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m parcelle.operations.cost", description="Say what a run costs, before it runs."
    )
    commands.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="write the table as JSON")
    arguments = parser.parse_args(words)
    run = Run.of(arguments)
    previews.with_plan(run)
    with run.inside():
        facts = Facts.read(run.settings(), run.threads)
        found = {"rules": [asdict(row) for row in rows(facts)], "guessed": list(facts.guessed)}
        print(json.dumps(found, indent=1) if arguments.json else "\n".join(table(facts)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
