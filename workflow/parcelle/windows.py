"""Walk a grid by windows, so that a tile never has to fit in memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from rasterio.windows import Window

T = TypeVar("T")


def windows(height: int, width: int, size: int) -> Iterator[Window]:
    """Cover a grid with windows of `size`, row by row; the last ones are cut at its border."""
    for row in range(0, height, size):
        for column in range(0, width, size):
            yield Window(column, row, min(size, width - column), min(size, height - row))


def in_order(function: Callable[[Window], T], work: Iterable[Window], threads: int) -> Iterator[tuple[Window, T]]:
    """Compute `function` of each window on `threads` threads; give the results in the order of `work`.

    At most `threads` + 1 windows are begun and not yet taken, which bounds the memory. An error in a thread is raised
    here, and no further window is begun.
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[tuple[Window, Future[T]]] = deque()
        try:
            for window in work:
                waiting.append((window, pool.submit(function, window)))
                if len(waiting) > threads:
                    done, result = waiting.popleft()
                    yield done, result.result()
            while waiting:
                done, result = waiting.popleft()
                yield done, result.result()
        finally:
            for _, pending in waiting:
                pending.cancel()
