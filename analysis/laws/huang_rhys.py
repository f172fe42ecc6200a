"""The Huang-Rhys factor of a phonon mode from the areas of a line and its replicas.

p_m = exp[-S (2n + 1)] ((n + 1)/n)^(m/2) I_m(2 S sqrt(n (n + 1))), with n the occupation of the
mode; at 0 K it is Poisson's, S^m exp(-S) / m!. m is negative for anti-Stokes replicas.
Source: K. Huang and A. Rhys, Proc. R. Soc. A 204, 406 (1950).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, ive
from scipy.stats import chi2 as chi2_distribution

from analysis.estimation.weighted_least_squares import check_points
from analysis.laws.law_fit import LawFit, Scatter, fit_law
from analysis.spectra.thermal_occupation import thermal_occupation
from analysis.spectra.uneven_response import ratio_variance

__all__ = ["Comparison", "compare_couplings", "fit_huang_rhys", "replica_weights"]

Array = NDArray[np.float64]


def replica_weights(order: ArrayLike, coupling: float, occupation: float = 0.0) -> Array:
    """Return p_m of each order for a Huang-Rhys factor and an occupation of the mode."""
    m = np.asarray(order, dtype=np.float64)
    s = abs(coupling)
    sign = np.where(m % 2 == 1, np.sign(coupling), 1.0)  # a fit may pass through zero
    if occupation <= 0.0:
        poisson = np.exp(m * np.log(max(s, 1e-300)) - s - gammaln(np.maximum(m, 0.0) + 1.0))
        return np.asarray(sign * np.where(m >= 0, poisson, 0.0))
    product = 2.0 * s * np.sqrt(occupation * (occupation + 1.0))
    tilt = ((occupation + 1.0) / occupation) ** (0.5 * m)
    return np.asarray(
        sign * tilt * ive(np.abs(m), product) * np.exp(product - s * (2.0 * occupation + 1.0))
    )


def fit_huang_rhys(
    order: ArrayLike,
    area: ArrayLike,
    sigma: ArrayLike,
    *,
    phonon_eV: float | None = None,
    temperature_K: float = 0.0,
) -> LawFit:
    """Fit total area and Huang-Rhys factor ("coupling") to one line and its replicas.

    order: 0 for the line, 1 for the first replica, ...; area: of each; sigma: of each, or their
    covariance, as they come from the fit of the spectrum. phonon_eV is needed above 0 K.
    Raises ValueError without the line itself or without a replica.
    """
    orders, areas = check_points({"order": order, "area": area})
    if not (orders == 0).any() or not (orders == 1).any():
        raise ValueError(f"orders {orders.tolist()} must contain 0 and 1")
    if temperature_K > 0 and phonon_eV is None:
        raise ValueError(f"at {temperature_K} K the phonon energy must be given")
    occupation = float(thermal_occupation(phonon_eV or np.inf, temperature_K))
    line, first = float(areas[orders == 0][0]), float(areas[orders == 1][0])
    ratio = max(first / line, 1e-3) if line > 0 else 0.1
    start = ratio / (occupation + 1.0)
    return fit_law(
        lambda m, p: p[0] * replica_weights(m, float(p[1]), occupation),
        orders,
        areas,
        sigma,
        start=[line / float(replica_weights(0, start, occupation)), start],
        names=("total_area", "coupling"),
        wanted=("coupling",),
        scatter=Scatter.NONE,  # within one spectrum nothing wanders
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Mean of several Huang-Rhys factors, and the probability of their scatter if all are one."""

    mean: float
    error: float
    probability: float


def compare_couplings(
    coupling: ArrayLike, sigma: ArrayLike | Sequence[float], *, response_error: float = 0.0
) -> Comparison:
    """Return the weighted mean of independent factors, such as those of lines A and B.

    response_error: as of DetectorNoise, where sigma holds it and all are of lines in the same
    places: these are read wrong alike, which neither tells them apart nor averages out.
    """
    value, error = np.asarray(coupling, dtype=np.float64), np.asarray(sigma, dtype=np.float64)
    if value.ndim != 1 or value.shape != error.shape or value.size < 2 or not (error > 0).all():
        raise ValueError(f"{value.shape} factors with {error.shape} positive errors: needs 2 each")
    common2 = ratio_variance(value, response_error)
    weight = 1.0 / np.where(error**2 > common2, error**2 - common2, error**2)
    mean = float(weight @ value / weight.sum())
    chi2 = float(weight @ (value - mean) ** 2)
    probability = float(chi2_distribution.sf(chi2, value.size - 1))
    error_of_mean = np.sqrt(1.0 / weight.sum() + float(ratio_variance(mean, response_error)))
    return Comparison(mean, float(error_of_mean), probability)
