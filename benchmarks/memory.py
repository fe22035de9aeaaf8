"""Peak memory of `classify` against its formula, for several windows and threads: prints a Markdown table.

One tile of 1,100 × 1,100 pixels, 40 dates × 10 bands in the Theia layout, one region, a forest of 100 trees.
"""

import datetime
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import rasterio
import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))

from parcelle import features, mapping, settings  # noqa: E402
from parcelle.sensors.theia import Sentinel2L2A  # noqa: E402

SIZE, DATES, TILE = 1100, 40, "31TAA"
CASES = [(128, 1), (128, 2), (512, 1), (512, 2)]


def write_tile(folder: Path) -> None:
    """Write the products: a pattern of two classes, no clouds."""
    rows, columns = np.mgrid[:SIZE, :SIZE] // 100
    pattern = (rows + columns) % 2
    for i in range(DATES):
        day = datetime.date(2018, 1, 1) + datetime.timedelta(days=9 * i)
        name = f"SENTINEL2A_{day:%Y%m%d}-104812-123_L2A_T{TILE}_C_V1-0"
        product = folder / f"sentinel2/{TILE}/{name}"
        (product / "MASKS").mkdir(parents=True)
        noise = np.random.default_rng(i).integers(0, 64, (SIZE, SIZE), np.int16)
        for band in Sentinel2L2A.bands:
            step = int(band.gsd // 10)
            pixels = (1000 + 1500 * pattern + noise).astype("int16")[::step, ::step]
            write(product / f"{name}_FRE_{band.name.upper()}.tif", pixels, band.gsd)
        for mask in ("CLM", "EDG", "SAT"):
            write(product / f"MASKS/{name}_{mask}_R1.tif", np.zeros((SIZE, SIZE), "uint8"), 10)


def write(path: Path, pixels: np.ndarray, gsd: float) -> None:
    """Write one band."""
    profile = dict(driver="GTiff", count=1, dtype=pixels.dtype, crs="EPSG:32631", compress="DEFLATE", zlevel=1)
    profile |= dict(tiled=True, blockxsize=512, blockysize=512, height=pixels.shape[0], width=pixels.shape[1])
    with rasterio.open(path, "w", transform=rasterio.Affine(gsd, 0, 5e5, 0, -gsd, 5e6), **profile) as image:
        image.write(pixels, 1)


def write_reference(folder: Path) -> None:
    """Write one polygon in each of some squares, and the classes."""
    import geopandas as gpd
    import shapely

    squares = [(r, c) for r in range(11) for c in range(11) if (r + c) % 3 == 0]
    corners = [(5e5 + 1000 * c, 5e6 - 1000 * r) for r, c in squares]
    boxes = [shapely.box(x + 300, y - 700, x + 700, y - 300) for x, y in corners]
    frame = gpd.GeoDataFrame({"code": [1 + (r + c) % 2 for r, c in squares]}, geometry=boxes, crs="EPSG:32631")
    frame.to_file(folder / "reference.gpkg")
    (folder / "nomenclature.csv").write_text("code,name,colour\n1,a,#000000\n2,b,#ffffff\n")


def snakemake(folder: Path, content: dict, *words: str) -> None:
    """Run the workflow there with some settings."""
    (folder / "settings.yaml").write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "snakemake", "-s", ROOT / "Snakefile", "--directory", folder, "--quiet", "all"]
    subprocess.run([str(w) for w in [*command, "--configfile", folder / "settings.yaml", *words]], check=True)


def peak_mb(folder: Path, content: dict, threads: int) -> float:
    """Peak memory of one `classify` job as a process of its own."""
    code = f"""
import json, resource, sys
sys.path[:0] = [{str(ROOT / "workflow")!r}, {str(ROOT / "scripts")!r}]
from classify import classify
from parcelle import features, mapping, settings
content = json.loads({json.dumps(json.dumps(content))})
checked = settings.read(content)
outputs = {{p: f"out/{{p}}.tif" for p in checked.map.products}}
outputs |= {{"counts": "out/counts.csv", "clear_shares": "out/clear.csv"}}
inputs = "acquisitions/{TILE}.json", "areas/{TILE}.parquet", "plan.json", "model"
classify(*(f"results/{{name}}" for name in inputs), outputs,
    recipes=[r.to_dict() for r in features.recipes(checked)], seeds=["all"], window=checked.window.size,
    options=mapping.Options((1, 2), tuple(checked.map.products), 1), threads={threads}, tags={{}})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def models_mb(folder: Path) -> float:
    """Memory of the nodes and leaves of the forest."""
    with np.load(folder / "results/model/whole/all/forest.npz") as arrays:
        return int(arrays["counts"].sum()) * (64 + 8 * len(arrays["classes"])) / 2**20


def main() -> None:
    """Measure all cases."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        write_tile(folder)
        write_reference(folder)
        content = {
            "tiles": [TILE],
            "sensors": {"s2": {"format": "sentinel2-theia-l2a", "path": "sentinel2"}},
            "period": {"start": "2018-01-01", "end": "2018-12-31"},
            "reference": {"path": "reference.gpkg", "field": "code"},
            "nomenclature": "nomenclature.csv",
            "seeds": 1,
        }
        snakemake(folder, content, "--cores", "2")
        size = json.loads((folder / f"results/acquisitions/{TILE}.size.json").read_text())["sensors"]
        print("| window | threads | formula MiB | measured MiB | measured ÷ formula |\n|---|---|---|---|---|")
        for window, threads in CASES:
            changed = content | {"window": {"size": window}}
            checked = settings.read(changed)
            options = mapping.Options((1, 2), tuple(checked.map.products), 1)
            formula = mapping.memory_mb(size, features.recipes(checked), options, window, threads, models_mb(folder))
            measured = peak_mb(folder, changed, threads)
            print(f"| {window} | {threads} | {formula:.0f} | {measured:.0f} | {measured / formula:.2f} |", flush=True)


if __name__ == "__main__":
    main()
