"""Linear laws over a sweep: weighted least squares with covariance and an extra scatter term."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

__all__ = ["LinearFit", "check_points", "solve", "solve_with_scatter"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LinearFit:
    """Coefficients with covariance.

    chi2_per_dof: with the given errors. scatter: standard deviation that had to be added to each
    of them in quadrature, 0 where they suffice. condition: smallest over largest singular value of
    the scaled design; 0 means that the points do not determine the coefficients.
    """

    coefficients: Array
    covariance: Array
    residuals: Array
    chi2_per_dof: float
    dof: int
    scatter: float
    condition: float


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
    largest = float((plain.residuals**2).max()) * plain.dof + float(variance.max())

    def minus_log_likelihood(log_scatter2: float) -> float:
        fit = solve(design, observed, variance, scatter2=float(np.exp(log_scatter2)))
        total = variance + fit.scatter**2
        _, log_information = np.linalg.slogdet((design.T / total) @ design)
        return float(np.log(total).sum() + (fit.residuals**2 / total).sum() + log_information)

    span = (np.log(1e-8 * float(variance.min())), np.log(largest))
    best = minimize_scalar(minus_log_likelihood, bounds=span, method="bounded")
    # chi2_per_dof keeps telling how the points compare with the errors they came with.
    with_scatter = solve(design, observed, variance, scatter2=float(np.exp(best.x)))
    return with_scatter
