"""Class and confidence of one prepared raster of 468 float32 bands, whole processes: Parcelle's forest against OTB.

Each side starts, loads its model, reads, classifies and writes.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import forest
import measure
import numpy as np
import otb
import rasterio
import scene
from measure import Figure, Figures

STAGE = "prepared raster of 468 bands, whole process"
OWN = Path(__file__).with_name("apply_raster.py")
SIDE, SAMPLES = 512, 40_000
REPEATS = 3
BARS = {2: 4.0}  # by threads


def write(path: Path, planes: np.ndarray) -> None:
    """Write features ``(feature, pixel)`` of a square image as float32, band by band: as OTB reads it fastest."""
    side = round(planes.shape[1] ** 0.5)
    profile = dict(driver="GTiff", dtype="float32", count=len(planes), height=side, width=side, interleave="band")
    transform = rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000)
    with rasterio.open(path, "w", crs="EPSG:32631", transform=transform, BIGTIFF="IF_SAFER", **profile) as image:
        image.write(planes.reshape(-1, side, side).astype(np.float32))


def compare(figures: Figures, threads: Sequence[int]) -> None:
    """Measure both on the same raster, each with its own forest of the same samples."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        write(folder / "features.tif", scene.image(SIDE))
        forest.packed(forest.fitted(SAMPLES)).save(folder)
        theirs = otb.trained(SAMPLES)
        for count in threads:
            with measure.pinned(count):
                figures.add(_race(folder, theirs, count))
        figures.add(*_agreement(folder))


def _race(folder: Path, theirs: Path, threads: int) -> Figure:
    """Measure both on so many threads; `theirs` is OTB's model."""
    raster = folder / "features.tif"
    own = [sys.executable, str(OWN), str(raster), str(folder), str(folder), str(threads)]
    tasks: dict[str, Callable] = {
        "Parcelle": lambda: subprocess.run(own, check=True),
        "OTB": lambda: otb.classify(raster, theirs, folder, threads),
    }
    seconds = measure.alternate(tasks, REPEATS)
    rates = {name: SIDE**2 / taken / 1000 for name, taken in seconds.items()}
    ratio, bar = rates["Parcelle"] / rates["OTB"], BARS.get(threads)
    what = "class and confidence, against OTB's ImageClassifier"
    return Figure(STAGE, what, ratio, threads, at_least=bar, rates=rates, rate_unit="kpx/s")


def _agreement(folder: Path) -> Iterator[Figure]:
    """Share of pixels that each side maps as the fields are, and where both agree."""
    truth = scene.classes(SIDE)
    maps = {}
    for name in ("parcelle", "otb"):
        with rasterio.open(folder / f"{name}-class.tif") as image:
            maps[name] = image.read(1)
    yield Figure(STAGE, "pixels that are right, Parcelle", float((maps["parcelle"] == truth).mean()), 1, unit="")
    yield Figure(STAGE, "pixels that are right, OTB", float((maps["otb"] == truth).mean()), 1, unit="")
    same = float((maps["parcelle"] == maps["otb"]).mean())
    yield Figure(STAGE, "pixels of the same class in both", same, 1, unit="")


def main() -> None:
    """Measure, if OTB is there."""
    given = measure.arguments(__doc__)
    if not otb.installed():
        print("OTB is skipped: it is not installed (apt-get install --no-install-recommends otb-bin).")
        return
    figures = Figures(given.output)
    compare(figures, given.threads)
    figures.write()


if __name__ == "__main__":
    main()
