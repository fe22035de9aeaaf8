"""What values in a settings file may be: names, paths, days; and what all groups of settings have in common."""

import datetime
import os
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


def _expanded(path: str) -> str:
    """Replace environment variables; one that is not set is refused rather than left in the path."""
    expanded = os.path.expandvars(os.path.expanduser(path))
    if missing := re.search(r"\$\{?(\w+)", expanded):
        raise ValueError(f"environment variable {missing[1]} is not set: export it, or write the path")
    return expanded


def _plain(path: str) -> str:
    """Refuse characters that the workflow gives a meaning; write a folder in one way only."""
    if re.search(r"[{}\x00-\x1f]", path):
        raise ValueError("no braces and no control characters may stand in it")
    return os.path.normpath(path)


File = Annotated[str, Field(min_length=1), AfterValidator(_expanded)]
Place = Annotated[File, AfterValidator(_plain)]


def only_tile(path: str, info: ValidationInfo) -> str:
    """Refuse a placeholder other than the tile's, and the date's of `rasters`, which nothing would fill in."""
    allowed = ("tile", "date") if info.data.get("format") == "rasters" else ("tile",)
    rest = path
    for name in allowed:
        rest = rest.replace(f"{{{name}}}", "")
    if re.search(r"[{}]", rest):
        raise ValueError(f"only {' and '.join(f'{{{name}}}' for name in allowed)} may stand in braces")
    return path


def _day(value: Any) -> Any:
    """Read a date written as text; a number would be taken for seconds since 1970."""
    if isinstance(value, str):
        try:
            return datetime.date.fromisoformat(value)
        except ValueError:
            pass
    if isinstance(value, datetime.datetime) or not isinstance(value, datetime.date):
        raise ValueError("allowed: a date such as 2018-03-31")
    return value


Day = Annotated[datetime.date, BeforeValidator(_day)]


def function_place(place: str) -> str:
    """Refuse what does not say where a function is."""
    module, _, name = place.rpartition(":")
    if not module or not name.isidentifier():
        raise ValueError("allowed: `module:function`, or `folder/file.py:function`")
    return place


def class_place(place: str) -> str:
    """Refuse what does not say where a class is."""
    module, _, name = place.rpartition(":")
    if not module or not name.isidentifier():
        raise ValueError("allowed: `forest`, `extra-trees`, `module:Class`, or `folder/file.py:Class`")
    return place


def odd(number: int) -> int:
    """Refuse a square without a pixel in its middle."""
    if number % 2 == 0:
        raise ValueError("allowed: an odd number")
    return number


class Group(BaseModel):
    """Settings that are read-only, refuse unknown names and guess no types: `true` is not the number 1."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)
