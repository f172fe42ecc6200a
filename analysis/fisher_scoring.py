"""Maximum likelihood on counts with read noise, by Fisher-scoring Levenberg-Marquardt.

y = Poisson(mu) + Normal(0, s2) is fitted as y + s2 = Poisson(mu + s2): an unbiased estimating
equation, whose covariance (J V^-1 J^T)^-1 with V = mu + s2 is at the Cramer-Rao bound to a few
percent at one electron per pixel and exactly above a hundred.
Sources: F. Huang et al., Nat. Methods 10, 653 (2013), for the shift; T. A. Laurence and
B. A. Chromy, Nat. Methods 7, 338 (2010), for Levenberg-Marquardt on the Poisson likelihood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Box", "Counts", "Optimum", "deviance_and_derivatives", "maximise_likelihood"]

Array = NDArray[np.float64]
Evaluate = Callable[[Array], tuple[Array, Array]]

# Estimated squared distance to the optimum in units of the statistical error: 0.01 sigma.
_DISTANCE2_AT_STOP = 1e-4
_MOST_STEPS = 60
_LEAST_DAMPING, _MOST_DAMPING = 1e-8, 1e8


@dataclass(frozen=True, slots=True)
class Counts:
    """What was measured, in electrons; all of shape (spectra, pixels).

    electrons: may be negative. shift: variance that is there without signal, positive.
    good: 1 where the pixel counts, 0 where it is masked.
    """

    electrons: Array
    shift: Array
    good: Array


@dataclass(frozen=True, slots=True)
class Box:
    """Where the parameters may go: bounds and the largest step, shapes (spectra, parameters).

    A parameter with lower == upper is fixed.
    """

    lower: Array
    upper: Array
    largest_step: Callable[[Array], Array]


@dataclass(frozen=True, slots=True)
class Optimum:
    """The end of the climb, for each spectrum."""

    parameters: Array
    deviance: Array
    gradient: Array
    information: Array  # Fisher matrix, (spectra, parameters, parameters)
    expected: Array  # counts in electrons, (spectra, pixels)
    converged: NDArray[np.bool_]
    evaluations: int


def deviance_and_derivatives(
    counts: Counts, expected: Array, jacobian: Array
) -> tuple[Array, Array, Array]:
    """Return deviance (infinite where the expectation is impossible), score and Fisher matrix."""
    variance = expected + counts.shift
    possible = ((variance > 0) | (counts.good == 0)).all(axis=1) & np.isfinite(expected).all(axis=1)
    variance = np.where(variance > 0, variance, 1.0)
    observed = counts.electrons + counts.shift
    terms = counts.good * (variance - observed * np.log(variance))
    deviance = np.where(possible, 2.0 * terms.sum(axis=1), np.inf)
    weight = counts.good / variance
    residual = (weight * (counts.electrons - expected))[..., None]
    score = (jacobian @ residual)[..., 0]
    information = (jacobian * weight[:, None, :]) @ jacobian.transpose(0, 2, 1)
    return deviance, score, information


def maximise_likelihood(evaluate: Evaluate, counts: Counts, *, start: Array, box: Box) -> Optimum:
    """Climb from start, each spectrum on its own, until within 0.01 sigma of the optimum.

    evaluate: parameters (spectra, parameters) -> counts in electrons and derivatives, as
    LineTable.evaluate returns them.
    """
    place = np.clip(start, box.lower, box.upper)
    expected, jacobian = evaluate(place)
    deviance, score, information = deviance_and_derivatives(counts, expected, jacobian)
    damping = np.full(len(place), 1e-3)
    converged = np.zeros(len(place), dtype=np.bool_)
    lost = ~np.isfinite(deviance)
    evaluations = 1
    for _ in range(_MOST_STEPS):
        if (converged | lost).all():
            break
        step, distance2 = _step(score, information, place=place, box=box, damping=damping)
        trial = np.clip(place + step, box.lower, box.upper)
        new_expected, jacobian = evaluate(trial)
        evaluations += 1
        new = deviance_and_derivatives(counts, new_expected, jacobian)
        near = (distance2 < _DISTANCE2_AT_STOP) & (damping < 1.0)
        better = (new[0] <= deviance) | (near & (new[0] <= deviance + _DISTANCE2_AT_STOP))
        taken = better & ~converged & ~lost
        place = np.where(taken[:, None], trial, place)
        expected = np.where(taken[:, None], new_expected, expected)
        deviance = np.where(taken, new[0], deviance)
        score = np.where(taken[:, None], new[1], score)
        information = np.where(taken[:, None, None], new[2], information)
        converged |= near & ~lost
        damping = np.clip(
            np.where(better, 0.1 * damping, 10.0 * damping), _LEAST_DAMPING, _MOST_DAMPING
        )
        lost |= damping >= _MOST_DAMPING
    return Optimum(place, deviance, score, information, expected, converged, evaluations)


def _step(
    score: Array, information: Array, *, place: Array, box: Box, damping: Array
) -> tuple[Array, Array]:
    """Return the damped step and the squared distance to the optimum, bounds respected."""
    held = ((place <= box.lower) & (score <= 0)) | ((place >= box.upper) & (score >= 0))
    free = np.where(held, 0.0, 1.0)
    scale = np.sqrt(np.einsum("fpp->fp", information))
    scale = np.where((scale > 0) & ~held, scale, 1.0)
    pull = free * score / scale
    matrix = information / (scale[:, :, None] * scale[:, None, :])
    matrix = matrix * free[:, :, None] * free[:, None, :]
    index = np.arange(matrix.shape[1])
    matrix[:, index, index] = 1.0 + damping[:, None]
    step = free * np.linalg.solve(matrix, pull[..., None])[..., 0]
    distance2 = (pull * step).sum(axis=1)
    step = step / scale
    cap = box.largest_step(place)
    excess = np.max(np.abs(step) / cap, axis=1)
    return step / np.maximum(excess, 1.0)[:, None], distance2
