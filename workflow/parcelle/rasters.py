"""Write rasters window by window, and end with an ordered copy whose bytes depend on nothing but the pixels."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.windows import Window

from parcelle import files
from parcelle.grid import Grid

BLOCK = 512


@contextlib.contextmanager
def writer(
    path: str | Path, grid: Grid, dtype: str, count: int, tags: Mapping[str, str], threads: int = 1
) -> Iterator["Writer"]:
    """Open a raster to write; it takes its name, tiled and compressed, when the block ends without an error.

    Args:
        path: GeoTIFF to write; nodata is 0.
        grid: Its grid.
        dtype: Pixel type.
        count: Number of bands.
        tags: Written into the file.
        threads: For the compression; they change no byte.

    """
    with files.whole(path) as final:
        draft = final.with_suffix(".draft.tif")
        profile: dict[str, Any] = dict(driver="GTiff", dtype=dtype, count=count, nodata=0, bigtiff="IF_SAFER")
        profile |= dict(crs=grid.crs, transform=grid.transform, height=grid.height, width=grid.width)
        profile |= dict(tiled=True, blockxsize=BLOCK, blockysize=BLOCK, interleave="band")
        try:
            with rasterio.open(draft, "w", **profile) as image:
                image.update_tags(**tags)
                yield Writer(image)
            _copy(draft, final, dtype, threads)
        finally:
            draft.unlink(missing_ok=True)


class Writer:
    """An open raster."""

    def __init__(self, image: Any):
        self._image = image

    def write(self, window: Window, pixels: np.ndarray) -> None:
        """Write a window: ``(band, row, column)``, or ``(row, column)`` of a raster with one band."""
        self._image.write(pixels if pixels.ndim == 3 else pixels[None], window=window)

    def describe(self, names: list[str]) -> None:
        """Name the bands."""
        self._image.descriptions = names


def _copy(draft: Path, final: Path, dtype: str, threads: int) -> None:
    """Copy block after block in the order of the file."""
    predictor = "1" if dtype == "uint8" else "2"
    rasterio.shutil.copy(
        draft, final, driver="GTiff", tiled="YES", blockxsize=BLOCK, blockysize=BLOCK, compress="DEFLATE", zlevel=6,
        predictor=predictor, interleave="BAND", bigtiff="IF_SAFER", num_threads=threads,
    )  # fmt: skip
