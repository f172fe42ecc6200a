"""Streams of random numbers, one per purpose, so that one purpose never disturbs another."""

from collections.abc import Iterator

import numpy as np

__all__ = ["Exponentials", "Normals"]

BLOCK = 2048


class Normals(Iterator[float]):
    """Standard normal numbers as plain floats, drawn in blocks."""

    def __init__(self, seed: np.random.SeedSequence) -> None:
        self._random = np.random.default_rng(seed)
        self._block: list[float] = []

    def __next__(self) -> float:
        if not self._block:
            self._block = self._random.standard_normal(BLOCK).tolist()
        return self._block.pop()


class Exponentials(Iterator[float]):
    """Exponential numbers of mean 1 as plain floats, drawn in blocks."""

    def __init__(self, seed: np.random.SeedSequence) -> None:
        self._random = np.random.default_rng(seed)
        self._block: list[float] = []

    def __next__(self) -> float:
        if not self._block:
            self._block = self._random.standard_exponential(BLOCK).tolist()
        return self._block.pop()
