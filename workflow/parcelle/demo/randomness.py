"""Independent streams of random numbers by name, so that one more cloud moves no field."""

import zlib

import numpy as np


def stream(seed: int, *names: object) -> np.random.Generator:
    """Generator that depends on `seed` and the names alone, not on what was drawn before it."""
    return np.random.default_rng([seed, *(zlib.crc32(str(name).encode()) for name in names)])
