"""Start values of a law that is linear in all parameters but one: a scan of that one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["scan_start"]

Array = NDArray[np.float64]


def scan_start(
    columns: Callable[[float], Array], observed: Array, sigma: Array, grid: Array
) -> tuple[float, Array]:
    """Return the value on the grid whose linear fit leaves least, and its coefficients.

    columns: value -> design matrix (points, coefficients).
    """
    best: tuple[float, Array] = (float(grid[0]), np.zeros(columns(float(grid[0])).shape[1]))
    least = np.inf
    for value in grid:
        design = columns(float(value)) / sigma[:, None]
        coefficients, *_ = np.linalg.lstsq(design, observed / sigma, rcond=None)
        left = float(((observed / sigma - design @ coefficients) ** 2).sum())
        if left < least:
            best, least = (float(value), np.asarray(coefficients, dtype=np.float64)), left
    return best
