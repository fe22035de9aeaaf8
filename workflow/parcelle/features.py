"""Features: what a model sees of a pixel. Their names, their order, and how they follow from a gap-filled series."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from parcelle import external, indices, periods, sensors
from parcelle.errors import SettingsError
from parcelle.expressions import Expression, parse
from parcelle.external import External
from parcelle.periods import LINEAR, Composite, Filling
from parcelle.sensors import Band, Format

if TYPE_CHECKING:
    from parcelle import settings as s

# Normalised differences are features in steps of 1 / RATIO, as reflectance is.
RATIO = 10_000

# Of common band names; NDWI has the sign of iota2's, opposite to Gao (1996).
INDICES = {"ndvi": ("nir", "red"), "ndwi": ("swir16", "nir")}

# Side in pixels of what a filter of speckle looks at.
SQUARE = 7

# Of VV and VH in dB, also in dB: the ratio and the sum of the two powers. 0.23… is log(10) / 10. Only where asked for.
RADAR = {
    "ratio": "{vv}-{vh}",
    "sum": "4.342944819032518*log(exp(0.2302585092994046*{vv})+exp(0.2302585092994046*{vh}))",
}

# All of these, and what they need; other indices are the catalogue's.
OWN = {**INDICES, "brightness": ("reflectances",), **dict.fromkeys(RADAR, ("vv", "vh"))}


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
        speckle: Filter of speckle: `none`, `lee` or `quegan`.
        speckle_window: Side of its square in pixels.
        kept: Whether models see its features; else only external functions see its series.
        filling: How gaps are filled.
        composite: What is made of the observations of a month or dekad, if anything; `dates` are their middles then.

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
    speckle: str = "none"
    speckle_window: int = SQUARE
    kept: bool = True
    filling: Filling = LINEAR
    composite: Composite | None = None

    @classmethod
    def from_dict(cls, content: dict) -> Self:
        """Read what `to_dict` gave."""
        indices = tuple((name, text, scale) for name, text, scale in content["indices"])
        composite = content.get("composite")
        return cls(
            **{
                **content,
                "bands": tuple(content["bands"]),
                "indices": indices,
                "dates": tuple(content["dates"]),
                "filling": Filling(**content.get("filling", {})),
                "composite": Composite(**composite) if composite else None,
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
    def power(self) -> bool:
        """Whether the series keeps linear power: speckle is still to be filtered, before it is brought to dB."""
        return self.speckle != "none"

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
        """Feature names: all bands date by date, then each index over all dates; none if they are not kept."""
        if not self.kept:
            return []
        days = [""] if self.static else [f".{d.replace('-', '')}" for d in self.dates]
        bands = [f"{self.sensor}.{band}{day}" for day in days for band in self.bands]
        return bands + [f"{self.sensor}.{name}{day}" for name, _, _ in self.indices for day in days]


# What features come from.
Source = Recipe | External


def recipes(settings: "s.Settings") -> list[Recipe]:
    """Recipes of all sensors, in the order of the settings."""
    made = [_recipe(name, sensor, settings.period) for name, sensor in settings.sensors.items()]
    margin = external.margin_of([*settings.external.values()])
    kept = not any(one.replace for one in settings.external.values())
    return [replace(recipe, reach=recipe.reach + margin, kept=kept) for recipe in made]


def sources(settings: "s.Settings") -> list[Source]:
    """Recipes of all sensors, then external features, in the order of the settings; functions are tried out.

    Raises:
        SettingsError: A function fails, or what it gives are no features.

    """
    made = recipes(settings)
    return [*made, *(external.tried(name, one, made) for name, one in settings.external.items())]


def to_dicts(every: Sequence[Source]) -> list[dict[str, Any]]:
    """Plain values, for `params` of a rule."""
    return [source.to_dict() for source in every]


def from_dicts(content: Sequence[dict]) -> list[Source]:
    """Read what `to_dicts` gave."""
    return [External.from_dict(one) if "function" in one else Recipe.from_dict(one) for one in content]


def of_sensors(every: Sequence[Source]) -> list[Recipe]:
    """Recipes among the sources."""
    return [source for source in every if isinstance(source, Recipe)]


def externals(every: Sequence[Source]) -> list[External]:
    """External features among the sources."""
    return [source for source in every if isinstance(source, External)]


def dtype_of(every: Sequence[Source]) -> type:
    """Type of all features: int16 if all are integers, else float32, as all external ones are."""
    kept = [recipe for recipe in of_sensors(every) if recipe.kept]
    integer = all(r.integer and all(scale for _, _, scale in r.indices) for r in kept)
    return np.int16 if integer and not externals(every) else np.float32


def names(every: Sequence[Source]) -> list[str]:
    """Names of all features, one source after the other."""
    return [name for source in every for name in source.names]


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
    periods.check(sensor, getattr(format, "static", False))
    _check_speckle(sensor, format)


def _check_speckle(sensor: "s.Sensor", format: Format) -> None:
    """Refuse a filter of speckle where there is none, and what does not go with it."""
    if sensor.speckle == "none":
        if sensor.speckle_window is not None:
            raise SettingsError("speckle_window: there is no filter; set `speckle: lee` or `quegan`, or remove it")
        return
    unit = _bands(sensor, format)[0].unit
    if unit != "dB":
        raise SettingsError(f"speckle: found {sensor.speckle!r} for bands of unit {unit}; it is for radar: remove it")
    if sensor.resampling == "cubic":
        raise SettingsError("resampling: found 'cubic', which may make power negative; with `speckle`, use 'bilinear'")


def _recipe(name: str, sensor: "s.Sensor", period: "s.Period") -> Recipe:
    format = sensors.of(sensor)
    bands, static = _bands(sensor, format), getattr(format, "static", False)
    days = [period.start] if static else _days(name, sensor, period)
    square = sensor.speckle_window or SQUARE
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
        reach=square // 2 if sensor.speckle != "none" else 0,
        speckle=sensor.speckle,
        speckle_window=square,
        filling=periods.filling(sensor, sensor.step or period.step),
        composite=Composite(**sensor.composite.model_dump()) if sensor.composite else None,
    )


def _days(name: str, sensor: "s.Sensor", period: "s.Period") -> list[datetime.date]:
    """Regular dates of a sensor: those of the period, or the middles of months or dekads.

    Raises:
        SettingsError: There is none, or fewer than a window of `savgol` needs.

    """
    by = sensor.composite.by if sensor.composite else None
    days = periods.middles(period.start, period.end, by) if by else regular_dates(period, sensor.step)
    if not days:
        raise SettingsError(f"sensors.{name}.composite: the middle of no {by} lies in the period; make it longer")
    window = periods.filling(sensor, period.step).window
    if len(days) < window:
        raise SettingsError(
            f"sensors.{name}.smoothing_window: found {window} where there are {len(days)} regular dates; allowed: at "
            "most as many"
        )
    return days


def _bands(sensor: "s.Sensor", format: Format) -> list[Band]:
    """Bands in use: those the settings name, or the format's default, or all that have the unit of its first one."""
    if sensor.bands is None:
        default = getattr(format, "default", None)
        return [b for b in format.bands if (b.name in default if default else b.unit == format.bands[0].unit)]
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
    if bands[0].unit == "dB" and {"vv", "vh"} <= set(common):
        possible |= {name: text.format(**common) for name, text in RADAR.items()}
    chosen = [name for name in possible if name not in RADAR] if sensor.indices is None else sensor.indices
    made = [_index(name, possible, bands) for name in chosen]
    additional = [text.replace(" ", "").lower() for text in sensor.additional]
    named = [*(b.name for b in bands), *(name for name, _, _ in made), *additional]
    if twice := [name for i, name in enumerate(named) if name in named[:i]]:
        raise SettingsError(f"indices, additional: {twice[0]!r} would be a feature twice")
    # Of an expression of the user's, nobody knows the range.
    return (*made, *((t, t, 0) for t in additional))


def _index(name: str, possible: Mapping[str, str], bands: Sequence[Band]) -> tuple[str, str, int]:
    """Name, expression and scale of an index: one of `possible`, or of the catalogue."""
    own = name.lower()
    if own in possible:
        # Brightness of reflectance × 10,000 has that unit already.
        return own, possible[own], 1 if own == "brightness" else 0 if own in RADAR else RATIO
    if own in OWN:
        raise indices.lacking(name, bands, OWN[own])
    index = indices.find(name, tuple(OWN))
    text, normalised = indices.made_of(index, bands)
    return index.name, text, RATIO if normalised else 0
