"""How a series is brought to regular dates, and the calendar's months and dekads: plain values, without kernels."""

import calendar
import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from parcelle.errors import SettingsError

if TYPE_CHECKING:
    from parcelle import settings as s

# First day of each part of a month.
PARTS = {"month": (1,), "dekad": (1, 11, 21)}

# Of what the settings leave empty: λ of `whittaker`; window and order of `savgol`.
SMOOTHING, WINDOW, ORDER = 1.0, 5, 2


@dataclass(frozen=True)
class Filling:
    """What stands at regular dates without an observation; a number that its method does not use is 0.

    Attributes:
        method: `linear`, `none`, `whittaker` or `savgol`.
        within: For `none`: most days between a regular date and the observation that it takes.
        smoothing: For `whittaker`: λ, how much smoothness counts.
        window: For `savgol`: regular dates that have a say in one.
        order: For `savgol`: order of the polynomials.

    """

    method: str = "linear"
    within: float = 0.0
    smoothing: float = 0.0
    window: int = 0
    order: int = 0

    @property
    def smooths(self) -> bool:
        """Whether series are smoothed once they are filled."""
        return self.method in ("whittaker", "savgol")


LINEAR = Filling()


@dataclass(frozen=True)
class Composite:
    """One observation of each `month` or `dekad`: the `median`, `medoid` or `mean` of the valid ones."""

    by: str
    method: str


def middle(day: datetime.date, by: str) -> datetime.date:
    """Middle day of the month or dekad of a day; of two, the earlier one."""
    first = max(start for start in PARTS[by] if start <= day.day)
    later = [start for start in PARTS[by] if start > day.day]
    last = later[0] - 1 if later else calendar.monthrange(day.year, day.month)[1]
    return day.replace(day=(first + last) // 2)


def middles(start: datetime.date, end: datetime.date, by: str) -> list[datetime.date]:
    """Middle days of months or dekads that are not before `start` and not after `end`."""
    return [day for day in _middles(start, end, by) if start <= day <= end]


def _middles(start: datetime.date, end: datetime.date, by: str) -> Iterator[datetime.date]:
    for months in range(start.year * 12 + start.month - 1, end.year * 12 + end.month):
        for part in PARTS[by]:
            yield middle(datetime.date(months // 12, months % 12 + 1, part), by)


def grouped(days: np.ndarray, by: str) -> tuple[np.ndarray, np.ndarray]:
    """Divide days among months or dekads.

    Args:
        days: Day numbers, ascending ``(day,)``.
        by: `month` or `dekad`.

    Returns:
        Place of the first day of each month or dekad with any, and last their number ``(period + 1,)`` int64; day
        numbers of the middles ``(period,)`` int32.

    """
    found = [middle(datetime.date.fromordinal(int(day)), by).toordinal() for day in days]
    sizes = {day: len(list(same)) for day, same in groupby(found)}
    return np.cumsum([0, *sizes.values()]), np.array(list(sizes), np.int32)


def check(sensor: "s.Sensor", static: bool) -> None:
    """Refuse settings of time that do not go together.

    Raises:
        SettingsError: The first that does not.

    """
    if static and (sensor.gapfill != "linear" or sensor.composite):
        name = "composite" if sensor.composite else "gapfill"
        raise SettingsError(f"{name}: an image without a date has no gaps and no months: remove it")
    if sensor.composite and sensor.step:
        raise SettingsError(f"step: found {sensor.step} beside `composite`, which has dates of its own: remove it")
    for name, method in (("smoothing", "whittaker"), ("smoothing_window", "savgol"), ("smoothing_order", "savgol")):
        value = getattr(sensor, name)
        if value is not None and sensor.gapfill != method:
            raise SettingsError(
                f"{name}: found {value} where `gapfill` is {sensor.gapfill!r}; set `gapfill: {method}` or remove it"
            )
    window, order = sensor.smoothing_window or WINDOW, sensor.smoothing_order or ORDER
    if window % 2 == 0:
        raise SettingsError(f"smoothing_window: found {window}; allowed: an odd number")
    if order >= window:
        raise SettingsError(f"smoothing_order: found {order}; allowed: less than the window of {window} dates")


def filling(sensor: "s.Sensor", step: int) -> Filling:
    """How gaps are filled, by checked settings, where regular dates are so many days apart."""
    match sensor.gapfill:
        case "none":
            return Filling("none", within=0.0 if sensor.composite else step / 2)
        case "whittaker":
            return Filling("whittaker", smoothing=sensor.smoothing or SMOOTHING)
        case "savgol":
            return Filling("savgol", window=sensor.smoothing_window or WINDOW, order=sensor.smoothing_order or ORDER)
    return LINEAR
