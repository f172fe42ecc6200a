"""One fitted parameter, or one reading, along an axis of the sweep; and all of them as a table."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gui.shown.run_rows import RowState, RunRows

__all__ = ["ParameterPoints", "write_points"]

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


def write_points(
    path: Path,
    rows: RunRows,
    points: Sequence[ParameterPoints],
    order: NDArray[np.intp],
    x: Array,
    *,
    quantity: str,
    unit: str,
    said: str,
) -> None:
    """Write a row for each point as CSV, with its state and the verdict of its fit.

    order, x: the rows of the run and where they lie. said: a sentence above. Raises OSError.
    """
    suffix = f" ({unit})" if unit else ""
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        if said:
            table.writerow([f"# {said}"])
        heads = [f"{one.name}{word}{suffix}" for one in points for word in ("", " error")]
        table.writerow(["row", quantity, *heads, "state", "verdict", "reason"])
        for place, point in enumerate(order.tolist()):
            fit = rows.fits.get(point)
            pairs = [(one.y[place], one.error_at(place)) for one in points]
            table.writerow(
                [
                    point,
                    _cell(x[place]),
                    *(_cell(value) for pair in pairs for value in pair),
                    RowState(rows.state[point]).name.lower(),
                    *(("", "") if fit is None else (fit.verdict, fit.reason)),
                ]
            )


def _cell(value: float) -> str:
    """Return a number for a table; nothing where it is missing."""
    return "" if np.isnan(value) else repr(float(value))
