"""Light over excitation power: the saturation of exciton and biexciton, and the plain power law.

A pulse makes n pairs with Poisson's probability, N = P / P_1 on average. The exciton shines once
if there was a pair, the biexciton if there were two: I_X = A (1 - exp(-N)),
I_BX = A [1 - (1 + N) exp(-N)]. Their slopes in a double-logarithmic plot are therefore below 1
and 2 everywhere, which a straight line reports and does not explain.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.estimation.weighted_least_squares import check_points
from analysis.laws.law_fit import LawFit, Scatter, fit_law

__all__ = ["Pairs", "fit_power_law", "fit_saturation", "light_of_pairs", "local_slope"]

Array = NDArray[np.float64]


class Pairs(Enum):
    """How many pairs a line needs at least."""

    EXCITON = 1
    BIEXCITON = 2


def light_of_pairs(mean_pairs: ArrayLike, pairs: Pairs) -> Array:
    """Return the probability that a pulse makes at least so many pairs."""
    n = np.asarray(mean_pairs, dtype=np.float64)
    once = -np.expm1(-n)
    return np.asarray(once if pairs is Pairs.EXCITON else once - n * np.exp(-n))


def local_slope(mean_pairs: ArrayLike, pairs: Pairs) -> Array:
    """Return d log I / d log P."""
    n = np.asarray(mean_pairs, dtype=np.float64)
    rise = np.exp(-n) * (n if pairs is Pairs.EXCITON else n**2)
    return np.asarray(rise / light_of_pairs(n, pairs))


def fit_saturation(
    power: ArrayLike,
    counts: ArrayLike,
    pairs: Pairs,
    *,
    background_sigma: ArrayLike = 0.0,
    sigma_power: ArrayLike | None = None,
) -> LawFit:
    """Fit log_amplitude and log_power_1, where one pair is made on average.

    counts: photons, whose own noise is counted at the fitted value; background_sigma: what there is
    beside it. Where the powers do not reach the bend only the initial rise is determined, and the
    verdict says so.
    """
    p, y, floor = _checked(power, counts, background_sigma)
    best, least = np.array([0.0, 0.0]), np.inf
    for scale in np.geomspace(p.min(), 1e3 * p.max(), 80):
        shape = light_of_pairs(p / scale, pairs)
        weight = 1.0 / (np.maximum(y, 0.0) + 1.0 + floor**2)
        amplitude = float((weight * y) @ shape / ((weight * shape) @ shape))
        left = float(weight @ (y - amplitude * shape) ** 2)
        if amplitude > 0 and left < least:
            best, least = np.log([amplitude, scale]), left

    def law(x: Array, at: Array) -> Array:
        return np.asarray(np.exp(at[0]) * light_of_pairs(x / np.exp(at[1]), pairs))

    return _with_own_noise(law, p, y, floor, best, ("log_amplitude", "log_power_1"), sigma_power)


def fit_power_law(
    power: ArrayLike,
    counts: ArrayLike,
    *,
    background_sigma: ArrayLike = 0.0,
    sigma_power: ArrayLike | None = None,
) -> LawFit:
    """Fit log_amplitude (at the geometric mean of the powers) and slope of A P^slope.

    Not in the logarithm of the counts, which has no mean at few of them. A slope below 1 (exciton)
    or 2 (biexciton) is what saturation looks like to a straight line, not a failure.
    """
    p, y, floor = _checked(power, counts, background_sigma)
    middle = float(np.exp(np.log(p).mean()))

    def law(x: Array, at: Array) -> Array:
        # A power displaced by its error must not become negative.
        return np.asarray(np.exp(at[0] + at[1] * np.log(np.maximum(x / middle, 1e-12))))

    level = float(np.log(max(y.mean(), 1.0) * middle / p.mean()))
    names = ("log_amplitude", "slope")
    return _with_own_noise(law, p, y, floor, np.array([level, 1.0]), names, sigma_power)


def _checked(power: ArrayLike, counts: ArrayLike, floor: ArrayLike) -> tuple[Array, Array, Array]:
    p, y = check_points({"power": power, "counts": counts})
    if (p <= 0).any():
        raise ValueError(f"power: point {int(np.argmin(p))} is {p.min()}, must be positive")
    if y.max() <= 0:
        raise ValueError("counts: no point is above 0")
    return p, y, np.broadcast_to(np.asarray(floor, dtype=np.float64), p.shape)


def _with_own_noise(
    law: Callable[[Array, Array], Array],
    power: Array,
    counts: Array,
    floor: Array,
    start: Array,
    names: tuple[str, str],
    sigma_power: ArrayLike | None,
) -> LawFit:
    return fit_law(
        law,
        power,
        counts,
        np.sqrt(floor**2 + 1e-6),
        start=start,
        names=names,
        sigma_x=sigma_power,
        variance=lambda expected: np.maximum(expected, 1e-3),
        scatter=Scatter.RELATIVE,  # as blinking makes it
    )
