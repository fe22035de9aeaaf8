"""Reading: Parcelle's windows against a bare GDAL read of the same blocks, and 20 m pixels brought to 10 m.

Both sides keep the files open, as the same files are asked for window after window, and both decode the same blocks;
Parcelle's side reads masks, finds what is not observed, and puts everything into its place.
"""

import itertools
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import job
import measure
import numpy as np
import rasterio
import rasterio.shutil
from job import Job
from measure import Figure, Figures
from rasterio.enums import Resampling
from rasterio.windows import Window

from parcelle.images import GDAL
from parcelle.resample import Rows

READ, RESAMPLE = "reading", "20 m to 10 m"
SIDE, DATES = 2048, 14
LAYERS = 120  # images that are resampled together: twenty dates of six bands
BAR = 0.9


def paths_of(one: Job) -> list[str]:
    """All files of a job, date by date."""
    bands = one.recipes[0].bands
    found = [[a.assets[b].path for b in bands] + [m.path for m in a.masks] for a in one.inventory.acquisitions]
    return list(itertools.chain(*found))


def read_bare(paths: Sequence[str], windows: Sequence[Window], threads: int) -> tuple[float, int]:
    """Read windows of the tile from all files: seconds without opening, and bytes."""
    with rasterio.Env(**GDAL), ThreadPoolExecutor(threads) as pool:
        images = [rasterio.open(path) for path in paths]
        start, count = time.perf_counter(), 0
        for window in windows:
            count += sum(pool.map(lambda image, w=window: _read(image, w), images))
        seconds = time.perf_counter() - start
        for image in images:
            image.close()
    return seconds, count


def _read(image: rasterio.DatasetReader, window: Window) -> int:
    step = round(image.transform.a / 10)
    return image.read(1, window=Window(*(number // step for number in window.flatten()))).nbytes


def compare(one: Job, layout: str, threads: int, repeats: int) -> Figure:
    """Megabytes per second and core, both sides."""
    paths = paths_of(one)
    windows = _windows(one, layout)
    seconds: dict[str, list[float]] = {"Parcelle": [], "GDAL": []}
    size = 0
    with measure.pinned(threads):
        for turn in range(repeats + 1):
            own = one.read(threads)
            bare, size = read_bare(paths, windows, threads)
            if turn:
                seconds["Parcelle"].append(own)
                seconds["GDAL"].append(bare)
    rates = {name: size / 1e6 / float(np.median(taken)) / threads for name, taken in seconds.items()}
    ratio = rates["Parcelle"] / rates["GDAL"]
    return Figure(READ, f"{layout}, against bare reads", ratio, threads, at_least=BAR, rates=rates, rate_unit="MB/s")


def _windows(one: Job, layout: str) -> list[Window]:
    """Windows of the same shape as Parcelle's, without what it knows from the ones before."""
    grid = one.inventory.grid
    width = grid.width if layout == "striped" else 1024
    height = 1024 * 1024 // width // 32 * 32
    return [
        Window(column, row, min(width, grid.width - column), min(height, grid.height - row))
        for row in range(0, grid.height, height)
        for column in range(0, grid.width, width)
    ]


def as_jpeg(products: Path, folder: Path) -> Path:
    """The same products in JPEG 2000 of quality 25, under the names of GeoTIFFs."""
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(lambda source: _encode(source, folder / source.relative_to(products)), _images(products)):
            pass
    return folder


def _images(products: Path) -> list[Path]:
    return sorted(products.rglob("*.tif"))


def _encode(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        draft = target.with_suffix(".jp2")
        rasterio.shutil.copy(source, draft, driver="JP2OpenJPEG", quality="25", blockxsize=1024, blockysize=1024)
        draft.rename(target)


def compare_resampling(repeats: int) -> Iterator[Figure]:
    """20 m images brought to 10 m: by GDAL's resampled read of files in memory, and by Parcelle's rows."""
    coarse = np.random.default_rng(3).integers(0, 9000, (LAYERS, 512, 512)).astype(np.int16)
    profile = dict(driver="GTiff", height=512, width=512, count=LAYERS, dtype="int16", tiled=True, interleave="band")
    with rasterio.MemoryFile() as memory:
        with memory.open(**profile, crs="EPSG:32631", transform=rasterio.Affine(20, 0, 5e5, 0, -20, 5e6)) as image:
            image.write(coarse)
        with memory.open() as image, measure.pinned(1):
            made, theirs = (np.empty((LAYERS, 1024, 1024), np.int16) for _ in range(2))
            _by_rows(rows := Rows(2, (512, 512), "bilinear", (1, LAYERS), np.int16), coarse, made)
            tasks = {
                "Parcelle": lambda: _by_rows(rows, coarse, None),
                "GDAL": lambda: image.read(out=theirs, resampling=Resampling.bilinear),
            }
            seconds = measure.alternate(tasks, max(repeats, 5))
    rates = {name: made.nbytes / 1e6 / taken for name, taken in seconds.items()}
    ratio = rates["Parcelle"] / rates["GDAL"]
    yield Figure(RESAMPLE, "bilinear, against GDAL's read", ratio, 1, at_least=10, rates=rates, rate_unit="MB/s")
    difference = float(np.abs(made.astype(int) - theirs)[:, 2:-2, 2:-2].max())
    yield Figure(RESAMPLE, "largest difference, inside", difference, 1, unit="", at_most=1)


def _by_rows(rows: Rows, coarse: np.ndarray, made: np.ndarray | None) -> None:
    """Interpolate row by row, as mapping does, which needs no more than a row; keep them if asked."""
    every = np.ones(1, bool)
    for row in range(1024):
        line = rows.read(coarse[None], every, (0, 0), row, 0, 1024)[0, :, 0]
        if made is not None:
            made[:, row] = line


def main() -> None:
    """Measure the layouts."""
    given = measure.arguments(__doc__)
    figures = Figures(given.output)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        for layout in ("tiled", "striped"):
            one = job.of(job.written(folder, SIDE, SIDE, layout, DATES))
            figures.add(*(compare(one, layout, threads, given.repeats) for threads in given.threads))
        few = job.written(folder, SIDE // 2, SIDE // 2, "tiled", 3)
        one = job.of(as_jpeg(few, folder / "jpeg/sentinel2/31TAA"))
        figures.add(*(compare(one, "JPEG 2000", threads, 3) for threads in given.threads))
    figures.add(*compare_resampling(given.repeats))
    figures.write()


if __name__ == "__main__":
    main()
