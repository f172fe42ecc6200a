"""Laws fitted to the parameters that a view shows, in a moment, from the fits alone."""

from collections.abc import Callable

import numpy as np

from acquisition.fits.law_overlay import LawOverlay
from analysis.estimation.verdict import Verdict
from analysis.laws.law_curve import law_curve, law_words
from analysis.laws.laws import LAWS
from gui.views.parameter_points import ParameterPoints

__all__ = ["law_title", "law_work", "laws_of"]


def law_title(law: str) -> str:
    return LAWS[law].title


def laws_of(quantity: str, column: str) -> tuple[tuple[str, str], ...]:
    """Return name and title of the laws for this column over this axis."""
    return tuple(
        (name, law.title)
        for name, law in LAWS.items()
        if (law.sweep, law.observable) == (quantity, column)
    )


def law_work(
    law: str, points: list[ParameterPoints], scale: float
) -> Callable[[], tuple[LawOverlay, ...]]:
    """Return the work that fits a law to each of the parameters, in the law's own units."""

    def work() -> tuple[LawOverlay, ...]:
        several = len(points) > 1
        return tuple(
            _fitted(law, one, scale, f"line {number}: " if several else "")
            for number, one in enumerate(points, start=1)
        )

    return work


def _fitted(law: str, points: ParameterPoints, scale: float, prefix: str) -> LawOverlay:
    if points.error is None:
        return LawOverlay(law, {}, "a reading has no errors to fit with", "no signal", "")
    good = points.is_sound & np.isfinite(points.y) & (points.error > 0)
    x, y = points.x[good], points.y[good] / scale
    try:
        result = LAWS[law].fit(x, y, points.error[good] / scale)
    except ValueError as error:
        return LawOverlay(law, {}, f"{prefix}not fitted: {error}", Verdict.NO_SIGNAL.value, "")
    at, value = law_curve(law, result, x, y)
    return LawOverlay(
        law=law,
        same={},
        text=prefix + law_words(result),
        verdict=result.verdict.value,
        reason=result.reason,
        x=tuple(at.tolist()),
        y=tuple(value.tolist()),
    )
