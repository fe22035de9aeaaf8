"""Sensors, by the name that the settings give to their format."""

import inspect
from importlib import import_module
from typing import TYPE_CHECKING

from parcelle.errors import SettingsError
from parcelle.sensors.base import Acquisition, Asset, Band, Format, Mask, Problem

if TYPE_CHECKING:
    from parcelle.settings import Sensor

__all__ = ["FORMATS", "Acquisition", "Asset", "Band", "Format", "Mask", "Problem", "find", "of"]

FORMATS = {
    "sentinel2-theia-l2a": "parcelle.sensors.theia:Sentinel2L2A",
    "sentinel2-theia-l3a": "parcelle.sensors.theia:Sentinel2L3A",
    "sentinel2-sen2cor-l2a": "parcelle.sensors.sen2cor:Sentinel2L2A",
    "landsat-c2-l2": "parcelle.sensors.landsat:LandsatC2L2",
    "landsat-theia": "parcelle.sensors.theia_landsat:LandsatTheia",
    "sentinel1-s1tiling": "parcelle.sensors.s1tiling:Sentinel1",
    "stac": "parcelle.sensors.stac:Stac",
    "rasters": "parcelle.sensors.rasters:Rasters",
}
CONTRACT = ("bands", "optical", "products", "find")

# Settings of a sensor that go to its format, where that takes them; and `path`, which all have.
OPTIONS = ("collection", "reflectance", "invalid", "orbit", "kind", "names", "assets")


def find(name: str) -> type[Format]:
    """Find the class behind the name of a format; its module is imported only now.

    A name with a colon, as in ``package.module:Class``, is a sensor from elsewhere.

    Raises:
        SettingsError: There is no such format.

    """
    place = FORMATS.get(name, name)
    module, colon, attribute = place.partition(":")
    if not colon:
        raise SettingsError(f"no format {name!r}; choose from {', '.join(FORMATS)}, or 'module:Class'")
    try:
        kind = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, TypeError, ValueError) as error:  # the last two: '.a:B', ':B'
        raise SettingsError(f"format {name!r} cannot be imported: {error}") from None
    if not isinstance(kind, type):
        raise SettingsError(f"format {name!r} is not a class")
    return kind


def of(settings: "Sensor") -> Format:
    """Sensor that a section of the settings describes."""
    kind = find(settings.format)
    taken = inspect.signature(kind).parameters
    given = {name: value for name in OPTIONS if (value := getattr(settings, name)) is not None}
    if refused := [name for name in given if name not in taken]:
        raise SettingsError(f"format {settings.format!r} takes no `{refused[0]}`: remove it")
    if "path" in taken:
        given["path"] = settings.path
    format = kind(**given)
    if missing := [name for name in CONTRACT if not hasattr(format, name)]:
        raise SettingsError(f"format {settings.format!r} is not a sensor: it has no {', '.join(missing)}")
    return format
