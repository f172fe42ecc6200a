"""What is looked for in a spectrum: how many lines of which shape, where, on what background."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from analysis.estimation.line_table import Line, LineTable, Shape

__all__ = ["FitModel"]


@dataclass(frozen=True, slots=True)
class FitModel:
    """What is looked for.

    lines: 1, 2 or 3 of one width, or "auto": as many as the Bayesian information criterion wants.
    window_eV: energies between which the lines are looked for; None: the whole spectrum.
    span_eV: width of the fitted window around the lines that were found; None: window_eV, or where
    that is None too, a window that suits the strongest line.
    background_order: of the polynomial in pixels, 0 to 3.
    shape: with "voigt" width_eV is the width of the Gaussian, and lorentz_width_eV is there too.
    fixed, bounds: by parameter name (energy_1_eV, width_eV, area_1_counts, ...), in its unit.
    confirmed_by: independent evidence that there are several lines ("polarization", "biexciton
    mirror", "replica copy"); without it a splitting is fitted but not claimed, since a skewed
    instrument profile looks like a second line.
    """

    lines: int | Literal["auto"] = 1
    shape: Literal["gauss", "lorentz", "voigt"] = "gauss"
    window_eV: tuple[float, float] | None = None
    background_order: int = 1
    span_eV: float | None = None
    fixed: Mapping[str, float] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    confirmed_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.lines not in (1, 2, 3, "auto"):
            raise ValueError(f'lines {self.lines!r} must be 1, 2, 3 or "auto"')
        if self.background_order not in (0, 1, 2, 3):
            raise ValueError(f"background_order {self.background_order} must be 0, 1, 2 or 3")
        if self.shape not in ("gauss", "lorentz", "voigt"):
            raise ValueError(f"shape {self.shape!r} must be gauss, lorentz or voigt")

    def table(self, lines: int) -> LineTable:
        """Return the line table of this many lines with one width."""
        return _table(lines, Shape(self.shape), self.background_order)


@lru_cache(maxsize=64)
def _table(lines: int, shape: Shape, background_order: int) -> LineTable:
    return LineTable(
        [
            Line(
                centre=((f"energy_{k}_eV", 1.0),),
                width="width_eV",
                area=(f"area_{k}_counts",),
                shape=shape,
                lorentz_width="lorentz_width_eV" if shape is Shape.VOIGT else "",
            )
            for k in range(1, lines + 1)
        ],
        background_order=background_order,
    )
