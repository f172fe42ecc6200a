"""Fit a law of temperature that is linear in all but the energy of one phonon."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.estimation.linear_start import scan_start
from analysis.estimation.weighted_least_squares import check_points, errors_of
from analysis.laws.law_fit import LawFit, fit_law, held_where_open

__all__ = ["fit_phonon_law"]

Array = NDArray[np.float64]

_PHONONS_EV = np.geomspace(2e-3, 60e-3, 60)


def fit_phonon_law(
    law: Callable[[Array, Array], Array],
    temperature_K: ArrayLike,
    observed_eV: ArrayLike,
    sigma_eV: ArrayLike,
    *,
    observed: str,
    names: tuple[str, str, str, str],
    sigma_temperature_K: ArrayLike | None = None,
    fixed: dict[str, float] | None = None,
) -> LawFit:
    """Fit a level, a slope, a coupling and a phonon's energy, any of which may be fixed by name.

    law: temperatures and the four -> values in eV. observed: what these are, for messages.
    sigma_eV: of each, (n,), or their covariance, (n, n). Where the points leave the phonon open,
    the likeliest of those tried is held and the verdict says so.
    Raises ValueError for points that cannot be fitted.
    """
    temperature, values, sigma = check_points(
        {"temperature_K": temperature_K, observed: observed_eV, "sigma_eV": errors_of(sigma_eV)}
    )

    def columns(phonon_eV: float) -> Array:
        return np.column_stack([law(temperature, np.array([*k, phonon_eV])) for k in np.eye(3)])

    *_, coupling, phonon = names
    known = (fixed or {}).get(phonon)
    grid = _PHONONS_EV if known is None else np.array([known])
    phonon_eV, linear = scan_start(columns, values, sigma, grid)
    return held_where_open(
        lambda held: fit_law(
            law,
            temperature,
            values,
            sigma_eV,
            start=[*linear, phonon_eV],
            names=names,
            sigma_x=sigma_temperature_K,
            fixed=held,
            wanted=(coupling, phonon),
        ),
        fixed,
        phonon,
        phonon_eV,
    )
