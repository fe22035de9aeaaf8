"""Choices that look random but follow from names alone: the same on every machine, in any order, forever."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np


def number(*parts: Any) -> int:
    """64-bit hash of some values, by their text."""
    text = "\0".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def ranks(names: Sequence[str], *integers: np.ndarray) -> np.ndarray:
    """64-bit hash of (name, integer, …) of each row, vectorised: ``(row,)`` uint64.

    The name's hash is mixed with each integer by the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
    """
    unique, places = np.unique(np.asarray(names, dtype=str), return_inverse=True)
    state = np.array([number(name) for name in unique], np.uint64)[places]
    for values in integers:
        state = _mix(state + np.asarray(values).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return _mix(state)


def _mix(z: np.ndarray) -> np.ndarray:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
