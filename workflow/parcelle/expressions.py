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
# Beyond these, Python's own parser gives up in ways of its own; a sum over 200 bands stays within them.
LONGEST, DEEPEST = 5000, 300


@dataclass(frozen=True)
class Expression:
    """A checked expression; calling it with the arrays of its bands gives float32 of the same shape."""

    text: str
    tree: ast.expr

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands that it uses, sorted."""
        return tuple(sorted(_names(self.tree)))

    def __call__(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Evaluate in float32; values that are not finite are the caller's to refuse."""
        with np.errstate(all="ignore"):
            return np.asarray(_evaluate(self.tree, values), np.float32)


def parse(text: str, bands: tuple[str, ...]) -> Expression:
    """Check an expression of band names.

    Raises:
        SettingsError: It is not arithmetic, or too deep, or names a band that is not among `bands`, or holds a
            constant that float32 cannot hold.

    """
    tree = _tree(text)
    _check(tree, text)
    expression = Expression(text, tree)
    if unknown := [name for name in expression.bands if name not in bands]:
        raise SettingsError(
            f"{_shown(text)} uses {unknown[0]!r}, which is not a band in use; bands are {', '.join(bands)}"
        )
    if not expression.bands:
        raise SettingsError(f"{_shown(text)} uses no band; bands are {', '.join(bands)}")
    _check_constants(tree, text)
    return expression


def _tree(text: str) -> ast.expr:
    if len(text) > LONGEST:
        raise SettingsError(f"{_shown(text)} has {len(text)} characters; an expression has at most {LONGEST}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise SettingsError(f"{_shown(text)} is not an expression such as (b8-b4)/(b8+b4)") from None
    except (RecursionError, MemoryError):
        raise SettingsError(f"{_shown(text)} is nested too deeply") from None
    if _depth(tree) > DEEPEST:
        raise SettingsError(f"{_shown(text)} is nested too deeply: more than {DEEPEST} operations in each other")
    return tree


def _depth(tree: ast.AST) -> int:
    depth, level = 0, [tree]
    while level:
        depth, level = depth + 1, [child for node in level for child in ast.iter_child_nodes(node)]
    return depth


def _check_constants(tree: ast.AST, text: str) -> None:
    """Refuse numbers, and what follows from numbers alone, that float32 cannot hold (9**9**9, 1e-99, log(0))."""
    for node in ast.walk(tree):
        constant = isinstance(node, ast.Constant | ast.BinOp | ast.UnaryOp | ast.Call) and not _names(node)
        if constant and not _fits(node):
            found = _shown(_source(node, text))
            raise SettingsError(f"{_shown(text)}: {found} is undefined, or too large or small for a float32")


def _fits(node: ast.AST) -> bool:
    """Whether a constant is finite in float32, and a number that is not 0 does not become it."""
    try:
        with np.errstate(all="ignore"):
            value = _evaluate(node, {})
    except OverflowError:  # an integer that even float64 cannot hold
        return False
    vanished = isinstance(node, ast.Constant) and node.value != 0 and value == 0
    return bool(np.isfinite(value)) and not vanished


def _names(tree: ast.AST) -> set[str]:
    """Names in a tree, without those of functions."""
    functions = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in functions}


def _shown(text: str) -> str:
    return repr(text) if len(text) <= 100 else f"{text[:100]!r} …"


def _source(node: ast.AST, text: str) -> str:
    return ast.get_source_segment(text.strip(), node) or text


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
                raise SettingsError(f"{_shown(text)}: {name} takes {FUNCTIONS[name][1]} argument(s), not {len(args)}")
            for argument in args:
                _check(argument, text)
        case _:
            raise SettingsError(
                f"{_shown(text)}: {_shown(_source(node, text))} is not allowed; use numbers, band names, + - * / **, "
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
