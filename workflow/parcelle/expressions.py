"""Arithmetic on bands that a user writes, parsed at the start and evaluated on arrays: nothing else of Python."""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from parcelle.errors import SettingsError


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Divide; x / 0 is 0, so that an index of two dark bands is defined."""
    a, b = np.broadcast_arrays(a, b)
    return np.divide(a, b, out=np.zeros(a.shape, np.float32), where=b != 0)


OPERATORS: dict[type, Callable] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: _divide,
    ast.Pow: np.power,
    ast.USub: np.negative,
    ast.UAdd: np.positive,
}
FUNCTIONS: dict[str, tuple[Callable, int]] = {
    "abs": (np.abs, 1),
    "sqrt": (np.sqrt, 1),
    "log": (np.log, 1),
    "exp": (np.exp, 1),
    "minimum": (np.minimum, 2),
    "maximum": (np.maximum, 2),
}


@dataclass(frozen=True)
class Expression:
    """A checked expression; calling it with the arrays of its bands gives float32 of the same shape."""

    text: str
    tree: ast.expr

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands that it uses, sorted."""
        functions = {id(n.func) for n in ast.walk(self.tree) if isinstance(n, ast.Call)}
        names = {n.id for n in ast.walk(self.tree) if isinstance(n, ast.Name) and id(n) not in functions}
        return tuple(sorted(names))

    def __call__(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Evaluate in float32; values that are not finite are the caller's to refuse."""
        with np.errstate(all="ignore"):
            return np.asarray(_evaluate(self.tree, values), np.float32)


def parse(text: str, bands: tuple[str, ...]) -> Expression:
    """Check an expression of band names.

    Raises:
        SettingsError: It is not arithmetic, or names a band that is not among `bands`.

    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        raise SettingsError(f"{text!r} is not an expression such as (b8-b4)/(b8+b4)") from None
    _check(tree, text)
    expression = Expression(text, tree)
    if unknown := [name for name in expression.bands if name not in bands]:
        raise SettingsError(f"{text!r} uses {unknown[0]!r}, which is not a band in use; bands are {', '.join(bands)}")
    if not expression.bands:
        raise SettingsError(f"{text!r} uses no band; bands are {', '.join(bands)}")
    return expression


def _check(node: ast.AST, text: str) -> None:
    """Refuse whatever is not a number, a name, an operator or one of the functions."""
    match node:
        case ast.Name():
            return
        case ast.Constant(value=value) if isinstance(value, int | float) and not isinstance(value, bool):
            return
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            _check(left, text)
            _check(right, text)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in OPERATORS:
            _check(operand, text)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            if len(args) != FUNCTIONS[name][1]:
                raise SettingsError(f"{text!r}: {name} takes {FUNCTIONS[name][1]} argument(s), not {len(args)}")
            for argument in args:
                _check(argument, text)
        case _:
            raise SettingsError(
                f"{text!r}: {ast.unparse(node)!r} is not allowed; use numbers, band names, + - * / **, "
                f"and {', '.join(FUNCTIONS)}"
            )


def _evaluate(node: ast.AST, values: Mapping[str, np.ndarray]) -> np.ndarray:
    match node:
        case ast.Name(id=name):
            return values[name]
        case ast.Constant(value=value):
            return np.float32(value)  # type: ignore[arg-type, return-value]
        case ast.BinOp(left=left, op=op, right=right):
            return OPERATORS[type(op)](_evaluate(left, values), _evaluate(right, values))
        case ast.UnaryOp(op=op, operand=operand):
            return OPERATORS[type(op)](_evaluate(operand, values))
        case ast.Call(func=ast.Name(id=name), args=args):
            return FUNCTIONS[name][0](*(_evaluate(a, values) for a in args))
        case _:
            raise AssertionError(f"unchecked node {node!r}")
