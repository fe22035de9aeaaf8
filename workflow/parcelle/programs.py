"""Expressions as small programs, run on a row of pixels at a time: no array of a window's size is made on the way."""

import ast
from dataclasses import dataclass
from typing import Self

import numpy as np

from parcelle.expressions import Expression
from parcelle.kernels import compiled_once, kernel

LARGEST = 32767

# What an instruction does: puts a value on the stack, changes the one on top, or makes one of two.
LOAD, CONSTANT, SQUARE, NEGATE, ABS, SQRT, LOG, EXP, ADD, SUBTRACT, MULTIPLY, DIVIDE, POWER, MINIMUM, MAXIMUM = range(
    15
)
OPERATORS: dict[type, int] = {
    ast.Add: ADD,
    ast.Sub: SUBTRACT,
    ast.Mult: MULTIPLY,
    ast.Div: DIVIDE,
    ast.Pow: POWER,
    ast.USub: NEGATE,
}
FUNCTIONS = {"abs": ABS, "sqrt": SQRT, "log": LOG, "exp": EXP, "minimum": MINIMUM, "maximum": MAXIMUM}


@dataclass(frozen=True)
class Program:
    """Instructions for a stack of float32 numbers.

    Attributes:
        code: What each instruction does, and the place of its band ``(instruction, 2)`` int64.
        constants: Number that an instruction puts on the stack ``(instruction,)`` float32.
        depth: Most values on the stack.
        scale: The result is multiplied by it and rounded, halves up, within ±32,767; 0 keeps it as it is.

    """

    code: np.ndarray
    constants: np.ndarray
    depth: int
    scale: int

    @classmethod
    def of(cls, expression: Expression, bands: tuple[str, ...], scale: int) -> Self:
        """Translate a checked expression."""
        steps = list(_steps(expression.tree, bands))
        heights = np.cumsum([1 if op <= CONSTANT else (0 if op <= EXP else -1) for op, _, _ in steps])
        code = np.array([(op, place) for op, place, _ in steps], np.int64)
        return cls(code, np.array([c for _, _, c in steps], np.float32), int(heights.max()), scale)

    def run(self, planes: np.ndarray, first: int, dates: int, bands: int, place: int) -> np.ndarray:
        """Evaluate on each date.

        Args:
            planes: ``(plane, pixel)`` int16 or float32; read and written.
            first: Plane of the first band on the first date; the other bands follow, then the other dates.
            dates: Number of dates.
            bands: Number of bands.
            place: Plane of the result on the first date; the other dates follow.

        Returns:
            Pixels with a result that is not a finite number ``(pixel,)`` bool.

        """
        stack = np.empty((self.depth, planes.shape[1]), np.float32)
        undefined = np.zeros(planes.shape[1], bool)
        _ready(str(planes.dtype))
        _run(self.code, self.constants, stack, planes, first, dates, bands, place, np.float32(self.scale), undefined)
        return undefined


def _steps(node: ast.AST, bands: tuple[str, ...]) -> list[tuple[int, int, float]]:
    """Instructions of a tree: first those of its parts."""
    match node:
        case ast.Name(id=name):
            return [(LOAD, bands.index(name), 0.0)]
        case ast.Constant(value=value):
            return [(CONSTANT, 0, float(value))]  # type: ignore[arg-type]
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=2)):
            return [*_steps(left, bands), (SQUARE, 0, 0.0)]
        case ast.BinOp(left=left, op=op, right=right):
            return [*_steps(left, bands), *_steps(right, bands), (OPERATORS[type(op)], 0, 0.0)]
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _steps(operand, bands)
        case ast.UnaryOp(operand=operand):
            return [*_steps(operand, bands), (NEGATE, 0, 0.0)]
        case ast.Call(func=ast.Name(id=name), args=args):
            return [step for part in args for step in _steps(part, bands)] + [(FUNCTIONS[name], 0, 0.0)]
        case _:
            raise AssertionError(f"unchecked node {node!r}")


@kernel
def _run(code, constants, stack, planes, first, dates, bands, place, scale, undefined):  # type: ignore[no-untyped-def]
    for t in range(dates):
        top = -1
        for j in range(len(code)):
            op = code[j, 0]
            if op == LOAD:
                top += 1
                _load(planes[first + t * bands + code[j, 1]], stack[top])
            elif op == CONSTANT:
                top += 1
                stack[top] = constants[j]
            elif op < ADD:
                _change(op, stack[top])
            else:
                top -= 1
                _join(op, stack[top], stack[top + 1])
        _store(stack[0], scale, planes[place + t], undefined)


@kernel
def _load(plane, values):  # type: ignore[no-untyped-def]
    for i in range(len(values)):
        values[i] = np.float32(plane[i])


@kernel
def _change(op, a):  # type: ignore[no-untyped-def]
    for i in range(len(a)):
        if op == SQUARE:
            a[i] = a[i] * a[i]
        elif op == NEGATE:
            a[i] = -a[i]
        elif op == ABS:
            a[i] = abs(a[i])
        elif op == SQRT:
            a[i] = np.sqrt(a[i])
        elif op == LOG:
            a[i] = np.log(a[i])
        else:
            a[i] = np.exp(a[i])


@kernel
def _join(op, a, b):  # type: ignore[no-untyped-def]
    zero = np.float32(0)
    for i in range(len(a)):
        if op == ADD:
            a[i] = a[i] + b[i]
        elif op == SUBTRACT:
            a[i] = a[i] - b[i]
        elif op == MULTIPLY:
            a[i] = a[i] * b[i]
        elif op == DIVIDE:
            # x / 0 is 0, so that an index of two dark bands is defined.
            a[i] = a[i] / b[i] if b[i] != zero else zero
        elif op == POWER:
            a[i] = a[i] ** b[i]
        elif op == MINIMUM:
            # What is undefined stays so, as in NumPy.
            a[i] = a[i] if a[i] <= b[i] or np.isnan(a[i]) else b[i]
        else:
            a[i] = a[i] if a[i] >= b[i] or np.isnan(a[i]) else b[i]


@kernel
def _store(values, scale, plane, undefined):  # type: ignore[no-untyped-def]
    limit, half, zero = np.float32(LARGEST), np.float32(0.5), np.float32(0)
    for i in range(len(values)):
        finite = np.isfinite(values[i])
        undefined[i] |= not finite
        values[i] = values[i] if finite else zero
    if scale == zero:
        for i in range(len(values)):
            plane[i] = values[i]
    else:
        for i in range(len(values)):
            plane[i] = min(max(np.floor(values[i] * scale + half), -limit), limit)


@compiled_once
def _ready(dtype: str) -> None:
    """Compile for planes of a type."""
    code, constants, stack = np.array([(LOAD, 0)]), np.zeros(1, np.float32), np.zeros((1, 2), np.float32)
    _run(code, constants, stack, np.zeros((2, 2), dtype), 0, 1, 1, 1, np.float32(1), np.zeros(2, bool))
