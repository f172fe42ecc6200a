"""Is it still the same nanocrystal? Compares a reference with what was measured there before."""

from dataclasses import dataclass
from math import hypot

import numpy as np
from numpy.typing import NDArray

from acquisition.record import Attempt

__all__ = ["Change", "compare"]

SIGMAS = 3.0


@dataclass(frozen=True, slots=True)
class Change:
    """One property before and now, in sigmas of their difference."""

    what: str
    before: float
    now: float
    sigmas: float

    def __str__(self) -> str:
        return (
            f"{self.what}: {self.before:.5g} before, {self.now:.5g} now ({self.sigmas:.1f} sigma)"
        )


def compare(before: Attempt, now: Attempt, *, electrons_per_count: float) -> tuple[Change, ...]:
    """Return what differs by more than 3 sigma: count rate and centre of gravity of the line.

    Sigma holds photon noise and the scatter of single frames, taken whole: neighbouring frames are
    correlated by blinking and spectral diffusion, so their number does not help.
    """
    properties = (
        ("counts per s", _rates, electrons_per_count),
        ("centre of gravity in pixels", _centres, electrons_per_count),
    )
    changes = []
    for what, measure, gain in properties:
        old, old_sigma = measure(before, gain)
        new, new_sigma = measure(now, gain)
        sigma = hypot(old_sigma, new_sigma)
        if not abs(new - old) <= SIGMAS * sigma:
            changes.append(Change(what, old, new, abs(new - old) / sigma if sigma else np.inf))
    return tuple(changes)


def _net(attempt: Attempt) -> NDArray[np.float64]:
    """Return each frame above its own floor, the median over its pixels."""
    counts = attempt.counts.astype(np.float64)
    net: NDArray[np.float64] = counts - np.median(counts, axis=1, keepdims=True)
    return net


def _rates(attempt: Attempt, gain: float) -> tuple[float, float]:
    net = _net(attempt)
    per_frame = net.sum(axis=1) / attempt.exposure_s
    electrons = np.abs(attempt.counts).sum() * gain
    photon = float(np.sqrt(electrons) / gain / attempt.exposure_s / len(net))
    return float(per_frame.mean()), hypot(photon, _scatter(per_frame))


def _centres(attempt: Attempt, gain: float) -> tuple[float, float]:
    """Weigh only what stands clear of the floor, so that noise far away has no lever."""
    net = _net(attempt)
    total = net.sum(axis=0)
    clear = np.where(total > 0.2 * total.max(), total, 0.0)
    pixels = np.arange(total.size)
    weight = clear.sum()
    if not weight > 0:
        return 0.0, np.inf
    centre = float((pixels * clear).sum() / weight)
    spread = float(np.sqrt((clear * (pixels - centre) ** 2).sum() / weight))
    kept = np.where(clear > 0, np.maximum(net, 0.0), 0.0)
    sums = kept.sum(axis=1)
    lit = sums > 0
    centres = (kept[lit] * pixels).sum(axis=1) / sums[lit] if lit.any() else np.array([centre])
    photon = spread / float(np.sqrt(max(weight * gain, 1.0)))
    return centre, hypot(photon, _scatter(centres), 0.5)


def _scatter(values: NDArray[np.float64]) -> float:
    """Return the scatter of single frames; with one frame a tenth of the value stands for it."""
    if values.size < 2:
        return 0.1 * abs(float(values.mean()))
    return float(values.std(ddof=1))
