"""The polarization of one line: I(theta) = a + b cos^2(theta - phi), fitted in (1, cos 2t, sin 2t).

Each line has its own axis; nothing makes the axes of two lines orthogonal, since the projections of
orthogonal dipoles are not. The constant a is free, because a high aperture collects light from the
dipole component along the optical axis, unpolarised.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.estimation.verdict import Verdict
from analysis.estimation.weighted_least_squares import (
    LinearFit,
    check_points,
    solve,
    solve_with_scatter,
)
from analysis.laws.errors_in_x import errors_in_x
from analysis.laws.law_fit import said_of_runs
from analysis.laws.uncertain_scatter import uncertain_scatter

__all__ = [
    "PolarizationFit",
    "angle_between_deg",
    "fit_polarization",
    "harmonics",
    "slope_per_deg",
]

Array = NDArray[np.float64]

_PASSES = 4  # of the effective variance, which depends on the slope


@dataclass(frozen=True, slots=True)
class PolarizationFit:
    """Axis, amplitude and visibility of one line.

    coefficients: (mean, cosine, sine) of I = mean + cosine cos 2t + sine sin 2t, with covariance.
    axis_deg: where I is largest, from 0 up to 180. amplitude: I_max - I_min. visibility: amplitude
    / (I_max + I_min), as measured; noise alone makes it positive, so visibility_debiased has that
    part removed and is 0 where nothing is left. Errors hold the truth in 68 % of cases; error_dof:
    from how many degrees of freedom they are known, infinite where no scatter is in them.
    """

    coefficients: Array
    covariance: Array
    axis_deg: float
    axis_error_deg: float
    amplitude: float
    amplitude_error: float
    visibility: float
    visibility_error: float
    visibility_debiased: float
    scatter: float
    chi2_per_dof: float
    dof: int
    verdict: Verdict
    reason: str
    error_dof: float = np.inf


def fit_polarization(
    angle_deg: ArrayLike,
    intensity: ArrayLike,
    sigma: ArrayLike,
    *,
    add_scatter: bool = True,
    sigma_angle_deg: ArrayLike | None = None,
) -> PolarizationFit:
    """Fit one line's intensity over the analyser angle in closed form.

    angle_deg: of the transmitted polarization (twice the turn of a half-wave plate), shape (n,).
    sigma_angle_deg: error of each, which enters by the slope there as an effective variance.
    Raises ValueError for unequal lengths, values that are not finite, or fewer than four points.
    """
    angle, observed, error = check_points(
        {"angle_deg": angle_deg, "intensity": intensity, "sigma": sigma}
    )
    if angle.size < 4:
        raise ValueError(f"{angle.size} angles leave no residual for 3 parameters")
    method = solve_with_scatter if add_scatter else solve
    angle_variance = errors_in_x(sigma_angle_deg, angle, "sigma_angle_deg") ** 2
    fit, by_angle = method(harmonics(angle), observed, error**2), np.zeros_like(angle)
    for _ in range(_PASSES if angle_variance.any() else 0):
        by_angle = slope_per_deg(angle, fit.coefficients) ** 2 * angle_variance
        fit = method(harmonics(angle), observed, error**2 + by_angle)
    law = _interpreted(fit, harmonics(angle), error**2 + by_angle)
    warnings = said_of_runs(fit.residuals[np.argsort(angle % 180.0, kind="stable")])
    return replace(law, reason="; ".join([law.reason, *warnings]))


def _interpreted(fit: LinearFit, design: Array, variance: Array) -> PolarizationFit:
    """Interpret a fit with the errors that a scatter known from these points only leaves."""
    if not fit.scatter:
        return interpret(fit)
    scatter = np.eye(variance.size)
    found = uncertain_scatter(design, np.diag(variance) + fit.scatter**2 * scatter, [scatter])
    law = interpret(replace(fit, covariance=found.covariance_68()))
    return replace(law, error_dof=float(found.dofs().min()))


def harmonics(angle_deg: ArrayLike) -> Array:
    """Return the columns 1, cos 2t, sin 2t, shape (n, 3)."""
    double = np.deg2rad(2.0 * np.asarray(angle_deg, dtype=np.float64))
    return np.column_stack([np.ones_like(double), np.cos(double), np.sin(double)])


def slope_per_deg(angle_deg: ArrayLike, coefficients: Array) -> Array:
    """Return how the intensity changes with the angle there, per degree."""
    _, cosine, sine = harmonics(angle_deg).T
    _, along, across = coefficients
    return np.asarray(np.deg2rad(2.0) * (across * cosine - along * sine))


def angle_between_deg(first_deg: float, second_deg: float) -> float:
    """Return the angle between two axes, from 0 to 90 degrees."""
    apart = abs(first_deg - second_deg) % 180.0
    return min(apart, 180.0 - apart)


def interpret(fit: LinearFit) -> PolarizationFit:
    """Turn the three coefficients into axis, amplitude and visibility."""
    mean, cosine, sine = (float(c) for c in fit.coefficients)
    swing = float(np.hypot(cosine, sine))
    axis = float(np.rad2deg(0.5 * np.arctan2(sine, cosine)) % 180.0)
    safe = max(swing, 1e-300)
    along = np.array([0.0, cosine, sine]) / safe
    across = np.array([0.0, -sine, cosine]) / safe
    axis_error = float(np.rad2deg(0.5 * _error(fit, across) / safe))
    visibility = swing / mean if mean else 0.0  # darkness, which the verdict says
    visibility_error = _error(fit, along - np.array([visibility, 0.0, 0.0])) / max(
        abs(mean), 1e-300
    )
    noise2 = 0.5 * float(np.trace(fit.covariance[1:, 1:]))
    debiased = max(swing**2 - noise2, 0.0) ** 0.5 / mean if mean else 0.0
    verdict, reason = _verdict(fit, swing=swing, swing_error=_error(fit, along))
    return PolarizationFit(
        coefficients=fit.coefficients,
        covariance=fit.covariance,
        axis_deg=axis,
        # An axis is never less certain than one drawn at random.
        axis_error_deg=min(axis_error, 180.0 / 12.0**0.5),
        amplitude=2.0 * swing,
        amplitude_error=2.0 * _error(fit, along),
        visibility=visibility,
        visibility_error=visibility_error,
        visibility_debiased=debiased,
        scatter=fit.scatter,
        chi2_per_dof=fit.chi2_per_dof,
        dof=fit.dof,
        verdict=verdict,
        reason=reason,
    )


def _error(fit: LinearFit, direction: Array) -> float:
    return float(np.sqrt(np.maximum(0.0, direction @ fit.covariance @ direction)))


def _verdict(fit: LinearFit, *, swing: float, swing_error: float) -> tuple[Verdict, str]:
    if fit.condition < 1e-6:
        return Verdict.ILL_DETERMINED, "the angles do not determine mean, cosine and sine"
    mean_error = float(np.sqrt(fit.covariance[0, 0]))
    if fit.coefficients[0] < 3.0 * mean_error:
        return Verdict.NO_SIGNAL, f"mean {fit.coefficients[0]:.3g} +- {mean_error:.2g}"
    if swing < 3.0 * swing_error:
        return Verdict.ILL_DETERMINED, (
            f"modulation {swing:.3g} +- {swing_error:.2g} is not significant: no axis"
        )
    if not fit.scatter and fit.chi2_per_dof - 1.0 > 5.0 * np.sqrt(2.0 / max(fit.dof, 1)):
        return Verdict.POOR_FIT, f"residuals exceed the errors: chi2/dof {fit.chi2_per_dof:.2f}"
    extra = f"; {fit.scatter:.3g} of scatter beyond the given errors" if fit.scatter else ""
    return Verdict.CONVERGED, f"chi2/dof {fit.chi2_per_dof:.2f}{extra}"
