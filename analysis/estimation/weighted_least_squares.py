"""Linear laws over a sweep: weighted least squares with covariance and an extra scatter term."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize, minimize_scalar

__all__ = [
    "LinearFit",
    "check_points",
    "drift",
    "errors_of",
    "restricted_cost",
    "solve",
    "solve_with_drift",
    "solve_with_scatter",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LinearFit:
    """Coefficients with covariance.

    chi2_per_dof: with the given errors. scatter: standard deviation that had to be added to each
    of them in quadrature, 0 where they suffice; memory_s: over which it is the same, 0 if it is
    new at each point. condition: smallest over largest singular value of
    the scaled design; 0 means that the points do not determine the coefficients.
    """

    coefficients: Array
    covariance: Array
    residuals: Array
    chi2_per_dof: float
    dof: int
    scatter: float
    condition: float
    memory_s: float = 0.0


def check_points(values: dict[str, ArrayLike]) -> tuple[Array, ...]:
    """Return the named columns as float64, shape (n,) each.

    Raises ValueError for unequal lengths, for what is not finite and, in a column whose name
    begins with "sigma", for what is not positive.
    """
    columns = {name: np.asarray(column, dtype=np.float64) for name, column in values.items()}
    first = next(iter(columns))
    for name, column in columns.items():
        if column.ndim != 1 or column.size != columns[first].size:
            raise ValueError(
                f"{name} has shape {column.shape}, {first} has {columns[first].shape}: "
                "both must be one row of equal length"
            )
        wrong = np.flatnonzero(~np.isfinite(column))
        if wrong.size:
            raise ValueError(f"{name}: point {wrong[0]} is {column[wrong[0]]}, must be finite")
        if name.startswith("sigma") and (column <= 0).any():
            raise ValueError(f"{name}: point {np.argmin(column)} is not positive")
    return tuple(columns.values())


def errors_of(sigma: ArrayLike) -> Array:
    """Return the error of each point from their errors, (n,), or their covariance, (n, n)."""
    given = np.asarray(sigma, dtype=np.float64)
    if given.ndim != 2:
        return given
    return np.sqrt(np.maximum(np.diag(given), 0.0))


def solve(design: Array, observed: Array, variance: Array, *, scatter2: float = 0.0) -> LinearFit:
    """Return the weighted least-squares solution.

    design: shape (points, coefficients); variance: of each point.
    Raises ValueError for fewer points than coefficients.
    """
    points, coefficients = design.shape
    if points < coefficients:
        raise ValueError(f"{points} points cannot determine {coefficients} coefficients")
    weight = 1.0 / np.sqrt(variance + scatter2)
    scaled = design * weight[:, None]
    norm = np.sqrt((scaled**2).sum(axis=0))
    norm = np.where(norm > 0, norm, 1.0)
    u, singular, v = np.linalg.svd(scaled / norm, full_matrices=False)
    condition = float(singular[-1] / singular[0]) if singular[0] > 0 else 0.0
    inverse = np.where(singular > 1e-12 * singular[0], 1.0 / np.maximum(singular, 1e-300), 0.0)
    root = v.T * inverse
    solution = root @ (u.T @ (observed * weight)) / norm
    residuals = observed - design @ solution
    dof = points - coefficients
    chi2 = float((residuals**2 / variance).sum())
    return LinearFit(
        coefficients=solution,
        covariance=(root @ root.T) / norm / norm[:, None],
        residuals=residuals,
        chi2_per_dof=chi2 / dof if dof else np.nan,
        dof=dof,
        scatter=float(np.sqrt(scatter2)),
        condition=condition,
    )


def solve_with_scatter(design: Array, observed: Array, variance: Array) -> LinearFit:
    """Return the solution with the extra scatter that its own residuals ask for.

    The scatter maximises the restricted likelihood (so the lost degrees of freedom are counted)
    and stays 0 where chi2 per degree of freedom does not exceed 1.
    Source: H. D. Patterson and R. Thompson, Biometrika 58, 545 (1971).
    """
    plain = solve(design, observed, variance)
    if not plain.dof or plain.chi2_per_dof <= 1.0:
        return plain

    def total(log_scatter2: float) -> Array:
        return np.diag(variance + np.exp(log_scatter2))

    span = (np.log(1e-8 * float(variance.min())), np.log(_largest_variance(plain, variance)))
    best = minimize_scalar(
        lambda x: restricted_cost(design, observed, total(x)), bounds=span, method="bounded"
    )
    return solve(design, observed, variance, scatter2=float(np.exp(best.x)))


def solve_with_drift(
    design: Array, observed: Array, variance: Array, *, time_s: Array, duration_s: float
) -> LinearFit:
    """Return the solution where the points also share a drift that forgets exponentially.

    time_s: middle of each point; duration_s: of each. Size and memory of the drift maximise the
    restricted likelihood. The result's scatter is the size, memory_s its memory.
    """
    plain = solve_with_scatter(design, observed, variance)
    if plain.scatter == 0.0:
        return plain
    span_s = float(np.ptp(time_s))
    shortest, longest = np.log(0.2 * duration_s), np.log(span_s)

    def total(at: Array) -> Array:
        memory_s = float(np.exp(np.clip(at[1], shortest, longest)))
        return np.asarray(np.diag(variance) + np.exp(at[0]) * drift(time_s, duration_s, memory_s))

    starts = [
        (2.0 * np.log(plain.scatter), np.log(memory_s))
        for memory_s in (2.0 * duration_s, 0.1 * span_s)
    ]
    best = min(
        (
            minimize(
                lambda at: restricted_cost(design, observed, total(at)), start, method="Nelder-Mead"
            )
            for start in starts
        ),
        key=lambda result: float(result.fun),
    )
    root = np.linalg.cholesky(total(best.x))
    white_design = np.linalg.solve(root, design)
    white = solve(white_design, np.linalg.solve(root, observed), np.ones(len(observed)))
    return replace(
        white,
        residuals=observed - design @ white.coefficients,
        chi2_per_dof=plain.chi2_per_dof,
        scatter=float(np.exp(0.5 * best.x[0])),
        memory_s=float(np.exp(np.clip(best.x[1], shortest, longest))),
    )


def drift(time_s: Array, duration_s: float, memory_s: float) -> Array:
    """Return the covariance of means over duration_s of a process that forgets exponentially.

    time_s: middle of each mean; the means may overlap. Unit variance of the process itself.
    """
    node, weight = np.polynomial.legendre.leggauss(3)
    moments = time_s[:, None] + 0.5 * duration_s * node
    lag = np.abs(moments[:, None, :, None] - moments[None, :, None, :])
    return np.asarray(
        np.einsum("ijkl,k,l->ij", np.exp(-lag / memory_s), 0.5 * weight, 0.5 * weight)
    )


def _largest_variance(fit: LinearFit, variance: Array) -> float:
    return float((fit.residuals**2).max()) * fit.dof + float(variance.max())


def restricted_cost(design: Array, observed: Array, total: Array) -> float:
    """Return minus twice the restricted log-likelihood of a covariance of the points."""
    root = np.linalg.cholesky(total)
    white_design, white = np.linalg.solve(root, design), np.linalg.solve(root, observed)
    norm = np.sqrt((white_design**2).sum(axis=0))
    q, r = np.linalg.qr(white_design / norm)
    residual2 = float(((white - q @ (q.T @ white)) ** 2).sum())
    lost = 2.0 * float(np.log(np.abs(np.diag(r)) * norm).sum())
    return 2.0 * float(np.log(np.diag(root)).sum()) + residual2 + lost
