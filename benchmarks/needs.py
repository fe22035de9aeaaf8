"""Fit what jobs need: maps three countries, compares each job with its formula, and says how far forecasts are off.

The country of the tests, that of `make demo`, and a larger tile whose images are all read by its inventory. With
`--write`, the constants go to `workflow/parcelle/needs.json`. They are those of the machine that measures: nothing else
should run on it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.optimize
import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import country  # noqa: E402

from parcelle import needs, resources, settings  # noqa: E402
from parcelle.demo import country as demo  # noqa: E402
from parcelle.needs import Work  # noqa: E402
from parcelle.operations import cost, efficiency, jobs  # noqa: E402
from parcelle.operations.facts import Facts  # noqa: E402

# Side of the larger tile in pixels, every which date of the demo's it has, and the share of its fields with a class.
SIDE, EVERY, DECLARED = 1200, 2, 0.03

# What these countries are too small for: core-seconds and MiB of each amount, measured at size. Decoding JPEG 2000:
# strips in that format against tiled ones (`make bench-full`). Values, visits and pixels of mapping: fitted to these
# countries, to `make bench-strip` and to what its cost follows (`make bench`); amounts of small countries grow side by
# side, and a tile of real size would be foretold half its time. Values of sampling: time by blocks (`make bench`).
# Polygons: 20,000 and 100,000 of 30 vertices on nine tiles. Predictions: 4 million. Growing trees: twice as much where
# a label in ten is wrong (200,000 samples) as in these countries; between the two.
AT_SIZE = {
    ("seconds", "sample"): {"jpeg2000": 9e-8, "values": 8.3e-9},
    ("seconds", "classify"): {"jpeg2000": 9e-8, "values": 1.9e-8, "visits": 2.2e-9, "pixels": 6.8e-7},
    ("seconds", "feature_map"): {"jpeg2000": 9e-8, "values": 1.9e-8},
    ("seconds", "plan"): {"vectors": 0.08, "tiles": 0.05},
    ("memory_mb", "plan"): {"vectors": 5, "tiles": 0},
    ("seconds", "split"): {"polygons": 5.5e-6},
    ("memory_mb", "split"): {"polygons": 0.0011},
    ("memory_mb", "assess"): {"tried": 8e-5},
    ("seconds", "train"): {"grown": 2.6e-8},
    ("memory_mb", "report"): {"listed": 0.05},
    ("memory_mb", "provenance"): {"listed": 2},
}

KINDS = {"seconds": "core_seconds", "memory_mb": "memory_mb", "disk_mb": "disk_mb"}


@dataclass(frozen=True)
class Seen:
    """A job that ran: what it did, what it took of each kind, what it asked for; 0 is the smallest country."""

    work: Work
    took: dict[str, float]
    asked_mb: int
    country: int


def tests(folder: Path) -> None:
    """Write the country of the tests."""
    country.write(folder, map={"features": ["s2.ndvi.*"]})


def demos(folder: Path) -> None:
    """Write the country of `make demo`."""
    demo.write(folder / "demo")
    _configure(folder, map={"features": ["s2.ndvi.*"]})


def large(folder: Path) -> None:
    """Write one large tile, with more products."""
    given = demo.DEFAULT
    tile = replace(given.tiles[0], grid=replace(given.tiles[0].grid, height=SIDE, width=SIDE))
    demo.write(folder / "demo", replace(given, tiles=(tile,), dates=given.dates[::EVERY], declared=DECLARED))
    products = ["class", "confidence", "validity", "probability"]
    _configure(
        folder,
        tiles=[given.tiles[0].name],
        seeds=2,
        check="full",
        map={"features": ["s2.ndvi.*"], "products": products},
    )


def _configure(folder: Path, **changes: object) -> None:
    example = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    (folder / "settings.yaml").write_text(yaml.safe_dump(example | changes, sort_keys=False))


def mapped(folder: Path, write: object) -> Path:
    """Write a country and map it, one job at a time; one that is mapped already stays as it is."""
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        write(folder)  # type: ignore[operator]
        words = ["-s", ROOT / "Snakefile", "--directory", folder, "--configfile", folder / "settings.yaml"]
        command = [sys.executable, "-m", "snakemake", *words, "--cores", "2", "--resources", "alone=1"]
        command += ["--default-resources", "alone=1", "--quiet", "all", "--", "all", "features"]
        subprocess.run([str(word) for word in command], check=True)
        (folder / "done").touch()
    return folder


def seen(folder: Path, number: int) -> Iterator[Seen]:
    """Jobs that ran in a folder."""
    os.chdir(folder)
    given = settings.read(yaml.safe_load(Path("settings.yaml").read_text()))
    facts = Facts.read(given)
    for record in jobs.read(given.results):
        if record.state == "done" and record.rule in needs.constants()["seconds"]:
            written = efficiency.written_mb(given.results, record)
            took = {"seconds": record.cpu_seconds, "memory_mb": record.peak_mb, "disk_mb": written}
            yield Seen(cost.work_of(record.rule, record.wildcards, facts), took, record.asked_mb, number)


def fitted(kind: str, found: Sequence[Seen]) -> dict[str, float]:
    """Constants of a rule, none of them negative, that make relative errors least."""
    given = AT_SIZE.get((kind, found[0].work.rule), {})
    amounts = [{"job": 1.0} | one.work.by_kind()[kind] for one in found]
    fixed = np.array([one.work.memory_mb if kind == "memory_mb" else 0.0 for one in found])
    fixed = fixed + [sum(one.get(name, 0) * value for name, value in given.items()) for one in amounts]
    took = np.array([one.took[kind] for one in found])
    names = [name for name in dict.fromkeys(name for one in amounts for name in one) if name not in given]
    matrix = np.array([[one.get(name, 0.0) for name in names] for one in amounts])
    # Each country counts as much as any other, however many jobs it has.
    weight = np.array([1 / sum(other.country == one.country for other in found) ** 0.5 for one in found]) / took
    # Amounts have sizes of many orders.
    scale = np.maximum(np.abs(matrix).max(axis=0), 1e-30)
    best, _ = scipy.optimize.nnls(matrix / scale * weight[:, None], (took - fixed) * weight)
    measured = {name: float(f"{value:.3g}") for name, value in zip(names, best / scale, strict=True)}
    return {name: value for name, value in (measured | given).items() if value > 0}


def constants(found: Sequence[Seen]) -> dict[str, dict[str, dict[str, float]]]:
    """All constants."""
    rules = list(dict.fromkeys(one.work.rule for one in found))
    of = {rule: [one for one in found if one.work.rule == rule] for rule in rules}
    return {kind: {rule: fitted(kind, of[rule]) for rule in rules} for kind in KINDS}


def table(found: Sequence[Seen]) -> Iterator[str]:
    """Foretold ÷ taken of each rule in each country, and memory asked for ÷ taken, from the least to the largest."""
    yield f"{'rule':<12} country  core-hours       memory       disk         asked ÷ taken"
    for rule in dict.fromkeys(one.work.rule for one in found):
        for number in sorted({one.country for one in found}):
            some = [one for one in found if one.work.rule == rule and one.country == number]
            if some:
                asked = [resources.asked_mb(o.work.need()) / (o.took["memory_mb"] + resources.JOB_MB) for o in some]
                yield f"{rule:<12} {number:>7}  " + "  ".join([*_ratios(some), f"{min(asked):.2f}–{max(asked):.2f}"])


def _ratios(some: Sequence[Seen]) -> Iterator[str]:
    """Sums for time and disk, the largest for memory."""
    foretold = [one.work.need() for one in some]
    for kind, name in KINDS.items():
        add = max if kind == "memory_mb" else sum
        took, told = add(one.took[kind] for one in some), add(getattr(need, name) for need in foretold)
        yield f"{took:>6.4g} × {told / took:.2f}"


def main() -> None:
    """Measure, fit, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where the countries are, or go; a temporary one if not given")
    parser.add_argument("--write", action="store_true", help="write the constants to needs.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        base = (given.folder or Path(text)).absolute()
        mapped(base / "warm", tests)  # compiles the loops
        folders = [mapped(base / write.__name__, write) for write in (tests, demos, large)]
        found = [one for number, folder in enumerate(folders) for one in seen(folder, number)]
    made = constants(found)
    if given.write:
        needs.CONSTANTS.write_text(json.dumps(made, indent=1) + "\n")
    else:
        print(json.dumps(made, indent=1))
    needs.constants.cache_clear()
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
