"""Walk a grid by windows, so that a tile never has to fit in memory."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import rasterio
from rasterio.windows import Window

T = TypeVar("T")
Job = Callable[[], Any]


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


def overlapped(
    work: Sequence[T],
    reading: Callable[[T], Sequence[Job]],
    computing: Callable[[T], Sequence[Job]],
    threads: int,
    options: dict[str, Any] | None = None,
) -> Iterator[tuple[T, list[Any]]]:
    """Read the next piece of work while one is computed, and the one before is written by whoever takes it from here.

    Two pieces are in memory at a time: `reading` is asked for the jobs of one only after the last but one is computed.
    While there is something to compute, at most half of the threads read, so that neither waits for the other. An error
    in a thread is raised here, and no further job is begun.

    Args:
        work: Pieces, in order.
        reading: Jobs that read a piece.
        computing: Jobs that compute a piece that is read.
        threads: Threads for all of it.
        options: Of GDAL, in every thread.

    Yields:
        Each piece and what the jobs of `computing` gave, in their order.

    """
    with ThreadPoolExecutor(threads) as pool:
        step = _Step([], reading(work[0]) if work else [], threads, options or {})
        step.run(pool)
        ready: tuple[T, list[Any]] | None = None
        for i, piece in enumerate(work):
            step = _Step(computing(piece), reading(work[i + 1]) if i + 1 < len(work) else [], threads, options or {})
            try:
                running = step.start(pool)
                if ready:
                    yield ready
                ready = piece, step.finish(running)
            finally:
                step.stop()
        if ready:
            yield ready


class _Step:
    """Jobs that may run at the same time."""

    def __init__(self, compute: Sequence[Job], read: Sequence[Job], threads: int, options: dict[str, Any]):
        self._compute, self._read = deque(enumerate(compute)), deque(read)
        self._results: list[Any] = [None] * len(compute)
        self._threads, self._options = threads, options
        self._readers = 0
        self._lock = threading.Lock()

    def run(self, pool: ThreadPoolExecutor) -> list[Any]:
        """Do all jobs."""
        return self.finish(self.start(pool))

    def start(self, pool: ThreadPoolExecutor) -> list[Future]:
        """Let all threads take jobs until there are none."""
        return [pool.submit(self._drain) for _ in range(self._threads)]

    def finish(self, running: list[Future]) -> list[Any]:
        """Wait; give the results of the computing jobs."""
        for future in running:
            future.result()
        return self._results

    def stop(self) -> None:
        """Begin no further job."""
        with self._lock:
            self._compute.clear()
            self._read.clear()

    def _drain(self) -> None:
        with rasterio.Env(**self._options):
            try:
                while job := self._next():
                    job()
            except BaseException:
                self.stop()
                raise

    def _next(self) -> Job | None:
        with self._lock:
            may_read = not self._compute or self._readers < max(self._threads // 2, 1)
            if self._read and may_read:
                self._readers += 1
                read = self._read.popleft()
                return lambda: self._run_read(read)
            if self._compute:
                place, compute = self._compute.popleft()
                return lambda: self._results.__setitem__(place, compute())
            return None

    def _run_read(self, read: Job) -> None:
        try:
            read()
        finally:
            with self._lock:
                self._readers -= 1
