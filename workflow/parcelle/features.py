"""Features: what a model sees of a pixel. Their names, their order, and how they follow from a gap-filled series."""

import datetime
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from parcelle import sensors
from parcelle.errors import SettingsError
from parcelle.expressions import Expression, parse
from parcelle.sensors import Band, Format

if TYPE_CHECKING:
    from parcelle import settings as s

# Normalised differences are features in steps of 1 / RATIO, as reflectance is.
RATIO = 10_000

# Of common band names; NDWI has the sign of iota2's, opposite to Gao (1996).
INDICES = {"ndvi": ("nir", "red"), "ndwi": ("swir16", "nir")}


@dataclass(frozen=True)
class Recipe:
    """How the features of one sensor are made; every default of the settings is resolved.

    Attributes:
        sensor: Name in the settings; starts the features' names.
        optical: Whether its dates count in `validity`.
        bands: Bands in use.
        integer: Whether values are int16 (reflectance × 10,000) or float32 (dB, K).
        resampling: How coarser bands come to the tile's grid.
        indices: Name, expression and scale of each index, in order. The value is multiplied by the scale and rounded,
            within ±32,767, so that it is an integer as the bands are; a scale of 0 keeps it as it is.
        dates: Regular dates.
        mask_buffer: Pixels around what masks call invalid that are not valid either.
        reach: Pixels around a pixel that have a say in its features.
        static: Whether there is one image, of no date; `dates` holds one day then, which no name shows.

    """

    sensor: str
    optical: bool
    bands: tuple[str, ...]
    integer: bool
    resampling: str
    indices: tuple[tuple[str, str, int], ...]
    dates: tuple[str, ...]
    mask_buffer: int = 0
    reach: int = 0
    static: bool = False

    @classmethod
    def from_dict(cls, content: dict) -> Self:
        """Read what `to_dict` gave."""
        indices = tuple((name, text, scale) for name, text, scale in content["indices"])
        return cls(
            **{
                **content,
                "bands": tuple(content["bands"]),
                "indices": indices,
                "dates": tuple(content["dates"]),
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for `params` of a rule."""
        return asdict(self)

    @property
    def dtype(self) -> type:
        """Type of the values of the series."""
        return np.int16 if self.integer else np.float32

    @property
    def days(self) -> np.ndarray:
        """Regular dates as day numbers ``(date,)`` int32."""
        return np.array([datetime.date.fromisoformat(d).toordinal() for d in self.dates], np.int32)

    @cached_property
    def expressions(self) -> tuple[Expression, ...]:
        """Parsed `indices`."""
        return tuple(parse(text, self.bands) for _, text, _ in self.indices)

    @cached_property
    def names(self) -> list[str]:
        """Feature names: all bands date by date, then each index over all dates."""
        days = [""] if self.static else [f".{d.replace('-', '')}" for d in self.dates]
        bands = [f"{self.sensor}.{band}{day}" for day in days for band in self.bands]
        return bands + [f"{self.sensor}.{name}{day}" for name, _, _ in self.indices for day in days]


def recipes(settings: "s.Settings") -> list[Recipe]:
    """Recipes of all sensors, in the order of the settings."""
    return [_recipe(name, sensor, settings.period) for name, sensor in settings.sensors.items()]


def dtype_of(every: Sequence[Recipe]) -> type:
    """Type of the features of all sensors: int16 if all are integers, else float32."""
    integer = all(r.integer and all(scale for _, _, scale in r.indices) for r in every)
    return np.int16 if integer else np.float32


def names(every: Sequence[Recipe]) -> list[str]:
    """Feature names of all sensors, one after the other."""
    return [name for recipe in every for name in recipe.names]


def regular_dates(period: "s.Period", step: int | None = None) -> list[datetime.date]:
    """From `start`, every `step` days (those of the period if None) while not after `end`."""
    step = step or period.step
    count = (period.end - period.start).days // step + 1
    return [period.start + datetime.timedelta(days=step * i) for i in range(count)]


def check(sensor: "s.Sensor", format: Format) -> None:
    """Refuse bands, indices and expressions that the sensor cannot give.

    Raises:
        SettingsError: The first that it cannot.

    """
    names = tuple(b.name for b in _bands(sensor, format))
    # The user's own are read as they are written; a feature's name has no spaces, and without them `b2 b3` is a word.
    for text in (*(t.lower() for t in sensor.additional), *(t for _, t, _ in _indices(sensor, format))):
        parse(text, names)


def _recipe(name: str, sensor: "s.Sensor", period: "s.Period") -> Recipe:
    format = sensors.of(sensor)
    bands, static = _bands(sensor, format), getattr(format, "static", False)
    days = [period.start] if static else regular_dates(period, sensor.step)
    return Recipe(
        sensor=name,
        optical=format.optical,
        bands=tuple(b.name for b in bands),
        integer=bands[0].unit == "reflectance",
        resampling="nearest" if sensor.kind == "categorical" else sensor.resampling,
        indices=_indices(sensor, format),
        dates=tuple(d.isoformat() for d in days),
        mask_buffer=sensor.mask_buffer,
        static=static,
    )


def _bands(sensor: "s.Sensor", format: Format) -> list[Band]:
    """Bands in use: those the settings name, or all that have the unit of the sensor's first one."""
    if sensor.bands is None:
        return [b for b in format.bands if b.unit == format.bands[0].unit]
    known = {b.name: b for b in format.bands}
    wanted = [name.lower() for name in sensor.bands]
    if unknown := [name for name in wanted if name not in known]:
        raise SettingsError(f"bands: no band {unknown[0]!r}; {sensor.format} has {', '.join(known)}")
    if len(set(wanted)) < len(wanted):
        raise SettingsError("bands: a band is listed twice")
    return _one_unit([known[name] for name in wanted])


def _one_unit(bands: list[Band]) -> list[Band]:
    """Refuse bands of several units: the values of a series have one unit and one type."""
    other = next((b for b in bands if b.unit != bands[0].unit), None)
    if other:
        raise SettingsError(
            f"bands: {bands[0].name} is {bands[0].unit}, {other.name} is {other.unit}; "
            "name a second sensor, with the same path, for the bands of the other unit"
        )
    return bands


def _indices(sensor: "s.Sensor", format: Format) -> tuple[tuple[str, str, int], ...]:
    """Name, expression and scale of each index; the expressions of `additional` are their own names."""
    bands = _bands(sensor, format)
    common = {b.common: b.name for b in bands}
    possible = {
        k: f"({common[a]}-{common[b]})/({common[a]}+{common[b]})"
        for k, (a, b) in INDICES.items()
        if {a, b} <= set(common)
    }
    if bands[0].unit == "reflectance":
        possible["brightness"] = f"sqrt({'+'.join(f'{b.name}**2' for b in bands)})"
    chosen = list(possible) if sensor.indices is None else sensor.indices
    if unknown := [name for name in chosen if name not in possible]:
        raise SettingsError(f"indices: {unknown[0]!r} cannot be made of the bands {', '.join(b.name for b in bands)}")
    additional = [text.replace(" ", "").lower() for text in sensor.additional]
    named = [*(b.name for b in bands), *chosen, *additional]
    if twice := [name for i, name in enumerate(named) if name in named[:i]]:
        raise SettingsError(f"indices, additional: {twice[0]!r} would be a feature twice")
    # Brightness of reflectance × 10,000 has that unit already; of an expression of the user's, nobody knows the range.
    scales = {name: 1 if name == "brightness" else RATIO for name in chosen}
    return tuple((name, possible[name], scales[name]) for name in chosen) + tuple((t, t, 0) for t in additional)
