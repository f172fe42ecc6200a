"""Confidence intervals from the likelihood itself, for spectra too faint for a symmetric error.

The parameter is held at a value and everything else fitted anew; the interval ends where the
deviance has risen by the quantile of chi2. Below about 50 counts in the highest line, widths and
bindings are no longer normal, and value and error say too little.
Source: S. S. Wilks, Ann. Math. Stat. 9, 60 (1938).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2

from analysis.spectra.model_bounds import box_of_model, electrons_per_unit
from analysis.spectra.model_fit import ModelFit, ModelFitter, hardly_seen
from analysis.spectra.spectrum_window import Window

__all__ = ["Interval", "profile_interval", "profile_intervals"]

_FARTHEST = 12.0  # errors from the value, where the end is given up
_TOLERANCE = 0.02  # of the error


@dataclass(frozen=True, slots=True)
class Interval:
    """low, high: where the likelihood ends it; an end it does not reach within the bounds or 12
    errors is open and stands there."""

    low: float
    high: float
    is_open_low: bool = False
    is_open_high: bool = False

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def profile_intervals(
    fitter: ModelFitter,
    whole: Window,
    fit: ModelFit,
    names: Sequence[str] | None = None,
    *,
    level: float = 0.683,
) -> dict[str, Interval]:
    """Return the intervals of some parameters, of all that are free if none are named."""
    free = [n for n, e in zip(fit.fit.names, fit.fit.errors, strict=True) if e > 0]
    return {n: profile_interval(fitter, whole, fit, n, level=level) for n in names or free}


def profile_interval(
    fitter: ModelFitter, whole: Window, fit: ModelFit, name: str, *, level: float = 0.683
) -> Interval:
    """Return the interval of one parameter, in the unit of the fit.

    whole: the spectrum that was fitted. Where a component is hardly seen, its binding is open to
    both sides: it may be anywhere. Raises ValueError where there is no fit, and for a parameter
    that it does not have or that is fixed.
    """
    if fit.place is None or name not in fit.fit.names or not fit.error(name) > 0:
        raise ValueError(
            f"{name!r} is no free parameter of a fit with the verdict {fit.fit.reason}"
        )
    seen = fit.good_pixels(whole)
    rise = float(chi2.ppf(level, 1))

    def excess(value: float) -> float:
        held = replace(fitter.model, fixed={**fitter.model.fixed, name: value})
        other = ModelFitter(held, fitter.noise, clips=False).follow(seen, fit)
        return float(np.nan_to_num(other.fit.deviance, nan=np.inf)) - fit.fit.deviance - rise

    lowest, highest = _bounds(fitter, seen, fit, name)
    if name.removesuffix("_binding_eV") in hardly_seen(fit.fit):
        return Interval(lowest, highest, is_open_low=True, is_open_high=True)
    value, error = fit[name], fit.error(name)
    low, is_open_low = _end(excess, value, -error, max(lowest, value - _FARTHEST * error))
    high, is_open_high = _end(excess, value, error, min(highest, value + _FARTHEST * error))
    return Interval(low, high, is_open_low, is_open_high)


def _bounds(fitter: ModelFitter, seen: Window, fit: ModelFit, name: str) -> tuple[float, float]:
    table = fitter.table(fit.contents)
    box = box_of_model(fitter.model, table, seen, fitter.noise)
    place = table.names.index(name)
    scale = electrons_per_unit(table.names, fitter.noise)[place]
    return float(box.lower[0, place] / scale), float(box.upper[0, place] / scale)


def _end(
    excess: Callable[[float], float], value: float, step: float, limit: float
) -> tuple[float, bool]:
    """Return where the excess turns positive on the way to the limit, and whether it never does."""
    inner, outer = value, value + step
    while True:
        outer = max(outer, limit) if step < 0 else min(outer, limit)
        if excess(outer) > 0:
            break
        if outer == limit:
            return limit, True
        inner, outer = outer, outer + step
    tolerance = _TOLERANCE * abs(step)
    found = brentq(lambda at: _finite(excess(at)), inner, outer, xtol=tolerance)
    return float(found), False


def _finite(excess: float) -> float:
    return min(excess, 1e6)
