"""Sensors, by the name that the settings give to their format."""

import inspect
import reprlib
from importlib import import_module
from typing import TYPE_CHECKING, Any

from parcelle.errors import SettingsError
from parcelle.foreign import told
from parcelle.sensors.base import Acquisition, Asset, Band, Format, Mask, Problem
from parcelle.sensors.own import Own

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
        SettingsError: There is no such format, or its module fails.

    """
    place = FORMATS.get(name, name)
    module, colon, attribute = place.partition(":")
    if not colon:
        raise SettingsError(f"no format {name!r}; choose from {', '.join(FORMATS)}, or 'module:Class'")
    with told(f"format {name!r} cannot be imported", SettingsError):
        kind = getattr(import_module(module), attribute)
    if not isinstance(kind, type):
        raise SettingsError(f"format {name!r} is not a class")
    return kind


def of(settings: "Sensor") -> Format:
    """Sensor that a section of the settings describes.

    Raises:
        SettingsError: There is no such format, it takes other settings, or it is not what a format should be.

    """
    name, kind = settings.format, find(settings.format)
    with told(f"format {name!r} cannot be set up", SettingsError):
        format: Format = kind(**_options(settings, kind))
        _check(name, format)
    return format if name in FORMATS else Own(name, format)


def _options(settings: "Sensor", kind: type[Format]) -> dict[str, Any]:
    """Settings that a format takes."""
    taken = inspect.signature(kind).parameters
    given = {name: value for name in OPTIONS if (value := getattr(settings, name)) is not None}
    if refused := [name for name in given if name not in taken]:
        raise SettingsError(f"format {settings.format!r} takes no `{refused[0]}`: remove it")
    if "path" in taken:
        given["path"] = settings.path
    return given


def _check(name: str, format: Format) -> None:
    """Refuse what lacks something of a format, or has no bands."""
    if missing := [wanted for wanted in CONTRACT if not hasattr(format, wanted)]:
        raise SettingsError(f"format {name!r} is not a sensor: it has no {', '.join(missing)}")
    bands = format.bands
    if not isinstance(bands, tuple | list) or not bands or not all(isinstance(band, Band) for band in bands):
        raise SettingsError(
            f"format {name!r} is not a sensor: its `bands` are {reprlib.repr(bands)}, where a tuple of one Band or "
            "more is expected"
        )
