"""Fit a nonlinear law over a sweep: errors of both axes, correlated errors, tests, warnings.

Errors of x enter as an effective variance, V = V_y + (df/dx)^2 V_x, at the fit itself.
Source: J. Orear, Am. J. Phys. 50, 912 (1982).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2 as chi2_distribution
from scipy.stats import norm

from analysis.estimation.curve_fit import CurveFit, fit_curve
from analysis.estimation.verdict import Verdict
from analysis.estimation.weighted_least_squares import check_points

__all__ = ["LawFit", "fit_law", "held_where_open", "probability_of_runs", "said_of_runs"]

Array = NDArray[np.float64]
Law = Callable[[Array, Array], Array]  # places (n,), parameters (p,) -> values (n,)

_PASSES = 6  # of the effective variance, which depends on the fit
_SETTLED = 1e-3  # sigma
_MOST_EVALUATIONS = 1000  # a law that needs more follows a valley without end
_STRONG_CORRELATION = 0.9
_UNLIKELY_RUNS = 0.003
_VAGUE = 0.5  # of its value: beyond that error a parameter is not determined


@dataclass(frozen=True, slots=True)
class LawFit:
    """Parameters of a law with covariance, and what speaks for and against it.

    sigma: effective error of each point. probability: of a chi2 as large by chance, with these
    errors. probability_of_runs: of residuals as often of one sign in a row by chance.
    warnings: what must be said with the numbers; the verdict's reason is the first thing to read.
    """

    names: tuple[str, ...]
    values: Array
    errors: Array
    covariance: Array
    residuals: Array
    sigma: Array
    chi2: float
    dof: int
    probability: float
    probability_of_runs: float
    verdict: Verdict
    reason: str
    warnings: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> float:
        return float(self.values[self.names.index(name)])

    def error(self, name: str) -> float:
        return float(self.errors[self.names.index(name)])

    def correlation(self, one: str, other: str) -> float:
        """Return the correlation of two parameters, from -1 to 1."""
        i, k = self.names.index(one), self.names.index(other)
        return float(self.covariance[i, k] / (self.errors[i] * self.errors[k]))

    @property
    def errors_with_misfit(self) -> Array:
        """Errors enlarged by sqrt(chi2/dof) where that is more than 1."""
        return self.errors * float(np.sqrt(max(1.0, self.chi2 / max(self.dof, 1))))


def fit_law(
    law: Law,
    x: ArrayLike,
    y: ArrayLike,
    sigma: ArrayLike,
    *,
    start: ArrayLike,
    names: Sequence[str],
    sigma_x: ArrayLike | None = None,
    fixed: dict[str, float] | None = None,
    variance: Callable[[Array], Array] | None = None,
    wanted: Sequence[str] = (),
) -> LawFit:
    """Fit a law from start values.

    sigma: error of each y, shape (n,), or their covariance (n, n). variance: of y at its fitted
    value, added to that of sigma, such as that of counts. wanted: parameters without which the law
    says nothing; an error above half of their value makes the verdict ILL_DETERMINED.
    Raises ValueError for points or start values that cannot be fitted, naming them.
    """
    place, observed, covariance, x_variance = _points(x, y, sigma, sigma_x)
    free = [i for i, name in enumerate(names) if name not in (fixed or {})]
    whole = np.asarray(start, dtype=np.float64).copy()
    for name, value in (fixed or {}).items():
        if name not in names:
            raise ValueError(f"{name!r} is no parameter of this law; it has {', '.join(names)}")
        whole[list(names).index(name)] = value

    def curve(part: Array) -> Array:
        at = whole.copy()
        at[free] = part
        return law(place, at)

    part, free_names = whole[free], [names[i] for i in free]
    passes = _PASSES if variance or x_variance.any() else 1
    for _ in range(passes):
        total = _total(law, place, _with(whole, free, part), covariance, x_variance, variance)
        fit, root = _whitened(curve, observed, total, start=part, names=free_names)
        settled = bool((np.abs(fit.values - part) <= _SETTLED * fit.errors).all())
        part = fit.values
        if settled or fit.verdict is Verdict.FAILED:
            break
    at = _with(whole, free, part)
    return _told(
        _assembled(fit, at, tuple(names), free, observed - law(place, at), root),
        np.argsort(place),
        wanted,
    )


def held_where_open(
    fit: Callable[[dict[str, float]], LawFit], fixed: dict[str, float] | None, name: str, at: float
) -> LawFit:
    """Fit a law, and once more with one parameter held where the points leave it open.

    fit: with these parameters fixed. at: the most likely of the values that were tried. The second
    fit is ILL_DETERMINED: the others are worth something for that value only.
    """
    free = fit(fixed or {})
    if free.verdict is not Verdict.FAILED or name in (fixed or {}):
        return free
    held = fit({**(fixed or {}), name: at})
    reason = f"the points do not determine {name}: all else is for {name} held at {at:.3g}"
    return replace(held, verdict=Verdict.ILL_DETERMINED, reason=reason)


def _points(
    x: ArrayLike, y: ArrayLike, sigma: ArrayLike, sigma_x: ArrayLike | None
) -> tuple[Array, Array, Array, Array]:
    error = np.asarray(sigma, dtype=np.float64)
    columns: dict[str, ArrayLike] = {"x": x, "y": y}
    if error.ndim != 2:
        columns["sigma"] = np.broadcast_to(error, np.shape(y))
    place, observed, *one = check_points(columns)
    if error.ndim == 2 and error.shape != (place.size, place.size):
        raise ValueError(f"covariance of shape {error.shape} for {place.size} points")
    covariance = np.diag(one[0] ** 2) if one else error
    if sigma_x is None:
        return place, observed, covariance, np.zeros(place.size)
    wide = np.broadcast_to(np.asarray(sigma_x, dtype=np.float64), place.shape)
    if not (np.isfinite(wide) & (wide >= 0)).all():
        raise ValueError("sigma_x must be finite and not negative")
    return place, observed, covariance, wide**2


def _with(whole: Array, free: list[int], part: Array) -> Array:
    at = whole.copy()
    at[free] = part
    return at


def _total(
    law: Law,
    place: Array,
    at: Array,
    covariance: Array,
    x_variance: Array,
    variance: Callable[[Array], Array] | None,
) -> Array:
    total = covariance
    if x_variance.any():
        step = np.maximum(0.1 * np.sqrt(x_variance), 1e-6 * (np.abs(place) + np.ptp(place)))
        slope = (law(place + step, at) - law(place - step, at)) / (2.0 * step)
        total = total + np.diag(slope**2 * x_variance)
    if variance is not None:
        total = total + np.diag(variance(law(place, at)))
    return total


def _whitened(
    curve: Callable[[Array], Array],
    observed: Array,
    total: Array,
    *,
    start: Array,
    names: Sequence[str],
) -> tuple[CurveFit, Array]:
    try:
        root = np.asarray(np.linalg.cholesky(total), dtype=np.float64)
    except np.linalg.LinAlgError:
        raise ValueError("the covariance of the points is not positive definite") from None

    def white(values: Array) -> Array:
        return np.asarray(np.linalg.solve(root, values), dtype=np.float64)

    fit = fit_curve(
        lambda part: white(curve(part)),
        white(observed),
        start=start,
        names=names,
        sigma=1.0,
        most_evaluations=_MOST_EVALUATIONS,
    )
    return fit, root


def _assembled(
    fit: CurveFit,
    at: Array,
    names: tuple[str, ...],
    free: list[int],
    residuals: Array,
    root: Array,
) -> LawFit:
    covariance = np.zeros((at.size, at.size))
    covariance[np.ix_(free, free)] = fit.covariance
    return LawFit(
        names=names,
        values=at,
        errors=np.sqrt(np.diag(covariance)),
        covariance=covariance,
        residuals=residuals,
        sigma=np.sqrt((root**2).sum(axis=1)),
        chi2=fit.chi2,
        dof=fit.dof,
        probability=float(chi2_distribution.sf(fit.chi2, fit.dof)) if fit.dof else np.nan,
        probability_of_runs=np.nan,
        verdict=fit.verdict,
        reason=fit.reason,
    )


def _told(fit: LawFit, order: NDArray[np.intp], wanted: Sequence[str]) -> LawFit:
    """Add the tests of the residuals, the warnings, and what they do to the verdict."""
    runs = probability_of_runs(fit.residuals[order])
    warnings = [
        f"{one} and {other} are correlated by {fit.correlation(one, other):.2f}: "
        "neither is to be quoted alone"
        for i, one in enumerate(fit.names)
        for other in fit.names[i + 1 :]
        if fit.error(one) > 0 < fit.error(other)
        and abs(fit.correlation(one, other)) > _STRONG_CORRELATION
    ]
    warnings += said_of_runs(fit.residuals[order])
    fit = replace(fit, probability_of_runs=runs, warnings=tuple(warnings))
    errors = dict(zip(fit.names, fit.errors_with_misfit.tolist(), strict=True))
    vague = [name for name in wanted if errors[name] > _VAGUE * abs(fit[name])]
    if vague and fit.verdict in (Verdict.CONVERGED, Verdict.POOR_FIT):
        said = ", ".join(f"{name} = {fit[name]:.3g} +- {errors[name]:.2g}" for name in vague)
        return replace(fit, verdict=Verdict.ILL_DETERMINED, reason=f"hardly determined: {said}")
    return fit


def said_of_runs(residuals: Array) -> list[str]:
    """Return a warning where residuals, in the order of the sweep, keep their sign for too long."""
    chance = probability_of_runs(residuals)
    if chance >= _UNLIKELY_RUNS:
        return []
    return [
        f"residuals keep their sign for too long (probability {chance:.1g}): "
        "another law would describe the points better"
    ]


def probability_of_runs(residuals: Array) -> float:
    """Return the probability of so few changes of sign by chance; 1 for fewer than 8 points.

    Source: A. Wald and J. Wolfowitz, Ann. Math. Stat. 11, 147 (1940).
    """
    positive = residuals > 0
    above, below = int(positive.sum()), int((~positive).sum())
    if residuals.size < 8 or not above or not below:
        return 1.0
    runs = 1 + int((positive[1:] != positive[:-1]).sum())
    mean = 2.0 * above * below / residuals.size + 1.0
    deviation = np.sqrt((mean - 1.0) * (mean - 2.0) / (residuals.size - 1.0))
    return float(norm.cdf((runs + 0.5 - mean) / deviation)) if deviation > 0 else 1.0
