"""Accuracy on the Flanders 2018 example, by split, regions and sensors: prints a Markdown table."""

import copy
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
import yaml

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "config/examples/flanders-2018.yaml"

BLOCK = {"by": "block", "block": 80, "ratio": 0.67}
FIELD = {"by": "field", "field": "field_id", "ratio": 0.67}
REGIONS = {"path": "$PARCELLE_DATA/flanders-2018/regions.gpkg", "field": "region"}
COLLECTIONS = {"s1": "sentinel-1-grd", "s2": "sentinel-2-l2a", "l8": "landsat-8-sr"}

VARIANTS = {
    "S2, by 80 m block": {"split": BLOCK},
    "S2, by field": {"split": FIELD},
    "S2, by 80 m block, two regions": {"split": BLOCK, "regions": REGIONS},
    "S2, by field, two regions": {"split": FIELD, "regions": REGIONS},
    "S1, by 80 m block": {"split": BLOCK, "sensors": ["s1"]},
    "L8, by 80 m block": {"split": BLOCK, "sensors": ["l8"]},
    "S1 + S2, by 80 m block": {"split": BLOCK, "sensors": ["s1", "s2"]},
    "S1 + S2 + L8, by 80 m block": {"split": BLOCK, "sensors": ["s1", "s2", "l8"]},
    "S1 + S2 + L8, by field": {"split": FIELD, "sensors": ["s1", "s2", "l8"]},
}


def settings(change: dict, results: Path) -> dict:
    """Settings of the example with some changed; `sensors` is a list of names."""
    made = copy.deepcopy(yaml.safe_load(EXAMPLE.read_text())) | change | {"results": str(results)}
    if "sensors" in change:
        path = "$PARCELLE_DATA/flanders-2018/{tile}/items.json"
        made["sensors"] = {
            name: {"format": "stac", "collection": COLLECTIONS[name], "path": path} for name in change["sensors"]
        }
    return made


def measure(change: dict, folder: Path) -> dict[str, str]:
    """Run one variant; give its overall accuracy with both intervals, and the classes it could not validate."""
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(settings(change, folder / "results")))
    command = [sys.executable, "-m", "snakemake", "--configfile", str(path), "--cores", "all", "--quiet", "all"]
    subprocess.run(command, cwd=ROOT, check=True)
    summary = pd.read_csv(folder / "results/assessment/summary.csv", dtype={"class": str})
    overall = summary[(summary.region == "all") & (summary.score == "oa")].iloc[0]
    classes = pd.read_csv(folder / "results/assessment/classes.csv", dtype={"class": str})
    missing = classes[(classes.region == "all") & (classes.validated == "no")]["class"]
    return {
        "OA": f"{overall['mean']:.3f}",
        "bootstrap interval": f"{overall.low:.3f}–{overall.high:.3f}",
        "spread over seeds": f"{overall.spread_low:.3f}–{overall.spread_high:.3f}",
        "never validated": ", ".join(missing) or "–",
    }


def main() -> None:
    """Measure all variants."""
    print("| variant | OA | bootstrap interval | spread over seeds | never validated |\n|---|---|---|---|---|")
    for name, change in VARIANTS.items():
        with tempfile.TemporaryDirectory() as folder:
            print(f"| {name} | {' | '.join(measure(change, Path(folder)).values())} |", flush=True)


if __name__ == "__main__":
    main()
