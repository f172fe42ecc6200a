"""Fit a nonlinear law over a sweep: errors of both axes, correlated errors, tests, warnings.

Errors of x enter as an effective variance, V = V_y + (df/dx)^2 V_x, at the fit itself. Where the
points scatter beyond all their errors, as a wandering line makes them, that scatter is estimated
and carried; residuals that keep their sign are no scatter but another law.
Sources: J. Orear, Am. J. Phys. 50, 912 (1982); H. D. Patterson and R. Thompson, Biometrika 58, 545
(1971), for the restricted likelihood.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import chi2 as chi2_distribution
from scipy.stats import norm

from analysis.estimation.curve_fit import CurveFit, differences, fit_curve
from analysis.estimation.verdict import Verdict
from analysis.estimation.weighted_least_squares import check_points, restricted_cost
from analysis.laws.uncertain_scatter import interval_95, uncertain_scatter

__all__ = [
    "LawFit",
    "Scatter",
    "fit_law",
    "held_where_open",
    "probability_of_runs",
    "said_of_runs",
]

Array = NDArray[np.float64]
Law = Callable[[Array, Array], Array]  # places (n,), parameters (p,) -> values (n,)

_PASSES = 6  # of the effective variance, which depends on the fit
_SETTLED = 1e-3  # sigma
_MOST_EVALUATIONS = 1000  # a law that needs more follows a valley without end
_STRONG_CORRELATION = 0.9
_UNLIKELY_RUNS = 0.003
_BY_CHANCE = 0.05  # a scatter that chance explains would only spoil the weights
_VAGUE = 0.5  # of its value: beyond that error a parameter is not determined


class Scatter(Enum):
    """How points may scatter beyond their errors: not, all alike, or in proportion to the law."""

    NONE = "none"
    ALIKE = "alike"
    RELATIVE = "relative"


@dataclass(frozen=True, slots=True)
class LawFit:
    """Parameters of a law with covariance, and what speaks for and against it.

    sigma: effective error of each point. scatter: what of it had to be added in quadrature beyond
    the given errors, as a share of the law where it is RELATIVE. chi2 and probability, of one as
    large by chance, are without it. probability_of_runs: of residuals as often of one sign in a row
    by chance. errors hold the truth in 68 % of cases; error_dof: from how many degrees of freedom
    each is known where a scatter is in it, infinite otherwise.
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
    scatter: float = 0.0
    error_dof: Array = field(default_factory=lambda: np.empty(0))

    def __getitem__(self, name: str) -> float:
        return float(self.values[self.names.index(name)])

    def error(self, name: str) -> float:
        return float(self.errors[self.names.index(name)])

    def interval_95(self, name: str) -> tuple[float, float]:
        """Return between which values a parameter is in 95 % of cases."""
        at = self.names.index(name)
        dof = float(self.error_dof[at]) if self.error_dof.size else np.inf
        return interval_95(self[name], float(self.errors_with_misfit[at]), dof)

    def correlation(self, one: str, other: str) -> float:
        """Return the correlation of two parameters, from -1 to 1."""
        i, k = self.names.index(one), self.names.index(other)
        return float(self.covariance[i, k] / (self.errors[i] * self.errors[k]))

    @property
    def errors_with_misfit(self) -> Array:
        """Errors enlarged by sqrt(chi2/dof) where that is above 1 and no scatter stands for it."""
        if self.scatter:
            return self.errors
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
    scatter: Scatter = Scatter.ALIKE,
) -> LawFit:
    """Fit a law from start values.

    sigma: error of each y, shape (n,), or their covariance (n, n). variance: of y at its fitted
    value, added to that of sigma, such as that of counts. wanted: parameters without which the law
    says nothing; an error above half of their value makes the verdict ILL_DETERMINED. scatter: what
    the points may do beyond all these errors.
    Raises ValueError for points or start values that cannot be fitted, naming them.
    """
    place, observed, covariance, x_variance = _points(x, y, sigma, sigma_x)
    whole = np.asarray(start, dtype=np.float64).copy()
    for name, value in (fixed or {}).items():
        if name not in names:
            raise ValueError(f"{name!r} is no parameter of this law; it has {', '.join(names)}")
        whole[list(names).index(name)] = value
    problem = _Problem(
        law,
        place,
        observed,
        covariance,
        x_variance,
        variance,
        scatter,
        tuple(names),
        whole,
        tuple(i for i, name in enumerate(names) if name not in (fixed or {})),
    )
    plain = problem.fitted(whole[list(problem.free)])
    order = np.argsort(place, kind="stable")
    if not problem.may_scatter(plain) or said_of_runs(plain.residuals[order]):
        return _told(plain, order, wanted)
    return _told(_with_scatter(problem, plain), order, wanted)


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


@dataclass(frozen=True, slots=True)
class _Problem:
    """A law and its points. whole: all parameters, of which `free` are fitted."""

    law: Law
    place: Array
    observed: Array
    covariance: Array
    x_variance: Array
    variance: Callable[[Array], Array] | None
    scatter: Scatter
    names: tuple[str, ...]
    whole: Array
    free: tuple[int, ...]

    def at(self, part: Array) -> Array:
        """Return all parameters."""
        everything = self.whole.copy()
        everything[list(self.free)] = part
        return everything

    def curve(self, part: Array) -> Array:
        return self.law(self.place, self.at(part))

    def fitted(self, part: Array, scatter2: float = 0.0) -> LawFit:
        """Return the fit with this variance of the scatter, from a start."""
        changes = bool(self.variance or self.x_variance.any())
        changes |= scatter2 > 0 and self.scatter is Scatter.RELATIVE
        for _ in range(_PASSES if changes else 1):
            total = self.total(part) + scatter2 * np.diag(self.profile2(part))
            fit, root = _whitened(
                self.curve,
                self.observed,
                total,
                start=part,
                names=[self.names[i] for i in self.free],
            )
            settled = bool((np.abs(fit.values - part) <= _SETTLED * fit.errors).all())
            part = fit.values
            if settled or fit.verdict is Verdict.FAILED:
                break
        residuals = self.observed - self.curve(part)
        return _assembled(fit, self.at(part), self.names, list(self.free), residuals, root)

    def total(self, part: Array) -> Array:
        """Return the covariance of the points with all errors that were given."""
        total = self.covariance
        if self.x_variance.any():
            step = np.maximum(
                0.1 * np.sqrt(self.x_variance),
                1e-6 * (np.abs(self.place) + np.ptp(self.place)),
            )
            at = self.at(part)
            slope = (self.law(self.place + step, at) - self.law(self.place - step, at)) / (
                2.0 * step
            )
            total = total + np.diag(slope**2 * self.x_variance)
        if self.variance is not None:
            total = total + np.diag(self.variance(self.curve(part)))
        return total

    def profile2(self, part: Array) -> Array:
        """Return the variance of each point for a scatter of 1."""
        if self.scatter is Scatter.RELATIVE:
            return np.asarray(self.curve(part) ** 2)
        return np.ones_like(self.observed)

    def may_scatter(self, fit: LawFit) -> bool:
        """Return whether the points ask for a scatter of their own."""
        is_fitted = fit.verdict is not Verdict.FAILED and fit.dof > 0
        return self.scatter is not Scatter.NONE and is_fitted and fit.probability < _BY_CHANCE

    def likely_scatter2(self, part: Array) -> float:
        """Return the variance of the scatter that maximises the restricted likelihood here."""
        design = differences(self.curve, part)
        left, given = self.observed - self.curve(part), self.total(part)
        profile2 = self.profile2(part)
        own = np.diag(given) / np.maximum(profile2, 1e-300)
        largest = left.size * float((left**2 / np.maximum(profile2, 1e-300)).max())

        def cost(log_scatter2: float) -> float:
            total = given + np.exp(log_scatter2) * np.diag(profile2)
            return restricted_cost(design, left, total)

        span = (np.log(1e-6 * float(own.min())), np.log(largest + float(own.max())))
        return float(np.exp(minimize_scalar(cost, bounds=span, method="bounded").x))


def _with_scatter(problem: _Problem, plain: LawFit) -> LawFit:
    """Fit again with the scatter that the residuals ask for, until both agree."""
    fit, scatter2 = plain, 0.0
    for _ in range(_PASSES):
        part = fit.values[list(problem.free)]
        found = problem.likely_scatter2(part)
        settled = abs(found - scatter2) <= _SETTLED * found
        scatter2 = found
        fit = problem.fitted(part, scatter2)
        if settled or fit.verdict is Verdict.FAILED:
            break
    if fit.verdict is not Verdict.FAILED:
        fit = _honest(problem, fit, scatter2)
    size = float(np.sqrt(scatter2))
    said = f"{100 * size:.2g} %" if problem.scatter is Scatter.RELATIVE else f"{size:.2g}"
    return replace(
        fit,
        chi2=plain.chi2,
        probability=plain.probability,
        scatter=size,
        reason=f"chi2/dof {plain.chi2 / plain.dof:.2f}; {said} of scatter beyond the given errors, "
        f"which {fit.error_dof.min():.0f} degrees of freedom know"
        if fit.verdict is Verdict.CONVERGED
        else fit.reason,
    )


def _honest(problem: _Problem, fit: LawFit, scatter2: float) -> LawFit:
    """Enlarge the errors for a scatter that is known from these points only."""
    free = list(problem.free)
    part = fit.values[free]
    change = np.diag(problem.profile2(part))
    total = problem.total(part) + scatter2 * change
    found = uncertain_scatter(differences(problem.curve, part), total, [change])
    dof = np.full(fit.values.size, np.inf)
    dof[free] = found.dofs()
    covariance = np.zeros_like(fit.covariance)
    covariance[np.ix_(free, free)] = found.covariance_68()
    errors = np.sqrt(np.diag(covariance))
    return replace(fit, covariance=covariance, errors=errors, error_dof=dof)


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
