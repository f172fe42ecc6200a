"""What a scatter that is itself estimated does to the errors of a law.

The weights depend on an estimate, which enlarges the covariance; and an error that is known from a
few points only is Student's, with as many degrees of freedom as the scatter is known from.
Sources: M. G. Kenward and J. H. Roger, Biometrics 53, 983 (1997); F. E. Satterthwaite, Biometrics
Bulletin 2, 110 (1946), for the degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr
from scipy.stats import t as student

__all__ = [
    "SIGMAS_95",
    "UncertainScatter",
    "interval_95",
    "student_sigmas",
    "uncertain_scatter",
]

Array = NDArray[np.float64]

SIGMAS_95 = 1.959964


@dataclass(frozen=True, slots=True)
class UncertainScatter:
    """Coefficients of a law whose scatter was estimated.

    covariance: enlarged for the uncertain weights. plain: as if the scatter were known; slopes: of
    plain with each parameter of the scatter, whose own covariance is scatter_covariance.
    """

    covariance: Array
    plain: Array
    slopes: Array
    scatter_covariance: Array

    def dof(self, direction: ArrayLike) -> float:
        """Return from how many degrees of freedom the variance along a direction is known."""
        along = np.asarray(direction, dtype=np.float64)
        change = np.einsum("kij,i,j->k", self.slopes, along, along)
        noise = float(change @ self.scatter_covariance @ change)
        return 2.0 * float(along @ self.plain @ along) ** 2 / max(noise, 1e-300)

    def dofs(self) -> Array:
        """Return the degrees of freedom of each coefficient, shape (coefficients,)."""
        return np.array([self.dof(along) for along in np.eye(len(self.plain))])

    def covariance_68(self) -> Array:
        """Return the covariance with errors that hold the truth in 68 % of cases."""
        wide = student_sigmas(1.0, self.dofs())
        return np.asarray(self.covariance * wide * wide[:, None])


def uncertain_scatter(design: Array, total: Array, changes: Sequence[Array]) -> UncertainScatter:
    """Return what the uncertainty of the scatter does to coefficients.

    design: slopes of the law, (points, coefficients). total: covariance of the points, (points,
    points), with the scatter that maximises the restricted likelihood; changes: of it with each
    parameter of the scatter.
    """
    root = np.linalg.cholesky(total)
    white = np.linalg.solve(root, design)
    norm = np.sqrt((white**2).sum(axis=0))
    q, r = np.linalg.qr(white / norm)
    back = np.linalg.inv(r) / norm[:, None]
    moved = [np.linalg.solve(root, np.linalg.solve(root, change).T) for change in changes]
    left = np.eye(len(q)) - q @ q.T
    information = np.array([[0.5 * np.trace(left @ a @ left @ b) for b in moved] for a in moved])
    scatter_covariance = np.linalg.pinv(information)
    inner = [q.T @ a @ q for a in moved]
    more = sum(
        (
            scatter_covariance[i, k] * (q.T @ a @ left @ b @ q)
            for i, a in enumerate(moved)
            for k, b in enumerate(moved)
        ),
        np.zeros((len(back), len(back))),
    )
    plain = back @ back.T
    return UncertainScatter(
        covariance=plain + 2.0 * back @ more @ back.T,
        plain=plain,
        slopes=np.array([back @ one @ back.T for one in inner]),
        scatter_covariance=scatter_covariance,
    )


def student_sigmas(sigmas: float, dof: ArrayLike) -> Array:
    """Return how many standard errors hold as much of Student's t as these of a Gaussian do.

    sigmas: 1 for 68.3 %. dof: below 1 is taken as 1.
    """
    known = np.maximum(np.asarray(dof, dtype=np.float64), 1.0)
    return np.asarray(student.ppf(ndtr(sigmas), known), dtype=np.float64)


def interval_95(value: float, error: float, dof: float) -> tuple[float, float]:
    """Return the 95 % interval of a value whose error, of 68 %, is known from so many degrees."""
    half = error * float(student_sigmas(SIGMAS_95, dof) / student_sigmas(1.0, dof))
    return value - half, value + half
