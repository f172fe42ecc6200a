"""Where a redshift begins: the hinge of E(T) at a phase transition, by profile likelihood.

The energy is a straight line up to the onset and another beyond; a third follows where the sweep
goes on after the redshift. Where straight lines do not do, as in a sweep that begins in the cold,
phonons of one energy bend them all alike. The likelihood has kinks where a hinge passes a point, so
it is scanned, not climbed, and intervals come from its profile.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2 as chi2_distribution

from analysis.estimation.verdict import Verdict
from analysis.estimation.weighted_least_squares import LinearFit, check_points, solve
from analysis.laws.law_fit import said_of_runs
from analysis.spectra.thermal_occupation import thermal_occupation

__all__ = ["TransitionOnset", "below_the_onset", "fit_transition_onset"]

Array = NDArray[np.float64]

_LEAST_GAIN = 9.2  # of chi2 by a hinge: 2 to 3 % of sweeps without one reach it by chance
_LEAST_GAIN_OF_END = 14.0
_PLACES_PER_STEP = 50
_ENDS_PER_STEP = 10
_LEAST_POINTS = 6
_PHONONS_EV = np.geomspace(4e-3, 40e-3, 8)
_UNLIKELY = 1e-4


@dataclass(frozen=True, slots=True)
class TransitionOnset:
    """The onset, or that there is none.

    onset_K and everything about it is NaN where it was not detected. error_K: half of the 68 %
    profile interval, but never less than half the local temperature step. interval_95_K: of the
    profile, widened to half a step likewise. slope_below, slope_above: in eV/K, before and in the
    redshift. end_K, midpoint_K: NaN where the sweep shows no end of the redshift. gain: drop of
    chi2 by the onset, over chi2/dof where that exceeds 1.
    """

    is_detected: bool
    onset_K: float
    error_K: float
    profile_error_K: float
    interval_95_K: tuple[float, float]
    slope_below: float
    slope_above: float
    end_K: float
    midpoint_K: float
    gain: float
    chi2_per_dof: float
    residuals_eV: Array
    verdict: Verdict
    reason: str


def fit_transition_onset(
    temperature_K: ArrayLike, energy_eV: ArrayLike, sigma_eV: ArrayLike
) -> TransitionOnset:
    """Find where the slope of the energy over temperature falls.

    Raises ValueError for points that cannot be fitted, or fewer than 6 different temperatures.
    """
    temperature, energy, sigma = check_points(
        {"temperature_K": temperature_K, "energy_eV": energy_eV, "sigma_eV": sigma_eV}
    )
    order = np.argsort(temperature, kind="stable")
    points = _Sweep(temperature[order], energy[order], sigma[order])
    steps = np.unique(temperature)
    if steps.size < _LEAST_POINTS:
        raise ValueError(f"an onset needs {_LEAST_POINTS} temperatures, got {steps.size}")
    search = _searched(points, steps)
    if search.is_poor():
        bent = min(
            (_searched(points.bent_by(phonon), steps) for phonon in _PHONONS_EV),
            key=lambda one: one.least,
        )
        if search.least - bent.least > _LEAST_GAIN_OF_END * search.excess:
            search = bent
    if search.gain < _LEAST_GAIN:
        return _not_detected(search.points.with_hinges(), search.gain)
    return _detected(search, steps)


def below_the_onset(
    temperature_K: ArrayLike, energy_eV: ArrayLike, sigma_eV: ArrayLike
) -> tuple[NDArray[np.bool_], str]:
    """Return which points lie below a transition, and in words where it sets in, if there is one.

    All of them where none is detected, or where too few would be left for a law.
    """
    place = np.asarray(temperature_K, dtype=np.float64)
    everything = np.ones(place.shape, dtype=np.bool_)
    if np.unique(place).size < _LEAST_POINTS:
        return everything, ""
    onset = fit_transition_onset(temperature_K, energy_eV, sigma_eV)
    below = place < onset.onset_K - onset.error_K
    if not onset.is_detected or np.unique(place[below]).size < _LEAST_POINTS:
        return everything, ""
    return below, (
        f"of {below.sum()} points below {onset.onset_K:.0f} K, where a transition sets in"
    )


@dataclass(frozen=True, slots=True)
class _Search:
    """The best hinges of one baseline. gain: of chi2, over what chi2 per degree of freedom is
    above 1; profile: chi2 over the place of the onset.
    """

    points: _Sweep
    hinges: tuple[float, ...]
    profile: _Profile
    gain: float

    @property
    def least(self) -> float:
        return float(self.profile.chi2.min())

    @property
    def dof(self) -> int:
        return max(1, self.points.temperature.size - self.points.columns - 2 * len(self.hinges))

    @property
    def excess(self) -> float:
        return max(1.0, self.least / self.dof)

    def is_poor(self) -> bool:
        """Return whether chance hardly explains what is left."""
        return bool(chi2_distribution.sf(self.least, self.dof) < _UNLIKELY)


def _searched(points: _Sweep, steps: Array) -> _Search:
    places, ends = _grid(steps, _PLACES_PER_STEP), _grid(steps, _ENDS_PER_STEP)
    one = points.profile(places)
    both, end = points.profile_with_end(places, ends, apart_K=float(np.diff(steps).max()))
    dof = max(1, points.temperature.size - points.columns - 4)
    has_end = one.min() - both.min() >= _LEAST_GAIN_OF_END * max(1.0, both.min() / dof)
    chi2 = both if has_end else one
    best = int(np.argmin(chi2))
    hinges = (float(places[best]), float(end[best])) if has_end else (float(places[best]),)
    without = points.profile(ends, rising=True).min() if has_end else _chi2(points.with_hinges())
    gain = float(without - chi2[best]) / max(
        1.0, _per_dof(points.with_hinges(*hinges), len(hinges))
    )
    return _Search(points, hinges, _Profile(places, chi2), gain)


@dataclass(frozen=True, slots=True)
class _Sweep:
    temperature: Array
    energy: Array
    sigma: Array
    bend: Array | None = None  # of the lines, by phonons

    @property
    def columns(self) -> int:
        """How many coefficients the energy has without hinges."""
        return 2 if self.bend is None else 3

    def bent_by(self, phonon_eV: float) -> _Sweep:
        """Return the same with lines that phonons of this energy bend."""
        bend = thermal_occupation(phonon_eV, self.temperature)
        return _Sweep(self.temperature, self.energy, self.sigma, bend)

    def with_hinges(self, *hinges: float) -> LinearFit:
        columns = [np.ones_like(self.temperature), self.temperature]
        columns += [np.maximum(self.temperature - hinge, 0.0) for hinge in hinges]
        columns += [] if self.bend is None else [self.bend]
        return solve(np.column_stack(columns), self.energy, self.sigma**2)

    def _beyond_line(self, hinges: Array) -> tuple[Array, Array]:
        """Return energies and hinges over sigma, without what a straight line explains of them."""
        centred = self.temperature - self.temperature.mean()
        lines = [np.ones_like(centred), centred, *([] if self.bend is None else [self.bend])]
        basis, _ = np.linalg.qr(np.column_stack(lines) / self.sigma[:, None])
        left = self.energy / self.sigma
        bends = np.maximum(self.temperature - hinges[:, None], 0.0) / self.sigma
        return left - basis @ (basis.T @ left), bends - (bends @ basis) @ basis.T

    def profile(self, places: Array, *, rising: bool = False) -> Array:
        """Return chi2 with one hinge at each place, where the slope may only fall, or only rise."""
        left, bends = self._beyond_line(places)
        bend = np.maximum((bends @ left) * (1.0 if rising else -1.0), 0.0)
        return np.asarray(left @ left - bend**2 / (bends**2).sum(axis=1))

    def profile_with_end(
        self, places: Array, ends: Array, *, apart_K: float
    ) -> tuple[Array, Array]:
        """Return chi2 with the onset at each place and the best end, and that end.

        The slope may only fall at the onset and only rise at the end.
        """
        left, onset = self._beyond_line(places)
        _, end = self._beyond_line(ends)
        a, b = (onset @ left)[:, None], end @ left
        aa, bb, ab = (onset**2).sum(axis=1)[:, None], (end**2).sum(axis=1), onset @ end.T
        allowed = (ends >= places[:, None] + apart_K) & (a * bb < b * ab) & (b * aa > a * ab)
        determinant = np.where(allowed, aa * bb - ab**2, np.inf)
        gain = (a**2 * bb - 2.0 * a * b * ab + b**2 * aa) / determinant
        best = np.argmax(gain, axis=1)
        return np.asarray(left @ left - gain.max(axis=1)), ends[best]


def _chi2(fit: LinearFit) -> float:
    return fit.chi2_per_dof * fit.dof


def _per_dof(fit: LinearFit, hinges: int) -> float:
    return _chi2(fit) / max(1, fit.dof - hinges)  # the place of a hinge is a parameter too


def _grid(steps: Array, per_step: int) -> Array:
    """Return places within the sweep that leave two temperatures on either side."""
    inner = steps[1:-1]
    fraction = np.arange(per_step) / per_step
    return np.append((inner[:-1, None] + np.diff(inner)[:, None] * fraction).ravel(), inner[-1])


@dataclass(frozen=True, slots=True)
class _Profile:
    places: Array
    chi2: Array

    def interval(self, rise: float) -> tuple[float, float]:
        """Return the outermost places whose chi2 lies within `rise` of the least."""
        height = self.chi2 - self.chi2.min() - rise
        inside = np.flatnonzero(height <= 0)
        first, last = int(inside[0]), int(inside[-1])
        return self._crossing(height, first, first - 1), self._crossing(height, last, last + 1)

    def _crossing(self, height: Array, end: int, beyond: int) -> float:
        if not 0 <= beyond < self.places.size:
            return float(self.places[end])
        share = height[end] / (height[end] - height[beyond])
        return float(self.places[end] + share * (self.places[beyond] - self.places[end]))


def _detected(search: _Search, steps: Array) -> TransitionOnset:
    hinges, profile, gain = search.hinges, search.profile, search.gain
    bent = search.points.with_hinges(*hinges)
    onset, end = hinges[0], hinges[1] if len(hinges) > 1 else np.nan
    per_dof = _per_dof(bent, len(hinges))
    excess = max(1.0, per_dof)
    low, high = profile.interval(excess)
    low_95, high_95 = profile.interval(3.84 * excess)
    following = int(np.clip(np.searchsorted(steps, onset), 1, steps.size - 1))
    floor = 0.5 * float(steps[following] - steps[following - 1])
    profile_error = 0.5 * (high - low)
    _, slope, change = (float(c) for c in bent.coefficients[:3])
    said = [f"onset {onset:.1f} +- {max(profile_error, floor):.1f} K, gain {gain:.0f}"]
    if floor > profile_error:
        said.append(f"the error is half the temperature step, the profile's {profile_error:.2g} K")
    is_poor = chi2_distribution.sf(_chi2(bent), max(1, bent.dof - len(hinges))) < _UNLIKELY
    return TransitionOnset(
        is_detected=True,
        onset_K=onset,
        error_K=max(profile_error, floor),
        profile_error_K=profile_error,
        interval_95_K=(min(low_95, onset - floor), max(high_95, onset + floor)),
        slope_below=slope,
        slope_above=slope + change,
        end_K=end,
        midpoint_K=0.5 * (onset + end),
        gain=gain,
        chi2_per_dof=per_dof,
        residuals_eV=bent.residuals,
        verdict=Verdict.POOR_FIT if is_poor else Verdict.CONVERGED,
        reason="; ".join([*said, f"chi2/dof {per_dof:.2f}", *said_of_runs(bent.residuals)]),
    )


def _not_detected(straight: LinearFit, gain: float) -> TransitionOnset:
    return TransitionOnset(
        is_detected=False,
        onset_K=np.nan,
        error_K=np.nan,
        profile_error_K=np.nan,
        interval_95_K=(np.nan, np.nan),
        slope_below=float(straight.coefficients[1]),
        slope_above=np.nan,
        end_K=np.nan,
        midpoint_K=np.nan,
        gain=gain,
        chi2_per_dof=straight.chi2_per_dof,
        residuals_eV=straight.residuals,
        verdict=Verdict.NO_SIGNAL,
        reason="; ".join(
            [
                f"not detected: a falling slope lowers chi2 by {gain:.1f} only",
                *said_of_runs(straight.residuals),
            ]
        ),
    )
