"""Indices by name: those of the catalogue Awesome Spectral Indices, as expressions of a sensor's bands.

The catalogue's names, formulas and constants are in `indices.json`, which `python -m parcelle.index_list` writes.
"""

import ast
import difflib
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parcelle.errors import SettingsError
from parcelle.expressions import Expression
from parcelle.sensors import Band

CATALOGUE = Path(__file__).with_name("indices.json")

# Common names of the bands that the catalogue's symbols stand for, the first that there is; and polarisations.
SYMBOLS = {
    "A": ("coastal",), "B": ("blue",), "G1": ("green05",), "G": ("green",), "Y": ("yellow",), "R": ("red",),
    "RE1": ("rededge071",), "RE2": ("rededge075",), "RE3": ("rededge078",),
    "N": ("nir", "nir08"), "N2": ("nir08",), "WV": ("nir09",), "S1": ("swir16",), "S2": ("swir22",),
    "T": ("lwir",), "T1": ("lwir11",), "T2": ("lwir12",),
    "VV": ("vv",), "VH": ("vh",), "HV": ("hv",), "HH": ("hh",),
}  # fmt: skip

# Names that mean something else in Parcelle (and iota2), and under which the catalogue's is offered.
RENAMED = {"NDWI": "ndwi-mcfeeters"}

# ln 10 / 10: from dB to linear power.
DECIBEL = 0.23025850929940458


@dataclass(frozen=True)
class Index:
    """An index of the catalogue; its formula is of reflectances from 0 to 1, or of linear power.

    Attributes:
        name: What settings and features call it.
        title: Its whole name.
        domain: What it is for.
        formula: Arithmetic on symbols of bands and constants.
        reference: Where it is from.

    """

    name: str
    title: str
    domain: str
    formula: str
    reference: str

    @property
    def symbols(self) -> list[str]:
        """Symbols of bands and constants in the formula, in the order of their names."""
        return sorted({node.id for node in ast.walk(ast.parse(self.formula)) if isinstance(node, ast.Name)})


@functools.cache
def catalogue() -> dict[str, Index]:
    """All indices by their name in settings: in lower case, but for two pairs that differ in nothing else."""
    found = _content()["indices"]
    lower = [name.lower() for name in found]
    names = {name: RENAMED.get(name, name if lower.count(name.lower()) > 1 else name.lower()) for name in found}
    return {names[name]: Index(names[name], *facts) for name, facts in found.items()}


@functools.cache
def constants() -> dict[str, float | None]:
    """Constants of the formulas; None for those without a default."""
    return dict(_content()["constants"])


@functools.cache
def _content() -> dict[str, Any]:
    return dict(json.loads(CATALOGUE.read_text(encoding="utf-8")))


def find(name: str, others: Sequence[str] = ()) -> Index:
    """Find an index by its name, in lower or upper case.

    Args:
        name: As in the settings.
        others: Names that are offered beside the catalogue's.

    Raises:
        SettingsError: There is none, or there are two; near names are said.

    """
    known = catalogue()
    if found := known.get(name) or known.get(name.lower()):
        return found
    same = [index for index in known.values() if index.name.lower() == name.lower()]
    if same:
        which = " or ".join(f"{index.name} ({index.title})" for index in same)
        raise SettingsError(f"indices: {name!r} may be {which}; write it so, with its capitals")
    near = difflib.get_close_matches(name.lower(), [*dict.fromkeys([*others, *known])], 4, 0.5)
    hint = f"; near names are {', '.join(near)}" if near else "; the page `Indices` of the documentation lists all"
    raise SettingsError(f"indices: no index {name!r}{hint}")


def made_of(index: Index, bands: Sequence[Band]) -> tuple[str, bool]:
    """Write an index as an expression of band names.

    Constants have the catalogue's defaults. Series hold reflectance × 10,000: bands are divided by that unless the
    formula is the same for a multiple of them. Series of dB are brought to linear power. What is raised to a power that
    is no whole number is taken to be at least 0, so that roots are defined everywhere.

    Args:
        index: The index.
        bands: Bands in use, of one unit.

    Returns:
        The expression; and whether it is a normalised difference of two reflectances, (a − b) / (a + b).

    Raises:
        SettingsError: It needs a band that is not there, or a constant without a default, or a kernel.

    """
    tree = _Replaced(_numbers(index)).visit(ast.parse(index.formula, mode="eval").body)
    optical = bands[0].unit == "reflectance"
    normalised = optical and _is_normalised(tree)
    pattern = f"exp({DECIBEL} * {{}})" if not optical else ("{}" if _degree(tree) == 0 else "{} / 10000")
    found = _bands(index, [symbol for symbol in index.symbols if symbol in SYMBOLS], bands)
    nodes = {symbol: ast.parse(pattern.format(band), mode="eval").body for symbol, band in found.items()}
    return ast.unparse(_Replaced(nodes).visit(tree)), normalised


def _numbers(index: Index) -> dict[str, ast.expr]:
    """Constants of a formula."""
    defaults = {symbol: constants()[symbol] for symbol in index.symbols if symbol in constants()}
    if missing := [symbol for symbol, value in defaults.items() if value is None]:
        raise SettingsError(
            f"indices: {index.name!r} needs the constant {missing[0]}, which has no default: write it in `additional`, "
            f"as {index.formula}"
        )
    if kernels := [symbol for symbol in index.symbols if symbol not in {*SYMBOLS, *constants()}]:
        raise SettingsError(f"indices: {index.name!r} is made of kernels ({', '.join(kernels)}), which are not offered")
    return {symbol: ast.Constant(value) for symbol, value in defaults.items()}


def _bands(index: Index, symbols: Sequence[str], bands: Sequence[Band]) -> dict[str, str]:
    """Band that each symbol stands for."""
    common = {b.common: b.name for b in bands if b.unit in ("reflectance", "dB")}
    found = {s: next((common[c] for c in SYMBOLS[s] if c in common), None) for s in symbols}
    if missing := [SYMBOLS[symbol][0] for symbol, band in found.items() if band is None]:
        raise lacking(index.name, bands, missing)
    return {symbol: band for symbol, band in found.items() if band}


def lacking(name: str, bands: Sequence[Band], missing: Sequence[str]) -> SettingsError:
    """Refusal of an index whose bands, by their common names, are not all there."""
    there = ", ".join(b.name for b in bands)
    return SettingsError(f"indices: {name!r} cannot be made of the bands {there}: it needs {', '.join(missing)}")


class _Replaced(ast.NodeTransformer):
    """Puts expressions in the place of names; keeps the bases of broken powers from being negative."""

    def __init__(self, nodes: Mapping[str, ast.expr]):
        self._nodes = nodes

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Replace a name."""
        return self._nodes.get(node.id, node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        """Replace what is inside; a base is wrapped once only, when constants are."""
        self.generic_visit(node)
        safe = isinstance(node.left, ast.Call | ast.Constant)
        if isinstance(node.op, ast.Pow) and not safe and not _value(node.right).is_integer():
            node.left = ast.Call(ast.Name("maximum"), [node.left, ast.Constant(0)], [])
        return node


def _value(constant: ast.expr) -> float:
    """Number that an expression without names stands for."""
    return float(Expression("", constant)({}))


def _degree(node: ast.expr) -> float | None:
    """Power in which a factor of all bands comes out of a formula; None if none does."""
    match node:
        case ast.Name():
            return 1
        case ast.Constant():
            return 0
        case ast.UnaryOp(operand=operand):
            return _degree(operand)
        case ast.Call(args=[base, _]):  # the maximum of it and 0
            return _degree(base)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            degree = _degree(left)
            return None if degree is None else degree * _value(right)
        case ast.BinOp(left=left, op=op, right=right):
            return _joined(op, _degree(left), _degree(right))
        case _:
            raise AssertionError(f"no formula has {node!r}")


def _joined(op: ast.operator, first: float | None, second: float | None) -> float | None:
    if first is None or second is None:
        return None
    if isinstance(op, ast.Add | ast.Sub):
        return first if first == second else None
    return first + second if isinstance(op, ast.Mult) else first - second


def _is_normalised(tree: ast.expr) -> bool:
    """Whether a formula is (a − b) / (a + b)."""
    match tree:
        case ast.BinOp(
            left=ast.BinOp(left=ast.Name(a), op=ast.Sub(), right=ast.Name(b)),
            op=ast.Div(),
            right=ast.BinOp(left=ast.Name(c), op=ast.Add(), right=ast.Name(d)),
        ):
            return {a, b} == {c, d}
        case _:
            return False
