"""External features: what a function of the user's own makes of the series of a block of pixels."""

import datetime
import functools
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from parcelle.errors import ParcelleError, SettingsError
from parcelle.foreign import FAILURES, digest_of_file, imported, kind, said

if TYPE_CHECKING:
    from parcelle import settings as s
    from parcelle.features import Recipe

Function = Callable[..., Mapping[str, np.ndarray]]

_KEYS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")

# Of the blocks that a function is tried on: pixels beyond its margin on each axis, and acquisitions of each sensor.
# Features must be the same in both.
_TRIALS = ((5, 7, 4), (3, 8, 6))


class SensorSeries:
    """The series of one sensor on a block of pixels, as a function sees it. No array may be written to.

    Attributes:
        bands: Names of the bands.
        dates: Regular dates; of a sensor without dates (a DEM), one that means nothing.
        values: Gap-filled ``(date, band, row, column)``: int16 reflectance × 10,000, or float32 in the sensor's unit. A
            pixel that was never seen is 0.
        raw_dates: Day of each acquisition, ascending; several may be of one day.
        valid: Where an acquisition is observed, and clear of all masks ``(acquisition, row, column)`` bool.

    """

    def __init__(
        self,
        recipe: "Recipe",
        values: np.ndarray,
        raw_dates: Sequence[datetime.date],
        valid: np.ndarray,
        raw: Callable[[], np.ndarray],
    ):
        """Hold the series; `raw` reads what the property of that name gives."""
        self._recipe, self._read = recipe, raw
        self.bands = recipe.bands
        self.dates = tuple(datetime.date.fromisoformat(d) for d in recipe.dates)
        self.raw_dates = tuple(raw_dates)
        self.values, self.valid = _read_only(values), _read_only(valid)

    @functools.cached_property
    def raw(self) -> np.ndarray:
        """Acquisitions as they were observed ``(acquisition, band, row, column)``; 0 where they are not valid.

        Coarser bands are brought to the tile's pixels, as `values` are; the type is that of `values`.
        """
        return _read_only(self._read())

    def band(self, name: str) -> np.ndarray:
        """Gap-filled values of a band ``(date, row, column)``.

        Raises:
            ValueError: There is no such band.

        """
        return self.values[:, self._place(name, self.bands, "band")]

    def index(self, name: str) -> np.ndarray:
        """An index of the settings on the regular dates ``(date, row, column)`` float32.

        The values are those of its features: normalised differences × 10,000. A pixel where an expression of the
        user's is not defined on some date is NaN on all.

        Raises:
            ValueError: There is no such index.

        """
        from parcelle.programs import Program

        place = self._place(name, [known for known, _, _ in self._recipe.indices], "index")
        dates, bands, height, width = self.values.shape
        planes = np.empty((dates * (bands + 1), height * width), np.float32)
        planes[: dates * bands] = self.values.reshape(dates * bands, -1)
        program = Program.of(self._recipe.expressions[place], self.bands, self._recipe.indices[place][2])
        undefined = program.run(planes, 0, dates, bands, dates * bands)
        planes[:, undefined] = np.nan
        return planes[dates * bands :].reshape(dates, height, width)

    def _place(self, name: str, known: Sequence[str], kind: str) -> int:
        if name not in known:
            raise ValueError(f"{self._recipe.sensor} has no {kind} {name!r}; it has {', '.join(known) or 'none'}")
        return list(known).index(name)


def _read_only(array: np.ndarray) -> np.ndarray:
    """A view that cannot be written to: several functions see the same block."""
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True)
class External:
    """A function of the user's, and the features that it gives.

    Attributes:
        name: Name in the settings; starts the features' names.
        function: Where it is: ``module:function`` or ``folder/file.py:function``.
        margin: Pixels around a pixel that it looks at.
        arguments: Given to it by name.
        features: What it gives: the keys of its arrays, those of several layers numbered from 1.
        digest: Of the file that it stands in: another one means that it may give something else.

    """

    name: str
    function: str
    margin: int
    arguments: Mapping[str, Any]
    features: tuple[str, ...]
    digest: str

    @classmethod
    def from_dict(cls, content: dict) -> Self:
        """Read what `to_dict` gave."""
        return cls(**{**content, "features": tuple(content["features"])})

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for `params` of a rule."""
        return asdict(self)

    @property
    def names(self) -> list[str]:
        """Feature names."""
        return [f"{self.name}.{feature}" for feature in self.features]

    def call(
        self, function: Function, series: Mapping[str, SensorSeries], shape: tuple[int, int], refuse: "Refuse"
    ) -> np.ndarray:
        """Call the function on a block.

        Args:
            function: What `find` gave.
            series: By name of the sensor.
            shape: Rows and columns of the block.
            refuse: Makes the error from a sentence that begins with the function's name.

        Returns:
            ``(feature, row, column)`` float32, in the order of `features`.

        Raises:
            ParcelleError: It fails, or what it gives is not what it gave when it was tried.

        """
        layers = _layers(_called(self, function, series, refuse), shape, refuse)
        if set(layers) != set(self.features):
            other = sorted(set(layers) ^ set(self.features))[0]
            raise refuse(f"{'gives' if other in layers else 'does not give'} {other!r}, unlike when it was tried,")
        with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is refused as such
            return np.stack([layers[feature].astype(np.float32) for feature in self.features])


def margin_of(every: "Sequence[External] | Sequence[s.External]") -> int:
    """Pixels around a pixel that any of some functions looks at; at least one, if there are functions.

    NumPy adds numbers in another order where an array is a single pixel wide: a pixel that is made alone, as some
    samples are, would have other bits than in the map.
    """
    return max((max(one.margin, 1) for one in every), default=0)


# Makes the error that says what a function does, from a sentence without its subject.
Refuse = Callable[[str], ParcelleError]


def _called(external: External, function: Function, series: Mapping[str, SensorSeries], refuse: Refuse) -> Any:
    try:
        return function(dict(series), **external.arguments)
    except FAILURES as error:  # whatever the user's function raises; its trace goes to the log
        raise refuse(f"fails ({said(error)})") from error


def _layers(made: Any, shape: tuple[int, int], refuse: Refuse) -> dict[str, np.ndarray]:
    """Name and pixels ``(row, column)`` of each feature that a function gave."""
    if not isinstance(made, Mapping):
        raise refuse(f"gives {kind(made)}, where a dict of name → array is expected")
    if not made:
        raise refuse("gives no feature")
    layers: dict[str, np.ndarray] = {}
    for key, array in made.items():
        _check(key, array, shape, refuse)
        several = {f"{key}.{i}": layer for i, layer in enumerate(array, start=1)} if array.ndim == 3 else {key: array}
        if twice := set(several) & set(layers):
            raise refuse(f"gives feature {sorted(twice)[0]!r} twice")
        layers |= several
    return layers


def _check(key: Any, array: Any, shape: tuple[int, int], refuse: Refuse) -> None:
    """Refuse what is no feature: of another name, type or shape."""
    if not isinstance(key, str) or not _KEYS.fullmatch(key):
        raise refuse(f"names a feature {key!r}; allowed: letters, digits, `_`, `-` and `.`")
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray) or array.dtype.kind not in "biuf":
        raise refuse(f"gives {key!r} as {kind(array)}, where an array of numbers is expected")
    if array.ndim not in (2, 3) or array.shape[-2:] != shape or not array.size:
        raise refuse(
            f"gives {key!r} of shape {array.shape}, where (row, column) is {shape}; or (n, row, column) for n features"
        )


def find(place: str) -> Function:
    """Find a function by ``module:function`` or ``folder/file.py:function``.

    A module may be a file in the folder that `snakemake` runs in; paths start there too.

    Raises:
        SettingsError: There is no such function.

    """
    found = imported(place)
    if not inspect.isfunction(found):
        raise SettingsError(f"{place} is no Python function, but a {type(found).__name__}")
    return found


def tried(name: str, settings: "s.External", recipes: Sequence["Recipe"]) -> External:
    """Try a function on small generated blocks: what it gives there are its features.

    Args:
        name: Its name in the settings.
        settings: Function, margin and arguments.
        recipes: Of the sensors, whose series it sees.

    Raises:
        SettingsError: It cannot be imported, it fails, or what it gives are no features.

    """
    try:
        function = find(settings.function)
        digest = digest_of_file(settings.function, function)
    except SettingsError as error:
        raise SettingsError(f"external.{name}.function: {error}") from error
    made = External(name, settings.function, settings.margin, _arguments(name, settings), (), digest)
    first, second = (_keys(made, function, recipes, *trial) for trial in _TRIALS)
    if first != second:
        raise _refused(made, "")(f"gives {', '.join(first)} on one block, and {', '.join(second)} on another")
    return replace(made, features=tuple(first))


def _arguments(name: str, settings: "s.External") -> dict[str, Any]:
    """Arguments as plain values; dates are text.

    Raises:
        SettingsError: One is something else, such as bytes.

    """
    try:
        json.dumps(settings.arguments, default=_day)
    except (TypeError, ValueError, RecursionError) as error:
        raise SettingsError(
            f"external.{name}.arguments: found what cannot be passed on ({said(error)}); allowed: numbers, text, "
            "dates, true, false, and lists and groups of them"
        ) from None
    return dict(settings.model_dump(mode="json")["arguments"])


def _day(value: Any) -> str:
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise TypeError(f"a value of type {type(value).__name__}")


def _keys(
    external: External, function: Function, recipes: Sequence["Recipe"], rows: int, columns: int, acquisitions: int
) -> list[str]:
    """Features that a function gives on a generated block."""
    shape = rows + 2 * external.margin, columns + 2 * external.margin
    series = {recipe.sensor: _generated(recipe, shape, acquisitions) for recipe in recipes}
    refuse = _refused(external, f" on a generated block of {shape[0]} × {shape[1]} pixels")
    return list(_layers(_called(external, function, series, refuse), shape, refuse))


def _refused(external: External, where: str) -> Refuse:
    def error(what: str) -> SettingsError:
        return SettingsError(f"external.{external.name}: {external.function} {what}{where}")

    return error


def _generated(recipe: "Recipe", shape: tuple[int, int], acquisitions: int) -> SensorSeries:
    """A series of plausible, positive values; a third of the pixels of each acquisition is not valid."""
    random, count = np.random.default_rng(0), 1 if recipe.static else acquisitions
    low, high = (300, 3000) if recipe.integer else (1, 30)

    def values(dates: int) -> np.ndarray:
        return random.uniform(low, high, (dates, len(recipe.bands), *shape)).astype(recipe.dtype)

    valid = np.add.outer(np.arange(count), np.arange(shape[0] * shape[1])).reshape(count, *shape) % 3 > 0
    raw: np.ndarray = np.where(valid[:, None], values(count), 0).astype(recipe.dtype)
    first = datetime.date.fromisoformat(recipe.dates[0])
    days = [first + datetime.timedelta(days=5 * i) for i in range(count)]
    return SensorSeries(recipe, values(len(recipe.dates)), days, valid, lambda: raw)
