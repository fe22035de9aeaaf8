"""Opening files of others: by which drivers of GDAL, and never what is no file."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from parcelle import files
from parcelle.errors import InputError

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

# Drivers of GDAL for GeoTIFF and JPEG 2000, which read nothing but the file itself. A file of another driver, whatever
# its name ends with, may lead to any other file or address: a VRT inside a product would.
DRIVERS = ("GTiff", "COG", "JP2OpenJPEG", "JP2KAK", "JP2ECW", "JP2MrSID", "JP2Lura")


def image(path: str, drivers: Sequence[str] | None = None) -> "DatasetReader":
    """Open an image, within a `rasterio.Env`.

    Args:
        path: A path or an address, as GDAL takes it.
        drivers: Drivers that may open it; None for any.

    Raises:
        InputError: It is no file.
        rasterio.errors.RasterioIOError: It cannot be opened.

    """
    from rasterio.io import DatasetReader  # not by those that only ask whether there is a file

    refuse_special(path)
    return DatasetReader(path, driver=None if drivers is None else list(drivers))


def reason(error: Exception, drivers: Sequence[str] | None) -> str:
    """Say why an image could not be opened, and what it should have been."""
    if drivers is None or "not recognized" not in str(error):
        return str(error)
    kinds = "GeoTIFF or JPEG 2000" if tuple(drivers) == DRIVERS else " or ".join(drivers)
    return f"{error} It must be {kinds}."


def refuse_special(path: str) -> None:
    """Refuse a named pipe, a socket or a device: reading one may never end.

    Raises:
        InputError: It is one. What is not there, or must not be looked at, is left to whoever opens it.

    """
    if files.special(path):
        raise InputError(f"{path} is no file, but a named pipe, a socket or a device: put the file itself there.")
