"""One fitted parameter, or one reading, along an axis of the sweep."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ParameterPoints"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ParameterPoints:
    """Arrays over the rows shown, in the units of the plot."""

    name: str
    row: NDArray[np.intp]
    x: Array
    y: Array
    error: Array | None
    is_sound: NDArray[np.bool_]
    is_rejected: NDArray[np.bool_]

    def error_at(self, place: int) -> float:
        return float("nan") if self.error is None else float(self.error[place])
