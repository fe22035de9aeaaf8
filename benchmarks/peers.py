"""The whole of a map by NumPy and scikit-learn, written well: what an engineer would write without compiled loops.

It reads the folder of products that Parcelle reads, and writes the same three products. Measured in trials, and
chosen because faster: a pool of threads over dates, and then over blocks of pixels with one thread in each forest,
rather than one block after the other with the threads inside of scikit-learn.
"""

import contextlib
import datetime
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import gapfilling
import numpy as np
import rasterio
import scene
from rasterio.enums import Resampling
from rasterio.windows import Window
from sklearn.ensemble import RandomForestClassifier

BATCH = 4096  # pixels a call of `predict_proba`; larger batches are slower
BLOCK = 2 * BATCH  # pixels gap-filled at a time, the best for NumPy
NODATA = -10_000
MASKS = ("CLM", "EDG", "SAT")


@dataclass(frozen=True)
class Stack:
    """A window: values ``(date, band, row, column)`` int16, valid ``(date, row, column)``, days of the year."""

    values: np.ndarray
    valid: np.ndarray
    days: np.ndarray


@dataclass
class Stopwatch:
    """Seconds of each stage."""

    seconds: dict[str, float]

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is inside."""
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


def classify(
    products: Path, place: Window, forest: RandomForestClassifier, outputs: Path, threads: int = 2
) -> dict[str, float]:
    """Map a window of a tile.

    Args:
        products: Folder of the tile's products in Theia's layout.
        place: Pixels of 10 m; all four numbers are even.
        forest: Trained on `scene.features`.
        outputs: Folder; gets ``class.tif``, ``confidence.tif`` and ``validity.tif``.
        threads: Threads.

    Returns:
        Seconds of each stage.

    """
    watch = Stopwatch({})
    with watch.stage("read"):
        stack = read(products, place, threads)
    with watch.stage("gap-filling, features, forest"):
        probabilities = _probabilities(stack, forest, threads)
    with watch.stage("write"):
        _write(products, place, stack, probabilities, forest.classes_, outputs)
    return watch.seconds


def read(products: Path, place: Window, threads: int) -> Stack:
    """Read a window of all products, several dates at a time."""
    folders = sorted(products.glob("SENTINEL2*"))
    shape = (place.height, place.width)
    values = np.empty((len(folders), len(scene.BANDS), *shape), np.int16)
    valid = np.empty((len(folders), *shape), bool)
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"), ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda i: _read_date(folders[i], place, values[i], valid[i]), range(len(folders))))
    return Stack(values, valid, np.array([_day_of(folder) for folder in folders], np.int32))


def _day_of(folder: Path) -> int:
    day = datetime.datetime.strptime(folder.name[11:19], "%Y%m%d").date()
    return (day - day.replace(month=1, day=1)).days


def _read_date(folder: Path, place: Window, values: np.ndarray, valid: np.ndarray) -> None:
    valid[:] = True
    for mask in MASKS:
        with rasterio.open(folder / f"MASKS/{folder.name}_{mask}_R1.tif") as image:
            valid &= image.read(1, window=place) == 0
    for plane, band in zip(values, scene.BANDS, strict=True):
        with rasterio.open(folder / f"{folder.name}_FRE_{band.upper()}.tif") as image:
            step = round(image.transform.a / 10)
            part = Window(*(number // step for number in place.flatten()))
            image.read(1, window=part, out=plane, resampling=Resampling.bilinear)
        valid &= plane != NODATA


def _probabilities(stack: Stack, forest: RandomForestClassifier, threads: int) -> np.ndarray:
    """Probabilities of all pixels ``(pixel, class)`` float32, several blocks at a time."""
    dates, bands = stack.values.shape[:2]
    values, valid = stack.values.reshape(dates, bands, -1), stack.valid.reshape(dates, -1)
    made = np.empty((valid.shape[1], len(forest.classes_)), np.float32)
    forest.n_jobs = 1

    def one(start: int) -> None:
        part = slice(start, start + BLOCK)
        filled = gapfilling.fill_numpy(values[:, :, part], valid[:, part], stack.days, scene.REGULAR)
        rows = np.ascontiguousarray(scene.features(filled).T.astype(np.float32))
        for first in range(0, len(rows), BATCH):
            batch = rows[first : first + BATCH]
            made[start + first : start + first + len(batch)] = forest.predict_proba(batch)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, range(0, len(made), BLOCK)))
    return made


def _write(
    products: Path, place: Window, stack: Stack, probabilities: np.ndarray, classes: np.ndarray, outputs: Path
) -> None:
    shape = stack.valid.shape[1:]
    validity = stack.valid.sum(axis=0, dtype=np.uint8)
    seen = validity > 0
    layers = {
        "class": np.where(seen, classes[probabilities.argmax(axis=1)].reshape(shape), 0),
        "confidence": np.where(seen, np.rint(probabilities.max(axis=1) * 100).reshape(shape), 0),
        "validity": validity,
    }
    first = next(products.glob("SENTINEL2*/*_FRE_B2.tif"))
    with rasterio.open(first) as image:
        profile = dict(driver="GTiff", crs=image.crs, transform=image.window_transform(place), dtype="uint8", count=1)
    profile |= dict(height=shape[0], width=shape[1], tiled=True, blockxsize=512, blockysize=512, compress="DEFLATE")
    outputs.mkdir(parents=True, exist_ok=True)
    for name, layer in layers.items():
        with rasterio.open(outputs / f"{name}.tif", "w", **profile) as image:
            image.write(layer.astype(np.uint8), 1)
