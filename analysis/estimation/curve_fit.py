"""Nonlinear least squares for curves of few points: scipy's optimiser, with an honest verdict.

For laws over a sweep and for reference problems; spectra are fitted by maximum likelihood instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares
from scipy.stats import chi2 as chi2_distribution

from analysis.estimation.verdict import Verdict

__all__ = ["CurveFit", "differences", "fit_curve"]

Array = NDArray[np.float64]
Curve = Callable[[Array], Array]


@dataclass(frozen=True, slots=True)
class CurveFit:
    """Parameters with covariance, and what they are worth.

    chi2: sum of squared residuals over sigma^2, or the bare sum where no sigma is given; then the
    errors come from the residuals themselves. condition: smallest over largest singular value of
    the Jacobian with columns of unit length. worst_cosine: the largest cosine between the residuals
    and a column; 0 at a minimum. residuals: over sigma where it is given. free: not at a bound.
    """

    names: tuple[str, ...]
    values: Array
    errors: Array
    covariance: Array
    residuals: Array
    chi2: float
    dof: int
    condition: float
    worst_cosine: float
    evaluations: int
    free: NDArray[np.bool_]
    verdict: Verdict
    reason: str

    def __getitem__(self, name: str) -> float:
        return float(self.values[self.names.index(name)])

    def error(self, name: str) -> float:
        return float(self.errors[self.names.index(name)])

    def correlation(self, one: str, other: str) -> float:
        """Return the correlation of two parameters, from -1 to 1."""
        i, k = self.names.index(one), self.names.index(other)
        return float(self.covariance[i, k] / (self.errors[i] * self.errors[k]))


def fit_curve(
    curve: Curve,
    observed: ArrayLike,
    *,
    start: ArrayLike,
    names: Sequence[str],
    sigma: ArrayLike | None = None,
    bounds: tuple[ArrayLike, ArrayLike] | None = None,
    jacobian: Callable[[Array], Array] | None = None,
    most_evaluations: int = 20_000,
) -> CurveFit:
    """Fit a curve from start values.

    curve: parameters (p,) -> values (n,). jacobian: parameters -> (n, p); else by differences.
    A verdict FAILED says that no minimum was reached; the values are then where it stopped.
    Raises ValueError for points that are not finite, too few, or a start that gives no curve.
    """
    y = np.asarray(observed, dtype=np.float64)
    begin = np.asarray(start, dtype=np.float64)
    weight = _weights(y, sigma)
    _check(y, begin, names, curve)

    def residual(place: Array) -> Array:
        # An overshooting step may leave the range of the curve; a large residual turns it back.
        with np.errstate(all="ignore"):
            return np.nan_to_num(
                (y - curve(place)) * weight, nan=1e150, posinf=1e150, neginf=-1e150
            )

    def slope(place: Array) -> Array:
        with np.errstate(all="ignore"):
            found = jacobian(place) if jacobian else differences(curve, place)
        return np.nan_to_num(-found * weight[:, None], posinf=1e150, neginf=-1e150)

    method: Literal["lm", "trf"] = "lm" if bounds is None else "trf"
    extent = {} if bounds is None else {"bounds": bounds}
    with np.errstate(all="ignore"):
        result = least_squares(
            residual,
            begin,
            jac=slope,
            method=method,
            x_scale="jac",
            ftol=1e-15,
            xtol=1e-15,
            gtol=1e-15,
            max_nfev=most_evaluations,
            **extent,
        )
    place = np.asarray(result.x, dtype=np.float64)
    fit = _described(
        place,
        residual(place),
        slope(place),
        free=np.asarray(result.active_mask) == 0,
        names=tuple(names),
        scaled=sigma is None,
    )
    fit = replace(fit, evaluations=int(result.nfev))
    verdict, reason = _verdict(fit, y, scaled=sigma is None, stopped=not result.success)
    return replace(fit, verdict=verdict, reason=reason)


def _weights(y: Array, sigma: ArrayLike | None) -> Array:
    if sigma is None:
        return np.ones_like(y)
    error = np.broadcast_to(np.asarray(sigma, dtype=np.float64), y.shape)
    wrong = np.flatnonzero(~(np.isfinite(error) & (error > 0)))
    if wrong.size:
        raise ValueError(f"sigma: point {wrong[0]} is {error[wrong[0]]}, must be positive")
    return 1.0 / error


def _check(y: Array, start: Array, names: Sequence[str], curve: Curve) -> None:
    if y.ndim != 1 or not np.isfinite(y).all():
        raise ValueError(f"observed of shape {y.shape} must be one row of finite values")
    if start.shape != (len(names),):
        raise ValueError(f"start of shape {start.shape} for {len(names)} parameters")
    if y.size < start.size:
        raise ValueError(f"{y.size} points cannot determine {start.size} parameters")
    with np.errstate(all="ignore"):
        first = curve(start)
    if first.shape != y.shape or not np.isfinite(first).all():
        raise ValueError(f"start {start.tolist()} gives no curve of {y.size} finite values")


def differences(curve: Curve, place: Array) -> Array:
    """Return the Jacobian by central differences with one Richardson step, good to 1e-10."""
    step = 1e-3 * np.where(place == 0, 1.0, np.abs(place))
    columns = []
    for k, h in enumerate(step):
        one = np.zeros_like(place)
        one[k] = h
        wide, narrow = (
            (curve(place + s * one) - curve(place - s * one)) / (2.0 * s * h) for s in (1.0, 0.5)
        )
        wider = (curve(place + 0.25 * one) - curve(place - 0.25 * one)) / (0.5 * h)
        first, second = (4.0 * narrow - wide) / 3.0, (4.0 * wider - narrow) / 3.0
        columns.append((16.0 * second - first) / 15.0)
    return np.column_stack(columns)


def _described(
    place: Array,
    residuals: Array,
    slopes: Array,
    *,
    free: NDArray[np.bool_],
    names: tuple[str, ...],
    scaled: bool,
) -> CurveFit:
    norm = np.linalg.norm(slopes, axis=0)
    unit = slopes / np.where(norm > 0, norm, 1.0)
    chi2, dof = float(residuals @ residuals), residuals.size - place.size
    _, singular, v = np.linalg.svd(unit[:, free], full_matrices=False)
    # Where the points leave a direction open, its error is said to be huge, not left out.
    root = v.T / np.maximum(singular, 1e-14)
    covariance = np.zeros((place.size, place.size))
    size = np.maximum(norm[free], 1e-100)
    covariance[np.ix_(free, free)] = (root @ root.T) / size / size[:, None]
    covariance *= chi2 / dof if scaled and dof else 1.0
    downhill = np.abs(unit[:, free].T @ residuals) / max(np.sqrt(chi2), 1e-300)
    return CurveFit(
        names=names,
        values=place,
        errors=np.sqrt(np.diag(covariance)),
        covariance=covariance,
        residuals=residuals,
        chi2=chi2,
        dof=dof,
        condition=float(singular[-1] / singular[0]) if singular.size and singular[0] > 0 else 0.0,
        worst_cosine=float(downhill.max()) if downhill.size else 0.0,
        evaluations=0,
        free=free,
        verdict=Verdict.FAILED,
        reason="",
    )


_MOST_COSINE = 1e-5  # between residuals and any column, at a minimum
_ROUNDING = 1e-10  # residuals, relative to what was observed, that are rounding alone
_LEAST_CONDITION = 1e-7
_UNLIKELY = 1e-4  # a chi2 as large by chance


def _verdict(fit: CurveFit, y: Array, *, scaled: bool, stopped: bool) -> tuple[Verdict, str]:
    """Return the first thing that is wrong with a fit, gravest first."""
    exact = scaled and fit.chi2 <= (_ROUNDING * float(np.linalg.norm(y))) ** 2
    if not exact and (stopped or fit.worst_cosine > _MOST_COSINE):
        return Verdict.FAILED, (
            f"not converged after {fit.evaluations} evaluations: the residuals still point along "
            f"a parameter by {fit.worst_cosine:.1g}, at a minimum by less than {_MOST_COSINE:.0g}"
        )
    if fit.condition < _LEAST_CONDITION:
        return Verdict.ILL_DETERMINED, (
            "the points do not determine "
            f"{fit.names[int(np.argmax(fit.errors / np.maximum(np.abs(fit.values), 1e-300)))]}"
        )
    held = [name for name, free in zip(fit.names, fit.free, strict=True) if not free]
    if held:
        return Verdict.AT_A_BOUND, f"{', '.join(held)} at the end of the allowed range"
    if scaled or not fit.dof:
        return Verdict.CONVERGED, f"{fit.dof} degrees of freedom, errors from the residuals"
    if chi2_distribution.sf(fit.chi2, fit.dof) < _UNLIKELY:
        return Verdict.POOR_FIT, f"residuals exceed the errors: chi2/dof {fit.chi2 / fit.dof:.2f}"
    return Verdict.CONVERGED, f"chi2/dof {fit.chi2 / fit.dof:.2f}"
