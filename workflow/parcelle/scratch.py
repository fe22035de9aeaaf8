"""Images in JPEG 2000, decoded once per tile into scratch space: it decodes twenty times slower than what is written.

A copy is named by the path, size and time of its image, so one that was replaced is decoded again, and jobs that need
the same images share them. It takes its name when it is whole.
"""

import contextlib
import functools
import logging
import os
import shutil
import socket
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import rasterio
import rasterio.shutil

from parcelle import files
from parcelle.acquisitions import Inventory
from parcelle.errors import InputError, SettingsError
from parcelle.images import GDAL
from parcelle.sensors import Acquisition

log = logging.getLogger(__name__)

SLOW = "JP2"  # how the names of GDAL's drivers for JPEG 2000 begin

# Level 1 of ZSTD is written at the speed of the disk, and read three times faster than deflate.
COPY = dict(driver="GTiff", tiled="YES", blockxsize=512, blockysize=512, bigtiff="IF_SAFER")
COMPRESSION = dict(compress="ZSTD", zstd_level=1, predictor=2)


def of_node(named: str | float | None) -> str | None:
    """Folder on a disk of the machine itself, which the resource `node_scratch` of a job names; None without one.

    Args:
        named: Its path, or the name of a variable of the job's environment that holds it, such as ``TMPDIR``. In a
            profile, Snakemake replaces ``$TMPDIR`` where the command is typed: the login node may have another.

    Raises:
        SettingsError: There is no such folder on this machine.

    """
    text = str(named or "")
    folder = os.environ.get(text, text) if text.isidentifier() else os.path.expandvars(text)
    if folder and not (Path(folder).is_absolute() and Path(folder).is_dir()):
        told = f" ({folder})" if folder != text else ""
        raise SettingsError(
            f"node_scratch: {text}{told} is no folder on {socket.gethostname()}, nor a variable of the job that names "
            "one: correct it in the profile, or remove it."
        )
    return folder or None


def decoded(inventory: Inventory, folder: str | None, threads: int) -> Inventory:
    """Decode images that are slow to read; the acquisitions that come back name the copies.

    Args:
        inventory: Acquisitions of a tile.
        folder: Where to; None leaves everything as it is.
        threads: Images at a time.

    Raises:
        InputError: An image cannot be read, or there is no room for its copy.

    """
    if folder is None:
        return inventory
    of_bands = {asset.path for a in inventory.acquisitions for asset in a.assets.values()}
    paths = sorted(of_bands | {mask.path for a in inventory.acquisitions for mask in a.masks})
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(functools.partial(_decoded, folder=_place(folder, inventory)), paths))
    copies = {path: copy for path, copy in zip(paths, found, strict=True) if copy}
    log.info("%d of %d images are decoded in %s", len(copies), len(paths), folder)
    return replace(inventory, acquisitions=tuple(_renamed(a, copies) for a in inventory.acquisitions))


def forget(inventory: Inventory, folder: str | None) -> None:
    """Remove the copies of a tile."""
    if folder is not None:
        shutil.rmtree(_place(folder, inventory), ignore_errors=True)


def _place(folder: str, inventory: Inventory) -> Path:
    return Path(folder) / inventory.tile


def _decoded(path: str, folder: Path) -> str | None:
    """Path of the copy of an image; None if it needs none."""
    copy = folder / f"{files.state([path])}.tif"
    if copy.exists():
        return str(copy)
    draft = folder / f".{uuid.uuid4().hex[:12]}.tif"
    try:
        with rasterio.Env(**GDAL), rasterio.open(path) as image:
            if not image.driver.startswith(SLOW):
                return None
            folder.mkdir(parents=True, exist_ok=True)
            rasterio.shutil.copy(image, draft, **COPY, **COMPRESSION)
        draft.replace(copy)
    except (rasterio.errors.RasterioError, OSError) as error:
        raise InputError(
            f"{path} cannot be decoded into {folder} ({error}): repair the product, or make room there."
        ) from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
    return str(copy)


def _renamed(acquisition: Acquisition, copies: dict[str, str]) -> Acquisition:
    """The same acquisition, of the copies."""
    assets = {n: replace(a, path=copies.get(a.path, a.path)) for n, a in acquisition.assets.items()}
    masks = tuple(replace(m, path=copies.get(m.path, m.path)) for m in acquisition.masks)
    return replace(acquisition, assets=assets, masks=masks)
