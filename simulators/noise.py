"""Streams of random numbers, one per purpose, so that one purpose never disturbs another."""

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["Exponentials", "Normals"]

BLOCK = 2048


class _Blocks(Iterator[float]):
    """Plain floats, drawn in blocks because one at a time is slow."""

    def __init__(self, seed: np.random.SeedSequence) -> None:
        self._random = np.random.default_rng(seed)
        self._block: list[float] = []

    def __next__(self) -> float:
        if not self._block:
            self._block = self._draw(self._random).tolist()
        return self._block.pop()

    @abstractmethod
    def _draw(self, random: np.random.Generator) -> NDArray[np.float64]: ...


class Normals(_Blocks):
    """Standard normal numbers."""

    def _draw(self, random: np.random.Generator) -> NDArray[np.float64]:
        return random.standard_normal(BLOCK)


class Exponentials(_Blocks):
    """Exponential numbers of mean 1."""

    def _draw(self, random: np.random.Generator) -> NDArray[np.float64]:
        return random.standard_exponential(BLOCK)
