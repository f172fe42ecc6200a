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

__all__ = [
    "MOST_STEPS",
    "Box",
    "Counts",
    "Optimum",
    "Slope",
    "StepCap",
    "maximise_likelihood",
    "slope_at",
]

Array = NDArray[np.float64]
Evaluate = Callable[[Array], tuple[Array, Array]]

# Estimated squared distance to the optimum in units of the statistical error: 0.01 sigma.
_DISTANCE2_AT_STOP = 1e-4
MOST_STEPS = 60
_LEAST_DAMPING, _MOST_DAMPING = 1e-8, 1e8
# Within a few sigma of the optimum, noise may bend the likelihood twice as much as expected on
# average. Undamped steps would swing from side to side there; damped by 1 they arrive at once.
_CLOSE2, _LEAST_OF_PROMISED = 25.0, 0.25


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

    A parameter with lower == upper is fixed. The compiled kernels know no largest_step but StepCap.
    """

    lower: Array
    upper: Array
    largest_step: Callable[[Array], Array]


@dataclass(frozen=True, slots=True)
class StepCap:
    """The largest step of each parameter, in sizes of others, as energies by the line's width.

    share: shape (parameters, parameters); a parameter may step by the sum of its row times the
    sizes of all parameters, and without limit where the row is empty.
    """

    share: Array

    def __call__(self, place: Array) -> Array:
        capped = self.share.any(axis=1)
        return np.where(capped, np.abs(place) @ self.share.T, np.inf)


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


@dataclass(frozen=True, slots=True)
class Slope:
    """The likelihood about one place, for each spectrum.

    curvature: what the next step divides by. It is the Fisher matrix where the model fits, or is
    about to; where it does not, pixels far above the model bend the likelihood more than expected
    on average, and steps by the Fisher matrix alone would overshoot without end.
    """

    deviance: Array
    chi2: Array
    score: Array
    information: Array
    curvature: Array

    def replaced(self, other: Slope, where: NDArray[np.bool_]) -> Slope:
        """Return this with the spectra marked taken from the other."""
        return Slope(
            np.where(where, other.deviance, self.deviance),
            np.where(where, other.chi2, self.chi2),
            np.where(where[:, None], other.score, self.score),
            np.where(where[:, None, None], other.information, self.information),
            np.where(where[:, None, None], other.curvature, self.curvature),
        )


# Chi2 per pixel of a misfit, and what a step leaves of it; of a poor start it leaves less.
_CHI2_PER_PIXEL_OF_A_MISFIT, _REST_OF_A_MISFIT = 2.0, 0.5


def slope_at(
    counts: Counts, expected: Array, jacobian: Array, *, last_chi2: Array | float = 0.0
) -> Slope:
    """Return deviance, score and matrices of each spectrum.

    last_chi2: where the step to this place began; 0 for no step, infinite for a start.
    Below zero light the variance stays that of the dark pixel, and the deviance continues as the
    parabola of the same slope: a model may dip there on its way, and a mean of 0 stays unbiased.
    """
    variance = np.maximum(expected, 0.0) + counts.shift
    observed = counts.electrons + counts.shift
    below = np.minimum(expected, 0.0)
    terms = variance - observed * np.log(variance)
    terms += below * (0.5 * below - counts.electrons) / counts.shift
    deviance = 2.0 * (counts.good * terms).sum(axis=1)
    weight = counts.good / variance
    residual = weight * (counts.electrons - expected)
    score = (jacobian @ residual[..., None])[..., 0]
    transposed = jacobian.transpose(0, 2, 1)
    information = (jacobian * weight[:, None, :]) @ transposed
    chi2 = (residual * (counts.electrons - expected)).sum(axis=1)
    limit = _CHI2_PER_PIXEL_OF_A_MISFIT * counts.good.sum(axis=1)
    misfit = chi2 > np.maximum(limit, _REST_OF_A_MISFIT * np.asarray(last_chi2))
    curvature = information
    if misfit.any():
        observed_weight = weight * np.maximum(1.0, observed / variance)
        curvature = np.where(
            misfit[:, None, None],
            (jacobian * observed_weight[:, None, :]) @ transposed,
            information,
        )
    deviance = np.where(np.isfinite(deviance), deviance, np.inf)
    return Slope(deviance, chi2, score, information, curvature)


# A trial step may leave the numbers' range; its deviance is then infinite and it is not taken.
@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def maximise_likelihood(
    evaluate: Evaluate, counts: Counts, *, start: Array, box: Box, most_steps: int = MOST_STEPS
) -> Optimum:
    """Climb from start, each spectrum on its own, until within 0.01 sigma of the optimum.

    evaluate: parameters (spectra, parameters) -> counts in electrons and derivatives, as
    LineTable.evaluate returns them.
    """
    place = np.clip(start, box.lower, box.upper)
    expected, jacobian = evaluate(place)
    here = slope_at(counts, expected, jacobian, last_chi2=np.inf)
    damping = np.full(len(place), 1e-3)
    converged = np.zeros(len(place), dtype=np.bool_)
    lost = ~np.isfinite(here.deviance)
    evaluations = 1
    for _ in range(most_steps):
        if (converged | lost).all():
            break
        step, distance2, excess = _step(here, place=place, box=box, damping=damping)
        trial = np.clip(place + step, box.lower, box.upper)
        new_expected, jacobian = evaluate(trial)
        there = slope_at(counts, new_expected, jacobian, last_chi2=here.chi2)
        evaluations += 1
        near = (distance2 < _DISTANCE2_AT_STOP) & (damping <= 1.0) & ~lost
        better = there.deviance <= here.deviance + np.where(near, _DISTANCE2_AT_STOP, 0.0)
        taken = better & ~converged & ~lost
        gain = here.deviance - there.deviance
        overshoots = (distance2 < _CLOSE2) & ~(gain > _LEAST_OF_PROMISED * distance2 / excess)
        place = np.where(taken[:, None], trial, place)
        expected = np.where(taken[:, None], new_expected, expected)
        here = here.replaced(there, taken)
        converged |= near
        damping = np.where(better, 0.1, 10.0) * damping
        damping = np.where(overshoots, np.maximum(damping, 1.0), damping)
        lost |= (damping > _MOST_DAMPING) & ~converged
        damping = np.clip(damping, _LEAST_DAMPING, _MOST_DAMPING)
    return Optimum(
        place, here.deviance, here.score, here.information, expected, converged, evaluations
    )


def _step(here: Slope, *, place: Array, box: Box, damping: Array) -> tuple[Array, Array, Array]:
    """Return the damped step, bounds respected, the squared distance to the optimum, and how many
    times the largest step the undivided one would have been."""
    score = here.score
    held = ((place <= box.lower) & (score <= 0)) | ((place >= box.upper) & (score >= 0))
    free = np.where(held, 0.0, 1.0)
    scale = np.sqrt(np.einsum("fpp->fp", here.curvature))
    scale = np.where((scale > 0) & ~held, scale, 1.0)
    pull = free * score / scale
    matrix = here.curvature / (scale[:, :, None] * scale[:, None, :])
    matrix = matrix * free[:, :, None] * free[:, None, :]
    index = np.arange(matrix.shape[1])
    matrix[:, index, index] = 1.0 + damping[:, None]
    step = free * np.linalg.solve(matrix, pull[..., None])[..., 0]
    distance2 = (pull * step).sum(axis=1)
    step = step / scale
    excess = np.maximum(np.max(np.abs(step) / box.largest_step(place), axis=1), 1.0)
    return step / excess[:, None], distance2, excess
