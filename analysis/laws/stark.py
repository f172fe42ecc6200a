"""The quantum-confined Stark parabola: internal field, dipole, polarizability of a field sweep.

E(F) = E_0 - mu F - (alpha/2) F^2 = E_v - (alpha/2) (F - F_v)^2, with F the nominal applied field.
The internal field along the axis is -F_v. A local-field factor rescales mu and alpha, and F_v stays
the applied field that nulls the internal one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from analysis.estimation.verdict import Verdict
from analysis.estimation.weighted_least_squares import (
    LinearFit,
    check_points,
    drift,
    solve,
    solve_with_drift,
    solve_with_scatter,
)
from analysis.laws.errors_in_x import errors_in_x
from analysis.laws.law_fit import said_of_runs
from analysis.laws.uncertain_scatter import UncertainScatter, student_sigmas, uncertain_scatter

__all__ = ["StarkFit", "fit_stark_parabola"]

Array = NDArray[np.float64]

_CUBIC_SIGMAS = 3.0
_LEAST_CONDITION = 1e-10
_PASSES = 5  # of the effective variance, which depends on the slope
_E_NM_PER_EV_CM_PER_KV = 1e4  # 1 eV/(kV/cm) = 1e-5 e m = 1e4 e nm


@dataclass(frozen=True, slots=True)
class StarkFit:
    """The parabola, with photon and scatter errors.

    dipole_eV_per_kV_cm is mu; half_polarizability is alpha/2 in eV/(kV/cm)^2; coefficients are
    (E_0, -mu, -alpha/2), then one offset in eV for each block but the first. Errors hold the truth
    in 68 % of cases; error_dof: from how many degrees of freedom that of each coefficient is known,
    infinite where no scatter is in it.
    internal_field_interval_kV_per_cm: Fieller's 68.3 % interval, that of 95 % beside it; infinite
    where the curvature is not significant, in which case the vertex may be anywhere.
    scatter_eV: what had to be added to each error, from spectral diffusion and drift; memory_s: of
    exposure over which neighbouring points share it.
    cubic_shift_kV_per_cm: by how much a cubic term would move the internal field, with its error:
    the model error of an extrapolated vertex.
    """

    coefficients: Array
    covariance: Array
    dipole_eV_per_kV_cm: float
    dipole_error: float
    half_polarizability: float
    half_polarizability_error: float
    internal_field_kV_per_cm: float
    internal_field_error: float
    internal_field_interval_kV_per_cm: tuple[float, float]
    internal_field_interval_95_kV_per_cm: tuple[float, float]
    vertex_energy_eV: float
    extrapolated: bool
    cubic_shift_kV_per_cm: tuple[float, float]
    scatter_eV: float
    memory_s: float
    chi2_per_dof: float
    dof: int
    residuals_eV: Array
    error_dof: Array
    verdict: Verdict
    reason: str

    @property
    def dipole_e_nm(self) -> float:
        return self.dipole_eV_per_kV_cm * _E_NM_PER_EV_CM_PER_KV


def fit_stark_parabola(
    field_kV_per_cm: ArrayLike,
    energy_eV: ArrayLike,
    sigma_eV: ArrayLike,
    *,
    block: ArrayLike | None = None,
    add_scatter: bool = True,
    light_time_s: ArrayLike | None = None,
    light_duration_s: float = 0.0,
    sigma_field_kV_per_cm: ArrayLike | None = None,
) -> StarkFit:
    """Fit the parabola in closed form.

    field, energy, sigma: shape (points,). block: an integer per point; each block may be displaced
    (drift of the zero-field energy), which costs one parameter per block.
    add_scatter: let the residuals enlarge the errors where these are too small.
    light_time_s, light_duration_s: exposure seen before the middle of each point, and by each; then
    the scatter may also be a drift that neighbouring points share, as spectral diffusion is.
    sigma_field: error of each field, which enters by the slope there as an effective variance.
    Raises ValueError for unequal lengths, not finite values, too few points or fields.
    """
    field, energy, sigma = check_points(
        {"field_kV_per_cm": field_kV_per_cm, "energy_eV": energy_eV, "sigma_eV": sigma_eV}
    )
    if np.unique(field).size < 3:
        raise ValueError(f"a parabola needs 3 different fields, got {np.unique(field).size}")
    design = np.column_stack([np.ones_like(field), field, field**2, *_block_columns(field, block)])
    if field.size <= design.shape[1]:
        raise ValueError(f"{field.size} points for {design.shape[1]} parameters leave no residual")
    field_variance = errors_in_x(sigma_field_kV_per_cm, field, "sigma_field_kV_per_cm") ** 2
    variance = sigma**2
    for _ in range(_PASSES if field_variance.any() else 1):
        fit = _solve(design, energy, variance, add_scatter, light_time_s, light_duration_s)
        slope = fit.coefficients[1] + 2.0 * fit.coefficients[2] * field
        variance = sigma**2 + slope**2 * field_variance
    errors = _Errors.of(fit, design, variance, light_time_s, light_duration_s)
    return _interpreted(
        replace(fit, covariance=errors.covariance),
        errors,
        field,
        _cubic_shift(design, field, energy, fit, np.sqrt(variance)),
    )


@dataclass(frozen=True, slots=True)
class _Errors:
    """The covariance of the coefficients, and where a scatter is in it, how well it is known."""

    covariance: Array
    scatter: UncertainScatter | None

    @classmethod
    def of(
        cls,
        fit: LinearFit,
        design: Array,
        variance: Array,
        light_time_s: ArrayLike | None,
        light_duration_s: float,
    ) -> _Errors:
        if not fit.scatter or fit.condition < _LEAST_CONDITION:
            return cls(fit.covariance, None)
        if not fit.memory_s:
            changes = [np.eye(variance.size)]
            total = np.diag(variance) + fit.scatter**2 * changes[0]
        else:
            time_s, memory_s = np.asarray(light_time_s, dtype=np.float64), fit.memory_s
            shared, longer = (
                drift(time_s, light_duration_s, memory_s * more) for more in (1.0, 1.01)
            )
            changes = [shared, fit.scatter**2 * (longer - shared) / np.log(1.01)]
            total = np.diag(variance) + fit.scatter**2 * shared
        found = uncertain_scatter(design, total, changes)
        return cls(found.covariance, found)

    def dof(self, direction: ArrayLike) -> float:
        return np.inf if self.scatter is None else self.scatter.dof(direction)

    def along(self, direction: ArrayLike) -> float:
        """Return the error of a combination of the coefficients, of 68 %."""
        way = np.asarray(direction, dtype=np.float64)
        wide = float(student_sigmas(1.0, self.dof(way)))
        return wide * float(np.sqrt(way @ self.covariance @ way))


def _solve(
    design: Array,
    energy: Array,
    variance: Array,
    add_scatter: bool,
    light_time_s: ArrayLike | None,
    light_duration_s: float,
) -> LinearFit:
    if not add_scatter:
        return solve(design, energy, variance)
    if light_time_s is None:
        return solve_with_scatter(design, energy, variance)
    (time_s,) = check_points({"light_time_s": light_time_s})
    if time_s.shape != energy.shape or not light_duration_s > 0:
        raise ValueError(
            f"light_time_s has shape {time_s.shape}, energy_eV has {energy.shape}; "
            f"light_duration_s is {light_duration_s} and must be positive"
        )
    return solve_with_drift(design, energy, variance, time_s=time_s, duration_s=light_duration_s)


def _block_columns(field: Array, block: ArrayLike | None) -> list[Array]:
    if block is None:
        return []
    blocks = np.asarray(block)
    if blocks.shape != field.shape:
        raise ValueError(f"block has shape {blocks.shape}, field_kV_per_cm has {field.shape}")
    return [(blocks == one).astype(np.float64) for one in np.unique(blocks)[1:]]


def _interpreted(
    fit: LinearFit, errors: _Errors, field: Array, cubic_shift: tuple[float, float]
) -> StarkFit:
    level, slope, curvature = (float(c) for c in fit.coefficients[:3])
    vertex = -slope / (2.0 * curvature) if curvature else np.inf
    extrapolated = not field.min() <= vertex <= field.max()
    gradient = np.zeros(fit.coefficients.size)
    if curvature:
        gradient[1:3] = -0.5 / curvature, 0.5 * slope / curvature**2
    dof = errors.dof(gradient) if curvature else np.inf
    (low, high), (low_95, high_95) = (
        _fieller_interval(fit, dof, probability=share) for share in (0.683, 0.95)
    )
    verdict, reason = _verdict(fit, dof, vertex, field, extrapolated=extrapolated)
    shift, shift_error = cubic_shift
    unit = np.eye(fit.coefficients.size)
    if abs(shift) > _CUBIC_SIGMAS * shift_error:
        reason += (
            f"; a cubic term is there and would move the internal field by {shift:.0f} +- "
            f"{shift_error:.0f} kV/cm"
        )
    reason = "; ".join([reason, *said_of_runs(fit.residuals[np.argsort(field, kind="stable")])])
    return StarkFit(
        coefficients=fit.coefficients,
        covariance=fit.covariance,
        dipole_eV_per_kV_cm=-slope,
        dipole_error=errors.along(unit[1]),
        half_polarizability=-curvature,
        half_polarizability_error=errors.along(unit[2]),
        internal_field_kV_per_cm=-vertex,
        internal_field_error=errors.along(gradient) if curvature else np.inf,
        internal_field_interval_kV_per_cm=(-high, -low),
        internal_field_interval_95_kV_per_cm=(-high_95, -low_95),
        vertex_energy_eV=level + 0.5 * slope * vertex,
        extrapolated=extrapolated,
        cubic_shift_kV_per_cm=cubic_shift,
        scatter_eV=fit.scatter,
        memory_s=fit.memory_s,
        chi2_per_dof=fit.chi2_per_dof,
        dof=fit.dof,
        residuals_eV=fit.residuals,
        error_dof=np.array([errors.dof(one) for one in unit]),
        verdict=verdict,
        reason=reason,
    )


def _fieller_interval(fit: LinearFit, dof: float, *, probability: float) -> tuple[float, float]:
    """Return the fields whose slope is compatible with 0, infinite if the set is not an interval.

    dof: from how many degrees of freedom the covariance is known.

    Source: E. C. Fieller, J. R. Stat. Soc. B 16, 175 (1954).
    """
    _, b, a = (float(c) for c in fit.coefficients[:3])
    bb, ab, aa = fit.covariance[1, 1], fit.covariance[1, 2], fit.covariance[2, 2]
    t2 = float(student_sigmas(norm.ppf(0.5 + 0.5 * probability), dof)) ** 2 if fit.dof else np.inf
    square, linear, constant = 4 * (a**2 - t2 * aa), 4 * (a * b - t2 * ab), b**2 - t2 * bb
    discriminant = linear**2 - 4.0 * square * constant
    if square <= 0 or discriminant < 0:
        return -np.inf, np.inf
    middle, half = -linear / (2.0 * square), np.sqrt(discriminant) / (2.0 * square)
    return float(middle - half), float(middle + half)


def _cubic_shift(
    design: Array, field: Array, energy: Array, fit: LinearFit, sigma: Array
) -> tuple[float, float]:
    """Return how far a cubic term moves the internal field, and the error of that."""
    wider = np.column_stack([design[:, :3], field**3, design[:, 3:]])
    if field.size <= wider.shape[1] or np.unique(field).size < 4:
        return np.nan, np.nan
    cubic = solve(wider, energy, sigma**2, scatter2=fit.scatter**2)
    _, b, a, c = (float(x) for x in cubic.coefficients[:4])
    vertex = -fit.coefficients[1] / (2.0 * fit.coefficients[2])
    # First order in c about the parabola's vertex: single-valued where the cubic has no vertex.
    moved = -(b + 3.0 * c * vertex**2) / (2.0 * a)
    gradient = np.array([-1.0, 2.0 * (b + 3.0 * c * vertex**2) / (2.0 * a), -3.0 * vertex**2])
    error = np.sqrt(gradient @ cubic.covariance[1:4, 1:4] @ gradient) / abs(2.0 * a)
    return float(vertex - moved), float(error)


def _verdict(
    fit: LinearFit, dof: float, vertex: float, field: Array, *, extrapolated: bool
) -> tuple[Verdict, str]:
    said = []
    if extrapolated:
        reach = abs(vertex) / max(abs(field.min()), abs(field.max()))
        said.append(f"extrapolated: the vertex is {reach:.1f} times the largest applied field")
    if fit.scatter:
        said.append(f"{fit.scatter * 1e6:.1f} ueV of scatter beyond the given errors")
    interval = _fieller_interval(fit, dof, probability=0.954)
    if fit.condition < _LEAST_CONDITION or not np.isfinite(interval[0]):
        significance = abs(fit.coefficients[2]) / np.sqrt(fit.covariance[2, 2])
        said.insert(0, f"curvature only {significance:.1f} sigma: the vertex is not determined")
        return Verdict.ILL_DETERMINED, "; ".join(said)
    if not fit.scatter and fit.chi2_per_dof - 1.0 > 5.0 * np.sqrt(2.0 / max(fit.dof, 1)):
        said.insert(0, f"residuals exceed the errors: chi2/dof {fit.chi2_per_dof:.2f}")
        return Verdict.POOR_FIT, "; ".join(said)
    said.append(f"chi2/dof {fit.chi2_per_dof:.2f}")
    return Verdict.CONVERGED, "; ".join(said)
