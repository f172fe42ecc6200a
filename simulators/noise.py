"""Streams of random numbers, one per purpose, so that one purpose never disturbs another.

Plain floats, drawn in blocks because one at a time is slow.
"""

from collections.abc import Iterator

import numpy as np

__all__ = ["exponentials", "normals"]

BLOCK = 2048


def normals(seed: np.random.SeedSequence) -> Iterator[float]:
    """Yield standard normal numbers, without end."""
    random = np.random.default_rng(seed)
    while True:
        yield from random.standard_normal(BLOCK).tolist()


def exponentials(seed: np.random.SeedSequence) -> Iterator[float]:
    """Yield exponential numbers of mean 1, without end."""
    random = np.random.default_rng(seed)
    while True:
        yield from random.standard_exponential(BLOCK).tolist()
