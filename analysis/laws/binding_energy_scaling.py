"""Binding energies of trion and biexciton on one curve for all materials: Delta/Ry* over L/a_B."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.estimation.weighted_least_squares import check_points
from analysis.laws.law_fit import LawFit, Scatter, fit_law
from analysis.laws.size_from_energy import BulkMaterial

__all__ = ["fit_binding_energy_scaling", "scaled_binding_energy"]

Array = NDArray[np.float64]


def scaled_binding_energy(
    binding_eV: ArrayLike, size_nm: ArrayLike, material: BulkMaterial
) -> tuple[Array, Array]:
    """Return L/a_B and Delta/Ry*; errors scale by the same two factors."""
    return (
        np.asarray(size_nm, dtype=np.float64) / material.bohr_nm,
        np.asarray(binding_eV, dtype=np.float64) / material.rydberg_eV,
    )


def fit_binding_energy_scaling(
    scaled_size: ArrayLike,
    scaled_binding: ArrayLike,
    sigma: ArrayLike,
    *,
    sigma_size: ArrayLike | None = None,
) -> LawFit:
    """Fit bulk + confined / x^2 to nanocrystals of any materials.

    A poor fit says that they do not share one curve, or scatter by more than their errors.
    """
    x, y, error = check_points(
        {"scaled_size": scaled_size, "scaled_binding": scaled_binding, "sigma": sigma}
    )
    if (x <= 0).any():
        raise ValueError(f"scaled_size: point {int(np.argmin(x))} is not positive")
    design = np.column_stack([np.ones_like(x), x**-2.0])
    start, *_ = np.linalg.lstsq(design / error[:, None], y / error, rcond=None)
    return fit_law(
        lambda place, at: at[0] + at[1] / place**2,
        x,
        y,
        error,
        start=start,
        names=("bulk", "confined"),
        sigma_x=sigma_size,
        scatter=Scatter.NONE,  # nanocrystals off the curve are what is to be seen
    )
