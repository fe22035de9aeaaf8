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
    "stac": "parcelle.sensors.stac:Stac",
}


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
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"format {name!r} cannot be imported: {error}") from None


def of(settings: "Sensor") -> Format:
    """Sensor that a section of the settings describes."""
    kind = find(settings.format)
    takes_collection = "collection" in inspect.signature(kind).parameters
    if settings.collection is not None and not takes_collection:
        raise SettingsError(f"format {settings.format!r} has no collections: remove `collection`")
    return kind(settings.collection) if takes_collection else kind()
