"""Is it still the same nanocrystal? Compares a reference with what was measured there before."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

import numpy as np
from numpy.typing import NDArray

from acquisition.storage.record import Attempt
from analysis.detector.detector_noise import DetectorNoise

__all__ = ["Change", "compare"]

SIGMAS = 3.0
CLEAR_FRACTION = 0.2  # of the brightest pixel
CLEAR_SIGMAS = 5.0
NEIGHBOURS = 4  # on each side, for the wings of a line
ROBUST_SIGMA = 1.4826  # of a normal distribution, in median absolute deviations
LEAST_SHIFT_PIXELS = 0.5


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


def compare(
    before: Attempt,
    now: Attempt,
    *,
    electrons_per_count: float,
    earlier: Sequence[Attempt] = (),
) -> tuple[Change, ...]:
    """Return what differs by more than 3 sigma: count rate and centre of gravity of the line.

    Sigma holds photon and read noise and the scatter of single frames, taken whole: neighbouring
    frames are correlated by blinking and spectral diffusion, so their number does not help.
    earlier: other attempts under the same conditions; how they scatter is how this crystal wanders
    over minutes, and belongs to sigma too.
    """
    properties = (("counts per s", _rate), ("centre of gravity in pixels", _centre))
    changes = []
    for what, measure in properties:
        old, old_sigma = measure(before, electrons_per_count)
        new, new_sigma = measure(now, electrons_per_count)
        wander = np.std([old, *(measure(a, electrons_per_count)[0] for a in earlier)])
        sigma = hypot(old_sigma, new_sigma, float(wander))
        if not abs(new - old) <= SIGMAS * sigma:
            changes.append(Change(what, old, new, abs(new - old) / sigma if sigma else np.inf))
    return tuple(changes)


def _net(attempt: Attempt, gain: float) -> tuple[NDArray[np.float64], float]:
    """Return each frame above its own floor without cosmic rays, and the noise of a floor pixel.

    The floor is the mean of the pixels near the median: the median itself is a whole number, and
    half a count on every pixel is more than many a line.
    """
    # scipy takes 0.3 s to import, and only a run that is resumed compares spectra
    from analysis.detector.corrections import cosmic_ray_mask  # noqa: PLC0415

    counts = attempt.counts.astype(np.float64)
    above = counts - np.median(counts, axis=1, keepdims=True)
    noise = max(1.0, 1.4826 * float(np.median(np.abs(above))))
    floor = np.nanmean(np.where(np.abs(above) <= 3.0 * noise, counts, np.nan), axis=1)
    net = counts - floor[:, np.newaxis]
    hits = cosmic_ray_mask(net, DetectorNoise(gain_e_per_count=gain, read_noise_e=gain * noise))
    return np.where(hits, 0.0, net), noise


def _rate(attempt: Attempt, gain: float) -> tuple[float, float]:
    net, noise = _net(attempt, gain)
    per_frame = net.sum(axis=1)
    variance = (np.maximum(per_frame, 0.0) / gain + net.shape[1] * noise**2).sum()
    rate = float(per_frame.mean())
    # capped, so that a crystal that went dark is a change however much it had blinked
    scatter = min(_scatter(per_frame), abs(rate) / (SIGMAS + 0.5))
    sigma = hypot(float(np.sqrt(variance)) / len(net), scatter)
    return rate / attempt.exposure_s, sigma / attempt.exposure_s


def _centre(attempt: Attempt, gain: float) -> tuple[float, float]:
    """Weigh only what stands clear of the floor, so that noise far away has no lever."""
    net, noise = _net(attempt, gain)
    total = net.sum(axis=0)
    clear = np.where(total > max(0.2 * total.max(), 5.0 * noise * np.sqrt(len(net))), total, 0.0)
    weight = clear.sum()
    if not weight > 0:
        return 0.0, np.inf  # no line, no place: the count rate says so
    pixels = np.arange(total.size)
    centre = float((pixels * clear).sum() / weight)
    spread = float(np.sqrt((clear * (pixels - centre) ** 2).sum() / weight))
    kept = np.where(clear > 0, np.maximum(net, 0.0), 0.0)
    lit = kept.sum(axis=1) > 0
    centres = (kept[lit] * pixels).sum(axis=1) / kept[lit].sum(axis=1)
    photon = spread / float(np.sqrt(max(weight * gain, 1.0)))
    scatter = float(centres.std(ddof=1)) if centres.size > 1 else 0.0
    return centre, hypot(photon, scatter, 0.5)


def _scatter(values: NDArray[np.float64]) -> float:
    """Return the scatter of single frames; with one frame a tenth of the value stands for it."""
    if values.size < 2:
        return 0.1 * abs(float(values.mean()))
    return float(values.std(ddof=1))
