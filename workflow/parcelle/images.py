"""Open images, kept open: opening a file for every window would take a third of the time that reading takes."""

import contextlib
import resource
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import rasterio
from rasterio.enums import Interleaving
from rasterio.windows import Window

from parcelle.errors import InputError
from parcelle.grid import Grid

# What GDAL is asked for while images are read: opening a file lists no folder, and files are decoded by the thread
# that asks for them. Windows are multiples of blocks, so the cache holds what is being decoded and no more.
GDAL = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_CACHEMAX": 32, "GDAL_NUM_THREADS": 1}

# Files that a process may have open beside the images: libraries, results, logs.
OTHERS = 128

# What reading raises; the second where the file has no such band.
UNREADABLE = (rasterio.errors.RasterioError, IndexError)


@dataclass(frozen=True)
class Header:
    """What an image is made of: its grid, rows and columns of a block, and how many bands one block holds."""

    grid: Grid
    block: tuple[int, int]
    bands: int


@dataclass
class _Handle:
    """An open image, used by one thread at a time."""

    image: Any
    header: Header
    busy: threading.Lock = field(default_factory=threading.Lock)


class Images:
    """Images of a tile, by path; for several threads.

    Attributes:
        blocks: Number of blocks that were decoded.
        decoded: Bytes of those blocks.

    """

    def __init__(self, most: int | None = None):
        """Keep at most so many files open; as many as the system allows if None."""
        self._most = most or _allowed()
        self._open: OrderedDict[str, _Handle] = OrderedDict()
        self._lock = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}
        self.blocks = self.decoded = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._open.values():
            handle.image.close()
        self._open.clear()

    def header(self, path: str) -> Header:
        """Header of an image.

        Raises:
            InputError: It cannot be read.

        """
        try:
            with self._take(path) as handle:
                return handle.header
        except UNREADABLE as error:
            raise _unreadable(path, error) from None

    def read(self, path: str, bands: Sequence[int], window: Window, out: np.ndarray | None = None) -> np.ndarray:
        """Read some bands of a window, ``(band, row, column)``; into `out` if that is one band of the file's type.

        Raises:
            InputError: They cannot be read.

        """
        try:
            with self._take(path) as handle:
                # GDAL decodes a single band straight into an array of its type.
                if out is not None and _type(handle.image, bands) == out.dtype:
                    found = handle.image.read(bands[0], window=window, out=out[0])[None]
                else:
                    found = handle.image.read(list(bands), window=window)
                self._count(handle, found, window)
                return found
        except UNREADABLE as error:
            raise _unreadable(path, error, f"; window {place(window)}") from None

    @contextlib.contextmanager
    def _take(self, path: str) -> Iterator[_Handle]:
        """Open an image, or take the open one once no other thread uses it."""
        handle = self._find(path)
        try:
            yield handle
        finally:
            handle.busy.release()

    def _find(self, path: str) -> _Handle:
        while True:
            with self._lock:
                turn = self._turns.setdefault(path, threading.Lock())
            # Of threads that ask for a file at the same time, one opens it.
            with turn:
                handle = self._known(path) or self._add(path)
            handle.busy.acquire()
            # Between the two locks another thread may have closed it to make room.
            if not handle.image.closed:
                return handle
            handle.busy.release()

    def _known(self, path: str) -> _Handle | None:
        with self._lock:
            if path in self._open:
                self._open.move_to_end(path)
            return self._open.get(path)

    def _add(self, path: str) -> _Handle:
        image = rasterio.open(path)
        bands = image.count if image.interleaving == Interleaving.pixel else 1
        handle = _Handle(image, Header(Grid.of(image), image.block_shapes[0], bands))
        with self._lock:
            self._make_room()
            self._open[path] = handle
        return handle

    def _make_room(self) -> None:
        """Close the images that were used longest ago, but for those in use."""
        for path in list(self._open):
            if len(self._open) < self._most:
                return
            handle = self._open[path]
            if handle.busy.acquire(blocking=False):
                handle.image.close()
                handle.busy.release()
                del self._open[path]

    def _count(self, handle: _Handle, found: np.ndarray, window: Window) -> None:
        (height, width), bands = handle.header.block, handle.header.bands
        rows = (window.row_off + window.height - 1) // height - window.row_off // height + 1
        columns = (window.col_off + window.width - 1) // width - window.col_off // width + 1
        blocks = rows * columns * -(-len(found) // bands)
        with self._lock:
            self.blocks += blocks
            self.decoded += blocks * bands * height * width * found.itemsize


def _type(image: Any, bands: Sequence[int]) -> np.dtype | None:
    """Type of the one band that is asked for; None if there are several, or none of that number."""
    wanted = len(bands) == 1 and 0 < bands[0] <= image.count
    return np.dtype(image.dtypes[bands[0] - 1]) if wanted else None


def _unreadable(path: str, error: Exception, where: str = "") -> InputError:
    """Say which image cannot be read, and why: what rasterio says of a block is to look at the cause."""
    return InputError(f"{path} cannot be read ({error.__cause__ or error}){where}: repair or remove the product.")


def place(window: Window) -> str:
    """Where a window lies, for messages."""
    last_row, last_column = window.row_off + window.height - 1, window.col_off + window.width - 1
    return f"rows {window.row_off}–{last_row}, columns {window.col_off}–{last_column}"


def _allowed() -> int:
    """Files that may be open, after asking the system for as many as it gives."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    most = 65_536 if soft == resource.RLIM_INFINITY else soft
    return max(min(most, 65_536) - OTHERS, 16)
