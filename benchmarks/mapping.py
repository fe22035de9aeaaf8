"""A window of a tile from images to maps, against NumPy with scikit-learn and against OTB; and what it depends on.

The window has 1,024 × 1,024 pixels, 70 dates of ten bands and three masks, 468 features, a forest of 100 trees.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import forest
import job
import measure
import numpy as np
import otb
import peers
import rasterio
import scene
from job import Job
from measure import Figure, Figures
from rasterio.windows import Window

from parcelle import images

WINDOW, OVERLAP, COST = "window of 1,024 × 1,024, end to end", "reading and computing overlap", "what the cost follows"
SIDE, FEWER = 1024, 12  # pixels, and dates where the peer has no part
PEER_SIDE = 512  # of the window that the slow peer maps
TILE_BAR = 0.5


def against_numpy(one: Job, products: Path, repeats: int, threads: int) -> Iterator[Figure]:
    """Pixels per second against NumPy and scikit-learn, which map a quarter of the window."""
    theirs = forest.fitted(job.SAMPLES)
    with tempfile.TemporaryDirectory() as text, measure.pinned(threads):
        folder = Path(text)
        place = Window(0, 0, PEER_SIDE, PEER_SIDE)
        tasks = {
            "Parcelle": lambda: one.map(folder, threads),
            "NumPy and scikit-learn": lambda: peers.classify(products, place, theirs, folder / "peer", threads),
        }
        seconds = measure.alternate(tasks, repeats)
        agreement = _agreement(folder)
    pixels = {"Parcelle": one.pixels, "NumPy and scikit-learn": PEER_SIDE**2}
    rates = {name: pixels[name] / taken / 1000 for name, taken in seconds.items()}
    ratio = rates["Parcelle"] / rates["NumPy and scikit-learn"]
    yield Figure(WINDOW, "against NumPy and scikit-learn", ratio, threads, at_least=5, rates=rates, rate_unit="kpx/s")
    hours = job.core_hours(seconds["Parcelle"], threads, one.pixels)
    yield Figure(WINDOW, "a tile at this speed", hours, threads, unit="core-hours")
    yield Figure(WINDOW, "pixels of the same class in both maps", agreement, threads, unit="", at_least=0.999)


def _agreement(folder: Path) -> float:
    """Share of pixels with the same class; interpolation rounds differently by one unit here and there."""
    with rasterio.open(folder / "class.tif") as own, rasterio.open(folder / "peer/class.tif") as theirs:
        return float((own.read(1)[:PEER_SIDE, :PEER_SIDE] == theirs.read(1)).mean())


def against_otb(one: Job, repeats: int, threads: int) -> Iterator[Figure]:
    """Pixels per second against OTB's classification of features that are made already."""
    import prepared

    side = prepared.SIDE
    with tempfile.TemporaryDirectory() as text, measure.pinned(threads):
        folder = Path(text)
        prepared.write(folder / "features.tif", scene.image(side))
        model = otb.trained(job.SAMPLES)
        tasks = {
            "Parcelle, from the images": lambda: one.map(folder, threads),
            "OTB, from features": lambda: otb.classify(folder / "features.tif", model, folder, threads),
        }
        seconds = measure.alternate(tasks, repeats)
    own, theirs = one.pixels / seconds["Parcelle, from the images"], side**2 / seconds["OTB, from features"]
    rates = {"Parcelle": own / 1000, "OTB": theirs / 1000}
    what = "all of it, against OTB's classification alone"
    yield Figure(WINDOW, what, own / theirs, threads, at_least=5, rates=rates, rate_unit="kpx/s")


def overlap(one: Job, threads: int, repeats: int) -> Iterator[Figure]:
    """Wall time by the core-seconds of all that is done; then with a disk that makes every read wait."""
    wall, core = _wall_and_core(one, threads, repeats)
    what = "wall time × threads ÷ core-seconds"
    rates = {"wall": wall, "core-seconds": core}
    yield Figure(OVERLAP, what, wall * threads / core, threads, at_most=1.15, rates=rates, rate_unit="s")
    delay = core / threads / _reads(one)
    with _slow(delay):
        slow, _ = _wall_and_core(one, threads, 1)
    waiting = delay * _reads(one)
    rates = {"slow disk": slow, "waiting": waiting, "computing": core / threads}
    what = "slow disk: wall time ÷ the larger of waiting and computing"
    yield Figure(OVERLAP, what, slow / max(waiting, core / threads), threads, rates=rates, rate_unit="s")


def _wall_and_core(one: Job, threads: int, repeats: int) -> tuple[float, float]:
    found = []
    with tempfile.TemporaryDirectory() as folder, measure.pinned(threads):
        for _ in range(repeats + 1):
            wall, core = time.perf_counter(), time.process_time()
            one.map(Path(folder), threads)
            found.append((time.perf_counter() - wall, time.process_time() - core))
    wall, core = np.median(found[1:], axis=0)
    return float(wall), float(core)


def _reads(one: Job) -> int:
    """Reads of all windows: one per window and file."""
    acquisition = one.inventory.acquisitions[0]
    windows = -(-one.inventory.grid.height // 1024) * -(-one.inventory.grid.width // 1024)
    return windows * len(one.inventory.acquisitions) * (len(one.recipes[0].bands) + len(acquisition.masks))


class _slow:
    """Makes every read wait, as a disk far away does."""

    def __init__(self, delay: float):
        self._delay, self._read = delay, images.Images.read

    def __enter__(self) -> None:
        delay, read = self._delay, self._read

        def slow(self: images.Images, *words: object, **named: object) -> np.ndarray:
            time.sleep(delay)
            return read(self, *words, **named)  # type: ignore[arg-type]

        images.Images.read = slow  # type: ignore[method-assign]

    def __exit__(self, *_: object) -> None:
        images.Images.read = self._read  # type: ignore[method-assign]


def marginal(one: Job, threads: int, repeats: int) -> Iterator[Figure]:
    """Time of more regions, seeds and products, by the time without."""
    cases = {
        "a second region": one.with_regions(2),
        "a second model in `map.model`": one.with_seeds(2),
        "five models": one.with_seeds(5),
        "the probability product": one.with_products([*job.PRODUCTS, "probability"]),
    }
    with tempfile.TemporaryDirectory() as folder, measure.pinned(threads):
        tasks = {"one": lambda: one.map(Path(folder), threads)}
        tasks |= {name: lambda case=case: case.map(Path(folder), threads) for name, case in cases.items()}
        seconds = measure.alternate(tasks, repeats, first=False)
    for name in cases:
        rates = {"without": seconds["one"], "with": seconds[name]}
        yield Figure(COST, name, seconds[name] / seconds["one"], threads, rates=rates, rate_unit="s")


def straight(folder: Path, one: Job, threads: int, repeats: int) -> Iterator[Figure]:
    """Whether time is a straight line in dates, and in pixels: r² of three sizes each."""
    by_dates = {n: one.with_dates(n) for n in (20, 44, 68)}
    sizes = ((1024, 1024), (1024, 2048), (2048, 2048))
    by_pixels = {rows * columns: job.of(job.written(folder, rows, columns, dates=FEWER)) for rows, columns in sizes}
    for what, cases in (("dates", by_dates), ("pixels", by_pixels)):
        seconds = [job.timed(case, threads, repeats) for case in cases.values()]
        squared = float(np.corrcoef(list(cases), seconds)[0, 1] ** 2)
        rates = {f"{n:,} {what}": taken for n, taken in zip(cases, seconds, strict=True)}
        yield Figure(COST, f"time by {what}: r²", squared, threads, unit="", at_least=0.99, rates=rates, rate_unit="s")


def measure_all(folder: Path, figures: Figures, threads: Sequence[int], repeats: int, full: bool) -> None:
    """Measure everything; OTB only where all is measured."""
    products = job.written(folder, SIDE, SIDE)
    one = job.of(products)
    four = job.of(job.written(folder, 2 * SIDE, 2 * SIDE, dates=FEWER))
    for count in threads:
        for figure in against_numpy(one, products, repeats, count):
            figures.add(figure)
    if full and otb.installed():
        figures.add(*against_otb(one, repeats, max(threads)))
    # One thread has nothing to overlap with.
    figures.add(*overlap(four, max(threads), 1))
    figures.add(*marginal(job.of(job.written(folder, SIDE, SIDE, dates=FEWER)), max(threads), 2))
    for figure in straight(folder, one, max(threads), 2):
        figures.add(figure)


def main() -> None:
    """Measure, and write the figures."""
    given = measure.arguments(__doc__)
    figures = Figures(given.output)
    with tempfile.TemporaryDirectory() as folder:
        measure_all(Path(folder), figures, given.threads, 3, given.full)
    figures.write()


if __name__ == "__main__":
    main()
