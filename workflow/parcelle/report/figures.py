"""Pictures with axes: the confusion matrix, and the calendar of a tile.

Matplotlib is used by its objects, without pyplot and its global state; the bytes of a picture depend on nothing
but what it shows and the version of matplotlib.
"""

import datetime
import functools
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from parcelle.report.formats import UNDEFINED, count
from parcelle.report.sources import Dates, Tile
from parcelle.scores import ratio

DPI = 160
# A picture of so many inches takes 96 times as many pixels of the page, so that its letters are the page's.
PAGE_DPI = 96
# The palest part of the ramp would be lost on white.
CLEAR_RAMP, CLEAR_START = "YlGnBu", 0.25
RIGHT, WRONG = "Blues", "Oranges"
LEFT_OUT = "#c2410c"
# Height of a tile among many, in inches.
ROW = 0.14
LABEL = 30
# Width of a letter, as a share of its size; of capitals and wide scripts somewhat more.
LETTER = 0.62
_INK, _MUTED, _LINE, _NOTHING = "#1c1f23", "#5f6772", "#d9dde2", "#f1f2f4"
_P = ParamSpec("_P")


@dataclass(frozen=True)
class Picture:
    """A PNG, and the width in pixels of the page at which its letters are those of the page."""

    png: bytes
    width: int


def _drawn(draw: Callable[_P, Figure]) -> Callable[_P, Picture]:
    """Draw with matplotlib's own style, whatever the user's is, and encode without date and version."""

    @functools.wraps(draw)
    def encoded(*args: _P.args, **kwargs: _P.kwargs) -> Picture:
        with matplotlib.style.context("default"):
            figure, stream = draw(*args, **kwargs), io.BytesIO()
            figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
        return Picture(stream.getvalue(), round(figure.get_figwidth() * PAGE_DPI))

    return encoded


def shortened(name: str, length: int = LABEL) -> str:
    """Cut a name that leaves no room for the picture."""
    return name if len(name) <= length else name[: length - 1].rstrip() + "…"


@_drawn
def confusion(matrix: np.ndarray, names: Sequence[str]) -> Figure:
    """Draw a confusion matrix: in each row the percentages of the reference samples of a class.

    What is right is blue, what is wrong orange, which eyes that confuse red and green can tell apart.

    Args:
        matrix: Counts ``(K, K)``, rows are the reference.
        names: Names of the K classes.

    """
    cell = float(np.clip(9 / len(names), 0.36, 0.66))
    size = 9 if cell > 0.5 else 7.5
    labels = [shortened(name) for name in names]
    longest = max(map(len, labels)) * size * LETTER / 72
    side = cell * len(names)
    # Names on top stand at 45°; those of the last columns reach beyond the matrix, over the sample numbers.
    left, right, top = max(longest, 0.9) + 0.2, max(0.95, longest * 0.71), longest * 0.71 + 0.35
    figure = Figure(figsize=(left + side + right, top + side + 0.1))
    width, height = figure.get_size_inches()
    axes = figure.add_axes((left / width, 0.1 / height, side / width, side / height))
    _cells(axes, ratio(matrix, matrix.sum(1, keepdims=True)), size)
    _frame(axes, labels, matrix.sum(1), size)
    where = {"x": (left - 0.1) / width, "y": (side + 0.18) / height, "ha": "right", "va": "bottom"}
    figure.text(**where, s="predicted →\nreference ↓", size=size, color=_MUTED)
    return figure


def _cells(axes: Axes, shares: np.ndarray, size: float) -> None:
    """Fill the cells of a matrix of shares, NaN in a row without samples."""
    ramps = {True: matplotlib.colormaps[RIGHT], False: matplotlib.colormaps[WRONG]}
    for (row, column), share in np.ndenumerate(shares):
        defined = not np.isnan(share)
        empty = "white" if defined else _NOTHING
        face = ramps[row == column](0.85 * share) if defined and share > 0 else empty
        corner = (column - 0.5, row - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=face, edgecolor=_LINE, linewidth=0.5))
        ink = "white" if defined and share > 0.6 else _INK if defined else _MUTED
        axes.text(column, row, _cell(share), ha="center", va="center", color=ink, size=size)


def _cell(share: float) -> str:
    """Percentage without its sign, empty for none at all."""
    if np.isnan(share):
        return UNDEFINED
    return "" if share == 0 else "<1" if share < 0.005 else f"{share * 100:.0f}"


def _frame(axes: Axes, labels: Sequence[str], samples: np.ndarray, size: float) -> None:
    """Name rows and columns, and write the number of samples at the end of each row."""
    number, ticks = len(labels), range(len(labels))
    axes.set(xlim=(-0.5, number - 0.5), ylim=(number - 0.5, -0.5))
    look: dict[str, Any] = {"size": size, "color": _INK, "parse_math": False}
    axes.set_yticks(ticks, labels, **look)
    axes.set_xticks(ticks, labels, rotation=45, ha="left", rotation_mode="anchor", **look)
    axes.tick_params(length=0, pad=4, labeltop=True, labelbottom=False, top=True, bottom=False)
    axes.spines[:].set_visible(False)
    for row, total in enumerate(samples):
        axes.text(number - 0.35, row, f"n = {count(total)}", va="center", color=_MUTED, size=size - 0.5)


@_drawn
def calendar(tile: Tile, first: datetime.date, last: datetime.date) -> Figure:
    """Draw the dates of each sensor over a tile, a bar each, as high and as dark as its clear share.

    A cross stands where a product was left out.

    Args:
        tile: The tile.
        first: First day of the axis.
        last: Last day.

    """
    rows = len(tile.sensors)
    width, height = 10.0, 0.4 + 0.42 * rows
    figure = Figure(figsize=(width, height))
    left = 0.15 + 0.09 * max(len(shortened(s.sensor, 14)) for s in tile.sensors)
    axes = figure.add_axes((left / width, 0.3 / height, 1 - (left + 0.15) / width, 1 - 0.36 / height))
    start, end = date2num(first), date2num(last) + 1
    for row, dates in enumerate(tile.sensors):
        _bars(axes, rows - 1 - row, dates, thickness=max(0.8, (end - start) / 240))
        skipped = _skipped(tile, dates.sensor)
        axes.plot(skipped, [rows - 0.59 - row] * len(skipped), "x", color=LEFT_OUT, markersize=5, markeredgewidth=1.5)
    axes.set(xlim=(start, end), ylim=(-0.06, rows - 0.06))
    names = [shortened(s.sensor, 14) for s in reversed(tile.sensors)]
    axes.set_yticks(np.arange(rows) + 0.4, names, size=8.5, color=_INK, parse_math=False)
    _days(axes)
    return figure


@_drawn
def calendars(tiles: Sequence[Tile], sensor: str, first: datetime.date, last: datetime.date) -> Figure:
    """Draw the dates of one sensor over many tiles, a row each: a date is as dark as its clear share.

    A cross stands where a product was left out.

    Args:
        tiles: The tiles, from top to bottom.
        sensor: Name of the sensor.
        first: First day of the axis.
        last: Last day.

    """
    names = [shortened(tile.name, 14) for tile in tiles]
    width, height = 10.0, 0.6 + ROW * len(tiles)
    figure = Figure(figsize=(width, height))
    left = 0.15 + 0.075 * max(map(len, names))
    axes = figure.add_axes((left / width, 0.3 / height, 1 - (left + 0.15) / width, ROW * len(tiles) / height))
    start, end = date2num(first), date2num(last) + 1
    thick = max(0.8, (end - start) / 240)
    for row, tile in enumerate(reversed(tiles)):
        (dates,) = (found for found in tile.sensors if found.sensor == sensor)
        days, skipped = date2num(dates.dates) + 0.5, _skipped(tile, sensor)
        axes.broken_barh([(day - thick / 2, thick) for day in days], (row, 0.8), facecolors=_shades(dates))
        axes.plot(skipped, [row + 0.4] * len(skipped), "x", color=LEFT_OUT, markersize=3, markeredgewidth=1)
    axes.set(xlim=(start, end), ylim=(-0.1, len(tiles)))
    axes.set_yticks(np.arange(len(tiles)) + 0.4, names[::-1], size=7, color=_INK, parse_math=False)
    _days(axes)
    axes.tick_params(axis="x", labeltop=True)
    return figure


def _skipped(tile: Tile, sensor: str) -> list[float]:
    """Days of the products of a sensor that were left out, where they are known."""
    return [float(date2num(p.date)) + 0.5 for p in tile.problems if p.sensor == sensor and p.date]


def _days(axes: Axes) -> None:
    """Write days below, and nothing else around."""
    locator = AutoDateLocator(minticks=4, maxticks=14)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", length=3, color=_LINE, labelcolor=_MUTED, labelsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_LINE)


def _bars(axes: Axes, base: float, dates: Dates, thickness: float) -> None:
    """Draw the dates of one sensor; behind each bar stands a pale one of full height."""
    days = date2num(dates.dates) + 0.5
    axes.bar(days, 0.82, thickness, base, color="#eceef1")
    axes.bar(days, 0.82 * np.array(dates.clear), thickness, base, color=_shades(dates))
    axes.axhline(base, color=_LINE, linewidth=0.6, zorder=0)


def _shades(dates: Dates) -> np.ndarray:
    """Colour of each date: the darker, the clearer."""
    return matplotlib.colormaps[CLEAR_RAMP](CLEAR_START + (1 - CLEAR_START) * np.array(dates.clear))
