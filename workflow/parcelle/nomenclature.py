"""The classes: code, name, colour, parent."""

import csv
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from parcelle.errors import InputError

_COLUMNS = ("code", "name", "colour", "parent")


@dataclass(frozen=True)
class LandClass:
    """One class; `colour` as ``#rrggbb``; `parent` is the name of a coarser class, or empty."""

    code: int
    name: str
    colour: str
    parent: str = ""

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue, 0 to 255."""
        red, green, blue = bytes.fromhex(self.colour[1:])
        return red, green, blue


@dataclass(frozen=True)
class Nomenclature:
    """All classes, in the order of the file."""

    classes: tuple[LandClass, ...]

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read the CSV file of the classes.

        Raises:
            InputError: The file is missing or a line of it is wrong; the message gives the line.

        """
        try:
            with Path(path).open(newline="", encoding="utf-8-sig") as stream:
                rows = csv.DictReader(stream, skipinitialspace=True)
                _check_columns(rows.fieldnames or (), path)
                classes = tuple(_parse(row, f"{path}, line {rows.line_num}") for row in rows)
        except OSError as error:
            raise InputError(f"nomenclature {path} cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise InputError(f"nomenclature {path} is not UTF-8: save it with that encoding.") from None
        except csv.Error as error:
            raise InputError(f"nomenclature {path} is not a CSV file: {error}.") from None
        return cls(_unique(classes, path))

    @property
    def codes(self) -> list[int]:
        """Codes in the order of the file."""
        return [c.code for c in self.classes]

    @property
    def dtype(self) -> str:
        """Smallest pixel type that holds all codes."""
        return "uint8" if max(self.codes) <= 255 else "uint16"

    def to_list(self) -> list[dict[str, Any]]:
        """Plain values, for `params` of a rule."""
        return [asdict(c) for c in self.classes]

    @classmethod
    def from_list(cls, content: list[dict[str, Any]]) -> Self:
        """Read what `to_list` gave."""
        return cls(tuple(LandClass(**c) for c in content))

    def names_by_code(self) -> list[tuple[int, str]]:
        """Code and name of each class: what the reference refers to, without what is only drawn."""
        return [(c.code, c.name) for c in self.classes]

    def code(self, value: object) -> int | None:
        """Code of a class given by its code or its name; None if there is none."""
        text = str(value).strip()
        by_name = {c.name: c.code for c in self.classes}
        if text in by_name:
            return by_name[text]
        number = int(text.partition(".")[0]) if re.fullmatch(r"[0-9]{1,9}(\.0*)?", text) else None
        return number if number in self.codes else None

    def name(self, code: int) -> str:
        """Name of a code of the nomenclature."""
        return {c.code: c.name for c in self.classes}[code]


def _check_columns(found: Sequence[str], path: str | Path) -> None:
    expected = f"the first line must be {','.join(_COLUMNS)}."
    if missing := [c for c in _COLUMNS[:3] if c not in found]:
        raise InputError(f"{path} has no column {missing[0]!r}; {expected}")
    if unknown := [c for c in found if c not in _COLUMNS]:
        raise InputError(f"{path} has a column {unknown[0]!r} that means nothing here; {expected}")
    if twice := [c for c in found if list(found).count(c) > 1]:
        raise InputError(f"{path} has two columns {twice[0]!r}; {expected}")


def _parse(row: dict, place: str) -> LandClass:
    if None in row:
        raise InputError(f"{place}: more values than columns; put a name with a comma in double quotes.")
    code, name, colour, parent = (str(row.get(c) or "").strip() for c in _COLUMNS)
    if not re.fullmatch(r"[0-9]{1,5}", code) or not 1 <= int(code) <= 65535:
        raise InputError(f"{place}: code {code!r} is not a whole number from 1 to 65535 (0 is no data).")
    if not name:
        raise InputError(f"{place}: the class has no name.")
    if re.search(r"[\x00-\x1f\x7f]", name + parent):
        raise InputError(f"{place}: {name + parent!r} has a line break or another control character.")
    if not re.fullmatch(r"#[0-9A-Fa-f]{6}", colour):
        raise InputError(f"{place}: colour {colour!r} is not like #1a9850.")
    return LandClass(int(code), name, colour.lower(), parent)


def _unique(classes: tuple[LandClass, ...], path: str | Path) -> tuple[LandClass, ...]:
    if len(classes) < 2:
        raise InputError(f"{path} holds {len(classes)} classes; a map needs at least two.")
    for attribute in ("code", "name"):
        values = [getattr(c, attribute) for c in classes]
        if twice := next((v for v in values if values.count(v) > 1), None):
            raise InputError(f"{path}: {attribute} {twice!r} stands twice.")
    for one in classes:
        # The reference may give codes or names: "2" as the name of class 1 would mean both.
        if re.fullmatch(r"[0-9.]+", one.name) and one.name != str(one.code):
            raise InputError(f"{path}: class {one.code} has the name {one.name!r}, which reads as a code.")
    return classes
