"""Sampling: what is decoded against the blocks that hold polygons, and how its time follows them.

Polygons are squares of 200 m, one in each of some blocks of a tile of 2,048 × 2,048 pixels.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd
import job
import measure
import numpy as np
import shapely
from job import Job
from measure import Figure, Figures

from parcelle import images, sampling

STAGE = "sampling"
SIDE, BLOCK, SQUARE = 2048, 512, 20  # pixels of 10 m
DATES = 12


def polygons(one: Job, blocks: int) -> gpd.GeoDataFrame:
    """One square in the middle of each of the first blocks of 1,024 pixels, then of 512."""
    grid, rows = one.inventory.grid, []
    for i in range(blocks):
        row, column = (i // 4) * BLOCK + 100, (i % 4) * BLOCK + 100
        left, top = grid.left + column * 10, grid.top - row * 10
        rows.append(shapely.box(left, top - SQUARE * 10, left + SQUARE * 10, top))
    names = [f"p{i:02}" for i in range(blocks)]
    columns = {"polygon": names, "code": 1, "region": "all", "x": 0.0, "y": 0.0}
    return gpd.GeoDataFrame(columns, geometry=rows, crs=grid.crs)


def sampled(one: Job, blocks: int, threads: int) -> tuple[float, int, int]:
    """Seconds, bytes decoded, and bytes of the blocks that hold polygons."""
    opened: list[images.Images] = []
    enter = images.Images.__enter__

    def noted(self: images.Images) -> images.Images:
        opened.append(self)
        return enter(self)

    images.Images.__enter__ = noted  # type: ignore[method-assign]
    try:
        start = time.perf_counter()
        table = sampling.sample(
            one.inventory, polygons(one, blocks), one.recipes, sampling.Options(1, None, 1024, threads)
        )
        seconds = time.perf_counter() - start
    finally:
        images.Images.__enter__ = enter  # type: ignore[method-assign]
    assert 0 < len(table) <= blocks * SQUARE**2
    return seconds, opened[0].decoded, _needed(one, blocks)


def _needed(one: Job, blocks: int) -> int:
    """Bytes of blocks that hold polygons, of all files of all dates; a 20 m block lies under four of 10 m."""
    coarse = len({(i // 4 // 2, i % 4 // 2) for i in range(blocks)})
    fine = blocks * BLOCK**2 * (4 * 2 + 3)  # four bands of two bytes, three masks of one
    return len(one.inventory.acquisitions) * (fine + coarse * BLOCK**2 * 6 * 2)


def compare(one: Job, threads: int) -> Iterator[Figure]:
    """Ratio of bytes, and the straightness of time."""
    counts = (4, 8, 12, 16)
    sampled(one, 1, threads)
    found = {n: sampled(one, n, threads) for n in counts}
    _, decoded, needed = found[4]
    rates = {"decoded": decoded / 2**20, "of blocks with polygons": needed / 2**20}
    what = "bytes decoded ÷ bytes of blocks with polygons"
    yield Figure(STAGE, what, decoded / needed, threads, unit="", at_most=1.05, rates=rates, rate_unit="MiB")
    seconds = [found[n][0] for n in counts]
    squared = float(np.corrcoef([found[n][2] for n in counts], seconds)[0, 1] ** 2)
    rates = {f"{n} blocks": s for n, s in zip(counts, seconds, strict=True)}
    yield Figure(STAGE, "time by blocks touched: r²", squared, threads, unit="", rates=rates, rate_unit="s")


def main() -> None:
    """Measure, and write the figures."""
    given = measure.arguments(__doc__)
    figures = Figures(given.output)
    with tempfile.TemporaryDirectory() as folder:
        one = job.of(job.written(Path(folder), SIDE, SIDE, dates=DATES))
        for threads in given.threads:
            figures.add(*compare(one, threads))
    figures.write()


if __name__ == "__main__":
    main()
