"""A nation after its plan: what Snakemake takes to plan its jobs (a dry run), and to hand them out and take them back.

Tiles × 12 regions × 5 seeds, 70 product folders a tile, all of them empty: no image is read. For the second figure a
cluster is simulated that has 100 places, runs nothing and copies each output from a tiny country (`nothing/`).
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import measure
import yaml
from measure import Figure, Figures

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))

from parcelle import files  # noqa: E402
from parcelle.demo import country  # noqa: E402
from parcelle.grid import Grid  # noqa: E402
from parcelle.planning import Plan  # noqa: E402

STAGE = "a nation of tiles, 12 regions, 5 seeds, 70 products a tile"
PLACES = 100  # jobs at a time
SECONDS, MEMORY = 30, 2048  # bars of a dry run of 1,000 tiles: s, MiB
OF_BARS = 1000


@dataclass(frozen=True)
class Call:
    """What a call of Snakemake took: seconds by the clock, MiB at its peak; and what it said."""

    seconds: float
    memory: float
    said: str

    @property
    def jobs(self) -> dict[str, int]:
        """Jobs by rule, as in the table that Snakemake prints."""
        return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", self.said, re.MULTILINE)}


def settings(tiles: list[str], seeds: int, folder: str = ".") -> dict:
    """Settings of a run on what lies in a folder."""
    return {
        "tiles": tiles,
        "sensors": {"s2": {"format": "sentinel2-theia-l2a", "path": f"{folder}/sentinel2"}},
        "period": {"start": "2018-01-01", "end": "2018-12-31"},
        "reference": {"path": f"{folder}/reference.gpkg", "field": "code"},
        "nomenclature": f"{folder}/nomenclature.csv",
        "seeds": seeds,
    }


def write(folder: Path, tiles: list[str], products: int, regions: int, seeds: int) -> None:
    """Write the settings, the plan and the empty products of a nation."""
    for tile in tiles:
        for i in range(products):
            name = f"SENTINEL2A_2018{1 + i // 28:02d}{1 + i % 28:02d}-104812-123_L2A_T{tile}_C_V1-0"
            (folder / f"sentinel2/{tile}/{name}").mkdir(parents=True)
    (folder / "nomenclature.csv").write_text("code,name,colour\n1,a,#000000\n2,b,#ffffff\n")
    (folder / "reference.gpkg").touch()
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings(tiles, seeds)))
    of_tile = {tile: [f"r{i * regions // len(tiles)}"] for i, tile in enumerate(tiles)}
    grid = Grid("EPSG:32631", 0, 0, 10, 10980, 10980)
    plan = Plan(of_tile, of_tile, dict.fromkeys(tiles, grid))
    for tile in tiles:
        for kind in ("reference", "areas"):
            with files.whole(folder / f"results/{kind}/{tile}.parquet") as draft:
                draft.touch()
    plan.write(str(folder / "results/plan.json"))


def tiny(folder: Path) -> Path:
    """Map a country of one tile, one region and one seed; give its results."""
    made = country.tiny(tiles=1)
    country.write(folder / "country", made)
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings([made.tiles[0].name], 1, "country")))
    snakemake(folder, "--cores", "all")
    return folder / "results"


def snakemake(folder: Path, *words: str | int, **variables: str) -> Call:
    """Run Snakemake there.

    Raises:
        subprocess.CalledProcessError: It failed; what it said is printed.

    """
    command = [sys.executable, "-m", "snakemake", "-s", ROOT / "Snakefile", "--directory", folder]
    command += ["--configfile", folder / "settings.yaml", *words]
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen([str(w) for w in command], stdout=said, stderr=said, env=os.environ | variables)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        said.seek(0)
        text = said.read()
    if code := os.waitstatus_to_exitcode(status):
        print(text)
        raise subprocess.CalledProcessError(code, command)
    return Call(seconds, used.ru_maxrss / 1024, text)


def dry_run(folder: Path, tiles: int) -> Iterator[Figure]:
    """Plan all jobs, and say what that took."""
    call = snakemake(folder, "-n", "--quiet", "rules")
    print("\n".join(f"{rule:<12}{count:>8}" for rule, count in call.jobs.items()), flush=True)
    bars = (SECONDS, MEMORY) if tiles == OF_BARS else (None, None)
    rates = {"jobs": call.jobs["total"]}
    name = f"dry run of {tiles:,} tiles"
    yield Figure(STAGE, name, call.seconds, 1, unit="s", at_most=bars[0], rates=rates)
    yield Figure(STAGE, f"{name}: peak memory", call.memory, 1, unit="MiB", at_most=bars[1])


def handed_out(folder: Path, tiles: int, results: Path) -> Iterator[Figure]:
    """Run all jobs on a cluster that runs nothing; `results` are those of the tiny country."""
    words = ["--executor", "nothing", "--jobs", PLACES, "--seconds-between-status-checks", 1, "--quiet", "rules"]
    paths = os.pathsep.join([str(Path(__file__).parent / "nothing"), os.environ.get("PYTHONPATH", "")])
    call = snakemake(folder, *words, TINY_COUNTRY=str(results), PYTHONPATH=paths)
    total = call.jobs["total"]
    rates = {"jobs": total, "jobs a second": total / call.seconds}
    name = f"all jobs of {tiles:,} tiles, {PLACES} at a time, that take no time"
    yield Figure(STAGE, name, call.seconds, 1, unit="s", rates=rates)
    yield Figure(STAGE, f"{name}: peak memory", call.memory, 1, unit="MiB")


def measured(tiles: int, given: argparse.Namespace, results: Path | None) -> Iterator[Figure]:
    """Measure a nation of so many tiles; its jobs are handed out where there are results to copy."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        write(folder, [f"t{i:05d}" for i in range(tiles)], given.products, given.regions, given.seeds)
        snakemake(folder, "--cores", 1, "--touch", "--until", "plan")
        os.sync()
        yield from dry_run(folder, tiles)
        if results:
            yield from handed_out(folder, tiles, results)


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, nargs="+", default=[100, 1000, 5000], help="sizes of the nation")
    for name, default in (("products", 70), ("regions", 12), ("seeds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--dry", action="store_true", help="only the dry runs")
    parser.add_argument("--most", type=int, default=1000, help="largest nation whose jobs are handed out")
    parser.add_argument("--output", type=Path, default=measure.FIGURES, help="JSON file of the figures")
    given = parser.parse_args()
    figures = Figures(given.output)
    with tempfile.TemporaryDirectory() as text:
        results = None if given.dry else tiny(Path(text))
        for tiles in given.tiles:
            figures.add(*measured(tiles, given, results if tiles <= given.most else None))
    figures.write()


if __name__ == "__main__":
    main()
