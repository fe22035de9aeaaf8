"""Dry run of a nation after its plan: time and memory of Snakemake, with empty product folders.

1,000 tiles × 12 regions × 5 seeds, 70 product folders a tile. No image is read.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))

from parcelle import files  # noqa: E402
from parcelle.grid import Grid  # noqa: E402
from parcelle.planning import Plan  # noqa: E402


def write(folder: Path, tiles: list[str], products: int, regions: int, seeds: int) -> None:
    """Write the settings, the plan and the empty products."""
    for tile in tiles:
        for i in range(products):
            name = f"SENTINEL2A_2018{1 + i // 28:02d}{1 + i % 28:02d}-104812-123_L2A_T{tile}_C_V1-0"
            (folder / f"sentinel2/{tile}/{name}").mkdir(parents=True)
    (folder / "nomenclature.csv").write_text("code,name,colour\n1,a,#000000\n2,b,#ffffff\n")
    (folder / "reference.gpkg").touch()
    settings = {
        "tiles": tiles,
        "sensors": {"s2": {"format": "sentinel2-theia-l2a", "path": "sentinel2"}},
        "period": {"start": "2018-01-01", "end": "2018-12-31"},
        "reference": {"path": "reference.gpkg", "field": "code"},
        "nomenclature": "nomenclature.csv",
        "seeds": seeds,
    }
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
    of_tile = {tile: [f"r{i * regions // len(tiles)}"] for i, tile in enumerate(tiles)}
    grid = Grid("EPSG:32631", 0, 0, 10, 10980, 10980)
    plan = Plan(dict.fromkeys(tiles, grid), of_tile, of_tile)
    for tile in tiles:
        for kind in ("reference", "areas"):
            with files.whole(folder / f"results/{kind}/{tile}.parquet") as draft:
                draft.touch()
    plan.write(str(folder / "results/plan.json"))


def snakemake(folder: Path, *words: str) -> str:
    """Run Snakemake there; give what it prints."""
    command = [sys.executable, "-m", "snakemake", "-s", ROOT / "Snakefile", "--directory", folder]
    command += ["--configfile", folder / "settings.yaml", *words]
    return subprocess.run([str(w) for w in command], check=True, capture_output=True, text=True).stdout


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("tiles", 1000), ("products", 70), ("regions", 12), ("seeds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        tiles = [f"t{i:05d}" for i in range(given.tiles)]
        write(folder, tiles, given.products, given.regions, given.seeds)
        snakemake(folder, "--cores", "1", "--touch", "--until", "plan")
        os.sync()
        start = time.perf_counter()
        said = snakemake(folder, "-n", "--quiet", "rules")
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print("\n".join(line for line in said.splitlines() if line.split()[-1:] and line.split()[-1].isdigit()))
    print(f"dry run: {seconds:.1f} s, {peak:.0f} MiB")


if __name__ == "__main__":
    main()
