"""How far a line wanders from frame to frame, and the sum of the frames laid on top of each other.

Photon noise is a few ueV while the line itself wanders by 50 to 500 ueV, with a memory. The error
of a mean energy is therefore that of a few independent values, and is taken from the frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.stats import chi2 as chi2_distribution

from analysis.estimation.verdict import Verdict
from analysis.estimation.weighted_least_squares import check_points
from analysis.laws.uncertain_scatter import student_sigmas
from analysis.wavelength.axis import check_wavelength_axis
from analysis.wavelength.units import energy_from_wavelength_eV

__all__ = ["Diffusion", "RegisteredSum", "fit_spectral_diffusion", "registered_sum"]

Array = NDArray[np.float64]

_FEWEST_FRAMES = 5
_UNLIKELY = 1e-3


@dataclass(frozen=True, slots=True)
class Diffusion:
    """The mean energy with an error from the frames, and the wandering about it.

    scatter_eV: standard deviation of what the frames show of the wandering, photon noise taken off;
    memory_s: how long it remembers. photon_error_eV: of the mean if the line stood still.
    independent_frames: how many frames without memory would know the mean as well. probability: of
    a scatter as large by photon noise alone. error_eV holds the truth in 68 % of cases; error_dof:
    from how many degrees of freedom it is known.
    """

    mean_eV: float
    error_eV: float
    photon_error_eV: float
    scatter_eV: float
    memory_s: float
    independent_frames: float
    chi2_per_dof: float
    probability: float
    verdict: Verdict
    reason: str
    error_dof: float


def fit_spectral_diffusion(
    time_s: ArrayLike, energy_eV: ArrayLike, sigma_eV: ArrayLike
) -> Diffusion:
    """Tell the wandering of a line from photon noise, frame by frame.

    time_s: middle of each frame, rising; sigma_eV: photon error of each energy. Size and memory
    maximise the restricted likelihood of an Ornstein-Uhlenbeck process beneath the photon noise.
    Raises ValueError for points that cannot be fitted, or fewer than 5 frames.
    """
    time, energy, sigma = check_points(
        {"time_s": time_s, "energy_eV": energy_eV, "sigma_eV": sigma_eV}
    )
    if time.size < _FEWEST_FRAMES or not (np.diff(time) > 0).all():
        raise ValueError(f"{time.size} frames: needed are {_FEWEST_FRAMES} in rising time")
    weight = sigma**-2.0
    photon_error = float(weight.sum() ** -0.5)
    chi2 = float(weight @ (energy - weight @ energy / weight.sum()) ** 2)
    probability = float(chi2_distribution.sf(chi2, time.size - 1))
    scatter, memory_s = _most_likely(time, energy, sigma)
    mean, error, _ = _filtered(time, energy, sigma, scatter, memory_s)
    verdict, reason = _verdict(
        scatter, memory_s, float(np.ptp(time)), probability, error / photon_error
    )
    independent = float(
        np.clip((scatter**2 + time.size * photon_error**2) / error**2, 1.0, time.size)
    )
    dof = max(independent - 1.0, 1.0)
    return Diffusion(
        mean_eV=mean,
        error_eV=error * float(student_sigmas(1.0, dof)),
        photon_error_eV=photon_error,
        scatter_eV=scatter,
        memory_s=memory_s,
        independent_frames=independent,
        chi2_per_dof=chi2 / (time.size - 1),
        probability=probability,
        verdict=verdict,
        reason=reason,
        error_dof=dof,
    )


def _most_likely(time: Array, energy: Array, sigma: Array) -> tuple[float, float]:
    """Return the scatter and its memory, between a tenth of a frame and the whole series."""
    seen = max(float(energy.std()), 1e-3 * float(sigma.min()))
    step, span = float(np.diff(time).min()), float(np.ptp(time))
    shortest, longest = np.log(0.1 * step), np.log(span)

    def cost(at: Array) -> float:
        memory_s = float(np.exp(np.clip(at[1], shortest, longest)))
        return _filtered(time, energy, sigma, float(np.exp(at[0])), memory_s)[2]

    starts = [np.log([seen, memory_s]) for memory_s in (step, 0.05 * span)]
    best = min(
        (minimize(cost, start, method="Nelder-Mead") for start in starts),
        key=lambda result: float(result.fun),
    )
    return float(np.exp(best.x[0])), float(np.exp(np.clip(best.x[1], shortest, longest)))


def _filtered(
    time: Array, energy: Array, sigma: Array, scatter: float, memory_s: float
) -> tuple[float, float, float]:
    """Return the mean, its error, and minus twice the restricted log-likelihood.

    A Kalman filter runs over the energies and over a constant at once: what it did not foresee of
    either is white.
    """
    kept = np.exp(-np.diff(time, prepend=time[0]) / memory_s).tolist()
    centre = float(energy.mean())
    power = scatter**2
    state, one, variance = 0.0, 0.0, power
    information, product, square, log_total = 0.0, 0.0, 0.0, 0.0
    for keep, value, noise in zip(kept, (energy - centre).tolist(), sigma.tolist(), strict=True):
        state, one = keep * state, keep * one
        variance = keep**2 * variance + (1.0 - keep**2) * power
        total = variance + noise**2
        surprise, unit = value - state, 1.0 - one
        gain = variance / total
        state, one = state + gain * surprise, one + gain * unit
        variance *= 1.0 - gain
        information += unit**2 / total
        product += unit * surprise / total
        square += surprise**2 / total
        log_total += float(np.log(total))
    mean = product / information
    cost = log_total + square - product * mean + float(np.log(information))
    return centre + mean, float(information**-0.5), cost


def _verdict(
    scatter: float, memory_s: float, span_s: float, probability: float, error_ratio: float
) -> tuple[Verdict, str]:
    if probability > _UNLIKELY:
        said = f"no wandering beyond photon noise (probability {probability:.2g})"
        return Verdict.NO_SIGNAL, said
    said = (
        f"wanders by {1e6 * scatter:.0f} ueV with a memory of {memory_s:.3g} s: the error of the "
        f"mean is {error_ratio:.1f} times that of the photons"
    )
    if memory_s > 0.3 * span_s:
        return Verdict.ILL_DETERMINED, f"{said}; the series is too short to see it forget"
    return Verdict.CONVERGED, said


@dataclass(frozen=True, slots=True)
class RegisteredSum:
    """Frames added up on the grid of distances from each frame's own line.

    offset_eV: of each cell, rising; counts: in each; frames: how many contribute to each cell.
    """

    offset_eV: Array
    counts: Array
    frames: Array


def registered_sum(
    wavelength_nm: ArrayLike, counts: ArrayLike, energy_eV: ArrayLike, *, reach_eV: float
) -> RegisteredSum:
    """Add frames up after moving each by its own line energy.

    counts: shape (frames, pixels); energy_eV: of the line in each frame, or NaN for frames to leave
    out; reach_eV: to either side of the line. A pixel's counts are shared between the two nearest
    cells, a pixel wide each, so that none are lost. For looking and comparing: it blurs by half a
    pixel, and neighbouring cells are correlated. Raises ValueError for shapes that differ, or a
    reach below a pixel.
    """
    energy = energy_from_wavelength_eV(check_wavelength_axis(wavelength_nm))
    frames = np.atleast_2d(np.asarray(counts, dtype=np.float64))
    lines = np.asarray(energy_eV, dtype=np.float64)
    if frames.shape != (lines.size, energy.size):
        raise ValueError(
            f"frames of shape {frames.shape} for {lines.size} energies and {energy.size} pixels"
        )
    used = np.isfinite(lines)
    if not used.any():
        raise ValueError("no frame has a line energy")
    near = int(np.argmin(np.abs(energy - np.median(lines[used]))))
    cell = abs(float(np.gradient(energy)[near]))
    half = int(reach_eV // cell)
    if half < 1:
        raise ValueError(f"reach_eV {reach_eV} is below a pixel of {cell:.3g} eV")
    place = (energy - lines[used, None]) / cell + half
    lower = np.floor(place)
    share = place - lower
    total: Array = np.zeros(2 * half + 1)
    seen: Array = np.zeros(2 * half + 1)
    for index, weight in ((lower, 1.0 - share), (lower + 1, share)):
        inside = (index >= 0) & (index <= 2 * half)
        at = index[inside].astype(np.intp)
        total += np.bincount(at, (weight * frames[used])[inside], 2 * half + 1)
        seen += np.bincount(at, weight[inside], 2 * half + 1)
    return RegisteredSum(np.asarray(cell * (np.arange(2 * half + 1) - half)), total, seen)
