"""A strip of a tile at real size: 10,980 × 1,024 pixels, 70 dates of ten bands and masks, read, mapped and written.

A tile is 10.7 such strips. With `--full`, the same from files of strips, and from JPEG 2000 with and without
`cache: scratch`.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import job
import measure
import reading
from measure import Figure, Figures

from parcelle import scratch

STAGE = "strip of 10,980 × 1,024, extrapolated to a tile"
HEIGHT, WIDTH = 1024, 10_980
PART = 3072  # columns that are measured in JPEG 2000
BAR = 0.5
MEMORY = 3072  # MiB, at the default window


def whole_process(products: Path, threads: int, cache: Path | None = None) -> dict[str, float]:
    """Map the strip in a process of its own: seconds, core-seconds, MiB, and seconds of decoding into scratch."""
    command = [sys.executable, __file__, "--one", str(products), str(threads), str(cache or "")]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def _one(products: str, threads: str, cache: str) -> None:
    """Map, as this process, and print what it took."""
    one = job.of(Path(products))
    with tempfile.TemporaryDirectory() as folder, measure.pinned(int(threads)):
        start, core = time.perf_counter(), time.process_time()
        images = scratch.decoded(one.inventory, cache or None, int(threads))
        decoding = time.perf_counter() - start
        replace(one, inventory=images).map(Path(folder), int(threads))
        wall, core = time.perf_counter() - start, time.process_time() - core
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"wall": wall, "core": core, "memory": memory, "decoding": decoding}))


def figures_of(
    products: Path, what: str, threads: int, bar: float | None, cache: Path | None = None, width: int = WIDTH
) -> Iterator[Figure]:
    """Core-hours of a tile, and memory."""
    found = whole_process(products, threads, cache)
    hours = job.core_hours(found["wall"], threads, HEIGHT * width)
    rates = {k: found[k] for k in ("wall", "core", "decoding")}
    yield Figure(STAGE, what, hours, threads, unit="core-hours", at_most=bar, rates=rates, rate_unit="s")
    if bar:
        yield Figure(STAGE, f"{what}: peak memory", found["memory"], threads, unit="MiB", at_most=MEMORY)


def main() -> None:
    """Measure, and write the figures."""
    if sys.argv[1:2] == ["--one"]:
        _one(*sys.argv[2:])
        return
    given = measure.arguments(__doc__)
    figures = Figures(given.output)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        products = job.written(folder, HEIGHT, WIDTH)
        for threads in given.threads:
            figures.add(*figures_of(products, "tiled deflate", threads, BAR))
        if given.full:
            figures.add(*_others(folder, max(given.threads)))
    figures.write()


def _others(folder: Path, threads: int) -> Iterator[Figure]:
    yield from figures_of(job.written(folder, HEIGHT, WIDTH, "striped"), "striped deflate", threads, None)
    # A part of the strip: JPEG 2000 takes ten times as long to write, and to read.
    jpeg = reading.as_jpeg(job.written(folder, HEIGHT, PART), folder / "jpeg/sentinel2/31TAA")
    for what, cache in (
        ("JPEG 2000", None),
        ("JPEG 2000, `cache: scratch`", folder / "scratch"),
        ("JPEG 2000, decoded before by sampling", folder / "scratch"),
    ):
        yield from figures_of(jpeg, what, threads, None, cache, PART)


if __name__ == "__main__":
    main()
