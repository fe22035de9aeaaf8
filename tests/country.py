"""A tiny country, mapped once, and what a run of the workflow on it did: for the tests of the workflow."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import shapely
import yaml

from parcelle.demo import country
from parcelle.operations import what_if
from parcelle.operations.commands import Run

ROOT = Path(__file__).parents[1]

# The border lies below the third tile and above the second one: each of these has one region, the first has both.
BORDER = 5_095_060


def three_tiles() -> country.Country:
    """Two overlapping tiles in one UTM zone, and one north of the border in the next zone."""
    made = country.tiny(tiles=3)
    last = made.tiles[2]
    return replace(made, tiles=(*made.tiles[:2], replace(last, grid=replace(last.grid, top=last.grid.top + 420))))


def write_regions(path: Path, border: float = BORDER) -> None:
    """Write two regions, north and south of an easting in the first tiles' zone."""
    boxes = [shapely.box(731_000, border, 734_000, 5_097_000), shapely.box(731_000, 5_093_000, 734_000, border)]
    gpd.GeoDataFrame({"region": ["north", "south"]}, geometry=boxes, crs="EPSG:32631").to_file(path)


SETTINGS = {
    "results": "results",
    "tiles": ["31TGM", "31TGL", "32TKR"],
    "sensors": {"s2": {"format": "sentinel2-theia-l2a", "path": "country/sentinel2"}},
    "period": {"start": "2018-01-01", "end": "2018-12-31", "step": 40},
    "reference": {"path": "country/reference.gpkg", "field": "code"},
    "nomenclature": "country/nomenclature.csv",
    "regions": {"path": "country/regions.gpkg", "field": "region"},
    "seeds": 2,
    "model": {"name": "forest", "trees": 10},
    "mosaic": {"crs": "EPSG:32631"},
}


def write(folder: Path, **settings) -> Path:
    """Write the country and its settings under `folder`."""
    country.write(folder / "country", three_tiles())
    write_regions(folder / "country/regions.gpkg")
    configure(folder, **settings)
    return folder


def configure(folder: Path, **changes) -> None:
    """Write the settings anew, with some changed."""
    (folder / "settings.yaml").write_text(yaml.safe_dump(SETTINGS | changes, sort_keys=False))


def snakemake(folder: Path, *words: str | Path, root: Path = ROOT, cores: int = 2) -> subprocess.CompletedProcess[str]:
    """Run the workflow in `folder` on its settings."""
    command = [sys.executable, "-m", "snakemake", "-s", root / "Snakefile", "--directory", folder]
    command += ["--configfile", folder / "settings.yaml", "--cores", str(cores), *words]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True)


def run(folder: Path, *words: str | Path, **options) -> list[str]:
    """Run the workflow, which must succeed; give the jobs that ran, such as `train/plain/0`, sorted."""
    done = snakemake(folder, *words, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return jobs(done.stdout + done.stderr)


def ask(folder: Path) -> what_if.Answer:
    """What a run would make; the plan is made on the way if it is not up to date."""
    return what_if.ask(Run(configfile=folder / "settings.yaml", directory=folder, cores="2"))


def rerun(folder: Path) -> list[str]:
    """Ask what would run, run it, and give the jobs that ran, sorted, `plan` among them if the question made it.

    What runs is what was said before.
    """
    answer = ask(folder)
    ran = run(folder)
    assert ran == sorted(job.name for job in answer.jobs)
    return sorted([*ran, "plan"]) if answer.planned else ran


def jobs(output: str) -> list[str]:
    """Jobs that Snakemake says it ran, without `all`: rule and values of its wildcards."""
    found = []
    for block in re.split(r"\n(?=\[\w{3} \w{3} )", output):
        if match := re.search(r"^(?:local)?(?:rule|checkpoint) (\w+):$", block, re.MULTILINE):
            wildcards = re.search(r"^    wildcards: (.*)$", block, re.MULTILINE)
            values = [pair.split("=")[1] for pair in wildcards[1].split(", ")] if wildcards else []
            found.append("/".join([match[1], *values]))
    return sorted(set(found) - {"all"})


def shared(base: Path, name: str, make: Callable[[Path], object]) -> Path:
    """Give a folder that is made once for all processes that run tests: the others wait for the first one.

    Args:
        base: Folder of this process, from pytest.
        name: Name of the folder.
        make: Makes what is in it.

    """
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not Path(f"{folder}.made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            Path(f"{folder}.made").touch()
    return folder


def copy(source: Path, target: Path) -> Path:
    """Copy a mapped country, file times included, so that Snakemake takes it for the same."""
    return shutil.copytree(source, target)
