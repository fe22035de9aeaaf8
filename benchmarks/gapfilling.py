"""Gap-filling: Parcelle's loop against vectorised NumPy, `np.interp`, and the speed at which memory is copied.

70 dates × 10 bands become 36 dates × 10 bands; under clouds that are blobs, and where pixels are masked at random.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import measure
import numpy as np
import scene
from measure import Figure, Figures

from parcelle import gapfill

SHAPE = (256, 1024)  # rows and columns
DATES, PERIOD = 70, 360
BLOCK, LARGE_BLOCK = 2**13, 2**17  # pixels at a time in NumPy, the fastest of 2^10 to 2^17: alone; side by side
FEW, FEW_REPEATS = 4096, 3  # pixels for `np.interp`
BARS = {"NumPy": 6.0, "np.interp": 50.0}


@dataclass(frozen=True)
class Gaps:
    """Values ``(date, band, row, column)`` int16, where they are valid ``(date, row, column)``, and both dates."""

    values: np.ndarray
    valid: np.ndarray
    days: np.ndarray
    targets: np.ndarray

    def part(self, rows: slice) -> "Gaps":
        """Some rows, as a window of its own."""
        values, valid = np.ascontiguousarray(self.values[:, :, rows]), np.ascontiguousarray(self.valid[:, rows])
        return Gaps(values, valid, self.days, self.targets)

    def parts(self, count: int) -> list["Gaps"]:
        """As many windows, side by side."""
        edges = np.linspace(0, self.valid.shape[1], count + 1).astype(int)
        return [self.part(slice(*pair)) for pair in itertools.pairwise(edges)]

    @functools.cached_property
    def memory(self) -> np.ndarray:
        """Memory for the result ``(regular date, band, row, column)``, touched once: mapping keeps its own, too."""
        return np.ones((len(self.targets), *self.values.shape[1:]), np.int16)

    def filled_bytes(self) -> int:
        """Bytes of the result."""
        return self.memory.nbytes


def simulated(mask: str) -> Gaps:
    """Simulated series with clouds that are ``blobs`` (30 % on average), or ``speckled`` (15 %)."""
    days = np.linspace(0, PERIOD - 1, DATES).round().astype(np.int32)
    random = np.random.default_rng(4)
    land = scene.Land.draw(SHAPE[0] * SHAPE[1] // scene.FIELD**2, 4)
    rows, columns = np.indices(SHAPE)
    field = scene.fields_of(rows, columns, SHAPE[1] // scene.FIELD).ravel()
    values = np.stack([land.reflectance(field, days[i : i + 1], i)[0] for i in range(DATES)])
    if mask == "speckled":
        valid = random.random((DATES, *SHAPE), np.float32) >= 0.15
    else:
        valid = np.stack([~scene.clouds(*SHAPE, 0.6 * random.random(), i) for i in range(DATES)])
    return Gaps(values.reshape(DATES, -1, *SHAPE), valid, days, scene.REGULAR.astype(np.int32))


def fill_numpy(
    values: np.ndarray,
    valid: np.ndarray,
    days: np.ndarray,
    targets: np.ndarray,
    block: int = BLOCK,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Fill gaps by whole arrays, a block of pixels at a time.

    Args:
        values: ``(date, band, pixel)`` int16.
        valid: ``(date, pixel)`` bool.
        days: ``(date,)``.
        targets: ``(regular date,)``.
        block: Pixels at a time.
        out: Where to put the result; new memory if None.

    Returns:
        ``(regular date, band, pixel)`` int16; 0 without any valid date.

    """
    pixels = valid.shape[1]
    filled = np.empty((len(targets), values.shape[1], pixels), np.int16) if out is None else out
    for start in range(0, pixels, block):
        part = slice(start, start + block)
        _fill_block(np.ascontiguousarray(values[:, :, part]), valid[:, part], days, targets, filled[:, :, part])
    return filled


def _fill_block(
    values: np.ndarray, valid: np.ndarray, days: np.ndarray, targets: np.ndarray, filled: np.ndarray
) -> None:
    dates, bands, pixels = values.shape
    place = np.arange(dates, dtype=np.int32)[:, None]
    before = np.maximum.accumulate(np.where(valid, place, -1), axis=0)
    after = np.minimum.accumulate(np.where(valid, place, dates)[::-1], axis=0)[::-1]
    never = before[-1] < 0
    flat, column = values.reshape(-1), np.arange(pixels)
    for t, target in enumerate(targets):
        low, high, weight = _neighbours(before, after, days, target)
        first, last = (date.astype(np.intp) * (bands * pixels) + column for date in (low, high))
        for band in range(bands):
            # Of all ways to pick the neighbours, `take` from flat arrays was the fastest.
            plane = flat[band * pixels :]
            value = np.take(plane, first).astype(np.float32)
            value += (np.take(plane, last) - value) * weight
            filled[t, band] = np.rint(value, out=value)
        filled[t][:, never] = 0


def _neighbours(
    before: np.ndarray, after: np.ndarray, days: np.ndarray, target: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearest valid dates around a day, and the weight of the later one ``(pixel,)``; any date where none is valid."""
    dates, pixels = before.shape
    i, j = np.searchsorted(days, target, "right") - 1, np.searchsorted(days, target, "left")
    low = before[i] if i >= 0 else np.full(pixels, -1, np.int32)
    high = after[j] if j < dates else np.full(pixels, dates, np.int32)
    low, high = np.where(low < 0, high, low), np.where(high >= dates, low, high)
    low, high = np.clip(low, 0, dates - 1), np.clip(high, 0, dates - 1)
    span = days[high] - days[low]
    weight = np.where(span > 0, target - days[low], 0) / np.maximum(span, 1)
    return low, high, weight.astype(np.float32)


def fill_interp(gaps: Gaps) -> np.ndarray:
    """Fill gaps by `np.interp`, pixel by pixel and band by band: ``(pixel, band, regular date)`` int16."""
    dates, bands = gaps.values.shape[:2]
    values = np.ascontiguousarray(gaps.values.reshape(dates, bands, -1).transpose(2, 1, 0))
    valid = np.ascontiguousarray(gaps.valid.reshape(dates, -1).T)
    filled = np.zeros((len(values), bands, len(gaps.targets)), np.int16)
    for pixel, seen in enumerate(valid):
        if seen.any():
            days = gaps.days[seen]
            for band in range(bands):
                line = np.interp(gaps.targets, days, values[pixel, band][seen])
                filled[pixel, band] = np.rint(line)
    return filled


def by_numpy(gaps: Gaps, block: int = BLOCK) -> np.ndarray:
    """Fill a window in NumPy ``(regular date, band, pixel)``."""
    dates, bands = gaps.values.shape[:2]
    values, valid = gaps.values.reshape(dates, bands, -1), gaps.valid.reshape(dates, -1)
    return fill_numpy(values, valid, gaps.days, gaps.targets, block, gaps.memory.reshape(-1, bands, valid.shape[1]))


def by_parcelle(gaps: Gaps) -> np.ndarray:
    """Fill a window by Parcelle ``(regular date, band, row, column)``."""
    return gapfill.fill(gaps.values, gaps.valid, gaps.days, gaps.targets, gaps.memory)


def on_threads(task: Callable[[Gaps], object], parts: list[Gaps]) -> None:
    """Fill windows, each on a thread of its own."""
    with ThreadPoolExecutor(len(parts)) as pool:
        list(pool.map(task, parts))


def copy(parts: list[Gaps]) -> Callable[[], None]:
    """Copy as many bytes as filling reads and writes; what is copied to has been touched."""
    sources = [part.values for part in parts]
    copies = [source.copy() for source in sources]

    def task() -> None:
        with ThreadPoolExecutor(len(parts)) as pool:
            list(pool.map(np.copyto, copies, sources))

    return task


def compare(gaps: Gaps, stage: str, repeats: int, threads: int) -> Iterator[Figure]:
    """Measure all ways to fill the same gaps on so many threads."""
    parts = gaps.parts(threads)
    # Several threads wait for Python's lock between calls, so these should be long.
    vectorised = functools.partial(by_numpy, block=BLOCK if threads == 1 else LARGE_BLOCK)
    tasks: dict[str, Callable] = {
        "Parcelle": lambda: on_threads(by_parcelle, parts),
        "NumPy": lambda: on_threads(vectorised, parts),
        "copy": copy(parts),
    }
    seconds = measure.alternate(tasks, repeats)
    rates = {name: gaps.valid[0].size / seconds[name] / 1e6 for name in ("Parcelle", "NumPy")}
    yield _ratio(stage, "NumPy", rates, threads)
    yield _share_of_copying(gaps, seconds, stage, threads)


def compare_interp(gaps: Gaps, stage: str) -> Iterator[Figure]:
    """Measure against `np.interp`, which has one thread."""
    tasks = {"Parcelle": lambda: by_parcelle(gaps), "np.interp": lambda: fill_interp(gaps)}
    seconds = measure.alternate(tasks, FEW_REPEATS)
    yield _ratio(stage, "np.interp", {name: FEW / taken / 1e6 for name, taken in seconds.items()}, 1)


def _ratio(stage: str, peer: str, rates: dict[str, float], threads: int) -> Figure:
    ratio, bar = rates["Parcelle"] / rates[peer], BARS[peer]
    return Figure(stage, f"against {peer}", ratio, threads, at_least=bar, rates=rates, rate_unit="Mpx/s")


def _share_of_copying(gaps: Gaps, seconds: dict[str, float], stage: str, threads: int) -> Figure:
    """Bytes read and written a second, as a share of those when copying."""
    filling = (gaps.values.nbytes + gaps.valid.nbytes + gaps.filled_bytes()) / seconds["Parcelle"] / 1e9
    copying = 2 * gaps.values.nbytes / seconds["copy"] / 1e9
    rates = {"filling": filling, "copying": copying}
    return Figure(stage, "share of copy bandwidth", filling / copying, threads, unit="", rates=rates, rate_unit="GB/s")


def check(gaps: Gaps, few: Gaps, stage: str) -> Iterator[Figure]:
    """Compare what the three ways give: halves go up in Parcelle and to even in NumPy, so they differ by 1 at most."""
    own = by_parcelle(gaps).astype(int)
    pixels_first = by_parcelle(few).astype(int).reshape(*own.shape[:2], -1).transpose(2, 1, 0)
    differences = {
        "NumPy": np.abs(own - by_numpy(gaps).reshape(own.shape)),
        "np.interp": np.abs(pixels_first - fill_interp(few)),
    }
    for peer, difference in differences.items():
        what, largest = f"largest difference from {peer}", float(difference.max())
        share = {"not equal": float((difference > 0).mean() * 100)}
        yield Figure(stage, what, largest, 1, unit="", at_most=1, rates=share, rate_unit="%")


def main() -> None:
    """Measure both kinds of mask."""
    given = measure.arguments(__doc__)
    figures = Figures(given.output)
    for mask in ("blobs", "speckled"):
        gaps, stage = simulated(mask), f"gap-filling, {mask}"
        few = gaps.part(slice(0, FEW // SHAPE[1]))
        for threads in given.threads:
            with measure.pinned(threads):
                figures.add(*compare(gaps, stage, given.repeats, threads))
        figures.add(*compare_interp(few, stage), *check(gaps, few, stage))
    figures.write()


if __name__ == "__main__":
    main()
