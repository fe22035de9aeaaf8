"""How numbers are written on the page; what is undefined is a dash, never a number."""

import math
from collections.abc import Sequence

UNDEFINED = "\N{EN DASH}"
_NARROW = "\N{NARROW NO-BREAK SPACE}"


def score(value: float | None, digits: int = 2) -> str:
    """Write a score, e.g. 0.87; with a minus sign rather than a hyphen."""
    return UNDEFINED if value is None else f"{value + 0.0:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def count(value: float) -> str:
    """Write a number of things, with a space between thousands; a mean below 10 keeps a decimal."""
    whole = value >= 10 or float(value).is_integer()
    return f"{value:,.{0 if whole else 1}f}".replace(",", _NARROW)


def percent(share: float | None) -> str:
    """Write a share of 0 to 1 in percent; a small one is not rounded away."""
    if share is None or math.isnan(share):
        return UNDEFINED
    return f"< 0.1{_NARROW}%" if 0 < share < 0.0005 else f"{share * 100:.1f}{_NARROW}%"


def named(names: Sequence[str]) -> str:
    """Write a list: a, b and c."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def times(number: int, word: str) -> str:
    """Write a number with its noun: 1 seed, 5 seeds."""
    return f"{count(number)} {word}{'' if number == 1 else 's'}"


def hours(number: float) -> str:
    """Write a number of hours with three digits, whole from 100 on."""
    return count(round(number)) if number >= 100 else f"{number:.3g}"


def mebibytes(number: float) -> str:
    """Write an amount of memory: 812 MiB, 2.5 GiB."""
    return f"{number / 1024:.3g}{_NARROW}GiB" if number >= 1000 else f"{number:.0f}{_NARROW}MiB"


def seconds(number: float | None) -> str:
    """Write a time, e.g. 12 s."""
    return UNDEFINED if number is None else f"{number:.0f}{_NARROW}s"
