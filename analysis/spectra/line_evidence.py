"""What a further line has to lower the deviance by before it is believed, and what may feign it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, chdtri, ndtr

__all__ = ["false_rate", "feigned_gain", "needed_gain", "penalised"]

Array = NDArray[np.float64]

FALSE_RATE = 0.0025  # of each further line by chance: two may be tried
_PLACES = 3.0  # a line at its best place, against one at a given place: from simulations
_RIPPLE_BENT = 0.45
_SCATTER = 3.0  # sigma of the square root of a gain


def feigned_gain(response_error: float, light_e: float) -> float:
    """Return by how much a response that is not even lets a further line lower the deviance.

    A ripple of share r rms adds r^2 N to the deviance of N electrons of light. What it has in
    common with a Gaussian line's amplitude, place and width is fitted away unnoticed; a further
    line takes what is left in the third and fourth Hermite polynomials, for a cosine under a
    Gaussian at most 2 x 27 exp(-3) / 3! = 0.45 of r^2 N, whatever its period and phase.
    """
    return _RIPPLE_BENT * response_error**2 * max(light_e, 0.0)


def needed_gain(parameters: int, pixels: int, feigned: float) -> float:
    """Return what further lines with so many parameters have to lower the deviance by.

    The Bayesian information criterion asks for ln(pixels) each, which in few pixels is less than
    chance brings; what is feigned comes with noise of its own.
    """
    by_chance = float(chdtri(parameters, FALSE_RATE / _PLACES))
    return max(
        parameters * float(np.log(pixels)), by_chance, (_SCATTER + float(np.sqrt(feigned))) ** 2
    )


def false_rate(gain: float, parameters: int, feigned: float) -> float:
    """Return the probability of so large a gain though there is one line less."""
    by_chance = _PLACES * float(chdtrc(parameters, max(gain, 0.0)))
    by_response = float(ndtr(np.sqrt(feigned) - np.sqrt(max(gain, 0.0)))) if feigned else 0.0
    return min(1.0, max(by_chance, by_response))


def penalised(deviances: Sequence[float], needed: Sequence[float]) -> Array:
    """Return the deviances of models, each richer than the one before, with what they had to gain.

    The least of them is the likeliest. needed: of each step.
    """
    penalty = np.concatenate([[0.0], np.cumsum(needed)])
    return np.asarray(np.array(deviances) + penalty[: len(deviances)])
