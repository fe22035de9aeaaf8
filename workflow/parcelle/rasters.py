"""Write rasters window by window, and end with an ordered copy whose bytes depend on nothing but the pixels."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.enums import Resampling
from rasterio.windows import Window

from parcelle import files
from parcelle.grid import Grid

BLOCK = 512


@contextlib.contextmanager
def writer(
    path: str | Path,
    grid: Grid,
    dtype: str,
    count: int,
    tags: Mapping[str, str],
    threads: int = 1,
    *,
    nodata: float = 0,
    overviews: bool = False,
    scratch: str | None = None,
) -> Iterator["Writer"]:
    """Open a raster to write; it takes its name, tiled and compressed, when the block ends without an error.

    Args:
        path: GeoTIFF to write.
        grid: Its grid.
        dtype: Pixel type.
        count: Number of bands.
        tags: Written into the file.
        threads: For the compression; they change no byte.
        nodata: Value of pixels that are not written; it has to be 0 unless all are.
        overviews: Whether to add smaller versions of the mean, which makes it cloud-optimised.
        scratch: Folder for the draft; beside the file if not given.

    """
    with files.whole(path) as final, files.workspace(path, scratch) as folder:
        draft = folder / "draft.tif"
        profile: dict[str, Any] = dict(driver="GTiff", dtype=dtype, count=count, nodata=nodata, bigtiff="IF_SAFER")
        profile |= dict(crs=grid.crs, transform=grid.transform, height=grid.height, width=grid.width)
        profile |= dict(tiled=True, blockxsize=BLOCK, blockysize=BLOCK, interleave="band")
        with rasterio.open(draft, "w", **profile) as image:
            image.update_tags(**tags)
            yield Writer(image)
        if overviews:
            _add_overviews(draft)
        _copy(draft, final, dtype, threads, overviews)


class Writer:
    """An open raster; what is never written of it is no data."""

    def __init__(self, image: Any):
        self._image = image

    def write(self, window: Window, pixels: np.ndarray) -> None:
        """Write a window: ``(band, row, column)``, or ``(row, column)`` of a raster with one band."""
        self._image.write(pixels if pixels.ndim == 3 else pixels[None], window=window)

    def describe(self, names: list[str]) -> None:
        """Name the bands."""
        self._image.descriptions = names


def _add_overviews(draft: Path) -> None:
    """Add versions of half the size, a quarter, and so on, down to a block."""
    with rasterio.open(draft, "r+") as image:
        side = max(image.shape)
        factors: list[int] = []
        while side / 2 ** len(factors) > BLOCK:
            factors.append(2 ** (len(factors) + 1))
        image.build_overviews(factors, Resampling.average)


def _copy(draft: Path, final: Path, dtype: str, threads: int, overviews: bool) -> None:
    """Copy block after block in the order of the file."""
    predictor = {"uint8": "1", "float32": "3"}.get(dtype, "2")
    rasterio.shutil.copy(
        draft, final, driver="GTiff", tiled="YES", blockxsize=BLOCK, blockysize=BLOCK, compress="DEFLATE", zlevel=6,
        predictor=predictor, interleave="BAND", bigtiff="IF_SAFER", num_threads=threads,
        copy_src_overviews=overviews,
    )  # fmt: skip
