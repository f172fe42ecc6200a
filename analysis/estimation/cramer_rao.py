"""The smallest errors that given counts allow: the Cramer-Rao bound, for planning and for tests.

Written apart from the fit on purpose: shapes from scipy.stats, derivatives by differences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["bound_of_lines", "expected_electrons", "fisher_matrix"]

Array = NDArray[np.float64]

_STEP = 1e-3  # of the width for energies and widths, of the total area for the rest


def bound_of_lines(
    edges_eV: Array,
    parameters: Mapping[str, float],
    *,
    read_noise_e: float,
    shape: Literal["gauss", "lorentz"] = "gauss",
) -> dict[str, float]:
    """Return the smallest possible standard error of each parameter, all of them being free.

    edges_eV: pixel edges, shape (n + 1,); parameters: as for expected_electrons.
    """
    names = list(parameters)
    place = np.array([parameters[name] for name in names])
    total = sum(value for name, value in parameters.items() if name.startswith("area"))
    energies = np.array([name.endswith("_eV") for name in names])
    step = _STEP * np.where(energies, parameters["width_eV"], total)

    def expected(values: Array) -> Array:
        named = dict(zip(names, values.tolist(), strict=True))
        return expected_electrons(edges_eV, named, shape=shape)

    information = fisher_matrix(expected, place, step=step, read_noise_e=read_noise_e)
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    return dict(zip(names, errors.tolist(), strict=True))


def expected_electrons(
    edges_eV: Array, parameters: Mapping[str, float], *, shape: Literal["gauss", "lorentz"]
) -> Array:
    """Return the electrons expected in each pixel, shape (n,).

    parameters: width_eV (FWHM of every line), energy_k_eV and area_k_counts for k = 1, 2, ..., and
    background_0 (per pixel in the middle), background_1 (added linearly towards the ends).
    """
    width = parameters["width_eV"]
    law = (
        stats.norm(scale=width / np.sqrt(8.0 * np.log(2.0)))
        if shape == "gauss"
        else stats.cauchy(scale=0.5 * width)
    )
    place = np.linspace(-1.0, 1.0, edges_eV.size - 1)
    electrons = np.zeros(edges_eV.size - 1)
    for name, value in parameters.items():
        kind, _, number = name.removesuffix("_counts").partition("_")
        if kind == "area":
            inside = np.diff(law.cdf(edges_eV - parameters[f"energy_{number}_eV"]))
            electrons += value * np.abs(inside)
        elif kind == "background":
            electrons += value * place ** int(number)
    return electrons


def fisher_matrix(
    expected: Callable[[Array], Array], place: Array, *, step: Array, read_noise_e: float
) -> Array:
    """Return the Fisher matrix of Poisson counts with read noise, derivatives by differences.

    expected: parameters (p,) -> electrons (n,); step: of the differences, shape (p,).
    """
    derivatives = np.array(
        [
            (expected(place + one) - expected(place - one)) / (2.0 * one.sum())
            for one in np.diag(step)
        ]
    )
    variance = expected(place) + read_noise_e**2
    matrix: Array = (derivatives / variance) @ derivatives.T
    return matrix
