"""Where a redshift begins: the hinge of E(T) at a phase transition, by profile likelihood.

The energy is a straight line up to the onset and another beyond; a third follows where the sweep
goes on after the redshift. Where straight lines do not do, as in a sweep that begins in the cold,
phonons of one energy bend them all alike. The likelihood has kinks where a hinge passes a point, so
it is scanned, not climbed, and intervals come from its profile.

A redshift that begins gently has no hinge where it begins, and one fitted to it lies later, by 15 %
of the redshift's width. Gentle beginnings are therefore tried too, and what the points cannot rule
out is in the error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2 as chi2_distribution

from analysis.estimation.verdict import Verdict
from analysis.estimation.weighted_least_squares import LinearFit, check_points, solve
from analysis.laws.errors_in_x import errors_in_x
from analysis.laws.law_fit import said_of_runs
from analysis.laws.uncertain_scatter import SIGMAS_95, student_sigmas
from analysis.spectra.thermal_occupation import thermal_occupation

__all__ = ["TransitionOnset", "below_the_onset", "fit_transition_onset"]

Array = NDArray[np.float64]

_LEAST_GAIN = 9.2  # of chi2 by a hinge: 2 to 3 % of sweeps without one reach it by chance
_LEAST_GAIN_OF_END = 14.0
_PLACES_PER_STEP = 50
_ENDS_PER_STEP = 10
_LEAST_POINTS = 6
_LEAST_GAIN_OF_SHAPE = 6.0  # of chi2: a shape that is worse by more is ruled out
_GENTLE_PLACES_PER_STEP = 10
_GENTLE_ENDS_PER_STEP = 4
_PHONONS_EV = np.geomspace(4e-3, 40e-3, 8)
_UNLIKELY = 1e-4


@dataclass(frozen=True, slots=True)
class TransitionOnset:
    """The onset, or that there is none.

    onset_K and everything about it is NaN where it was not detected. error_K: half of the 68 %
    profile interval and what other beginnings of the redshift would make of it, but never less than
    half the local temperature step. interval_95_K: likewise. profile_error_K: of the beginning that
    was chosen alone. slope_below, slope_above: in eV/K, before and in the redshift. end_K,
    midpoint_K: NaN where the sweep shows no end of the redshift. gain: drop of chi2 by the onset,
    over chi2/dof where that exceeds 1. is_gentle: the redshift begins gradually, not with a hinge.
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
    is_gentle: bool = False


def fit_transition_onset(
    temperature_K: ArrayLike,
    energy_eV: ArrayLike,
    sigma_eV: ArrayLike,
    *,
    sigma_temperature_K: ArrayLike | None = None,
) -> TransitionOnset:
    """Find where the slope of the energy over temperature falls.

    sigma_temperature_K: error of each, which enters by the slope there as an effective variance.
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
    found = _most_likely(points, steps)
    if sigma_temperature_K is not None and found.gain >= _LEAST_GAIN:
        error_K = errors_in_x(sigma_temperature_K, temperature, "sigma_temperature_K")[order]
        found = _most_likely(points.with_errors_in_temperature(found, error_K), steps)
    if found.gain < _LEAST_GAIN:
        return _not_detected(found.points.with_hinges(), found.gain)
    return _detected(found, _gentle(found, steps), steps)


def _most_likely(points: _Sweep, steps: Array) -> _Search:
    """Return the best hinges, bent by phonons where straight lines do not do."""
    search = _searched(points, steps)
    if search.is_poor():
        bent = min(
            (_searched(points.bent_by(phonon), steps) for phonon in _PHONONS_EV),
            key=lambda one: one.least,
        )
        if search.least - bent.least > _LEAST_GAIN_OF_END * search.excess:
            search = bent
    return search


def below_the_onset(
    temperature_K: ArrayLike,
    energy_eV: ArrayLike,
    sigma_eV: ArrayLike,
    *,
    sigma_temperature_K: ArrayLike | None = None,
) -> tuple[NDArray[np.bool_], str]:
    """Return which points lie below a transition, and in words where it sets in, if there is one.

    All of them where none is detected, or where too few would be left for a law.
    """
    place = np.asarray(temperature_K, dtype=np.float64)
    everything = np.ones(place.shape, dtype=np.bool_)
    if np.unique(place).size < _LEAST_POINTS:
        return everything, ""
    onset = fit_transition_onset(
        temperature_K, energy_eV, sigma_eV, sigma_temperature_K=sigma_temperature_K
    )
    below = place < onset.onset_K - onset.error_K
    if not onset.is_detected or np.unique(place[below]).size < _LEAST_POINTS:
        return everything, ""
    return below, (
        f"of {below.sum()} points below {onset.onset_K:.0f} K, where a transition sets in"
    )


class _Beginning(Enum):
    """How a redshift begins and ends: with hinges, or gently, its slope rising from zero."""

    SHARP = "sharp"
    QUADRATIC = "quadratic"
    CUBIC = "cubic"

    def share(self, passed: Array) -> Array:
        """Return how much of a gentle redshift has come about, over the share of its width."""
        x = np.clip(passed, 0.0, 1.0)
        if self is _Beginning.CUBIC:
            return np.asarray(x**2 * (3.0 - 2.0 * x))
        return np.where(x < 0.5, 2.0 * x**2, 1.0 - 2.0 * (1.0 - x) ** 2)


@dataclass(frozen=True, slots=True)
class _Search:
    """The best hinges of one baseline. gain: of chi2, over what chi2 per degree of freedom is
    above 1; profile: chi2 over the place of the onset.
    """

    points: _Sweep
    hinges: tuple[float, ...]
    profile: _Profile
    gain: float
    beginning: _Beginning = _Beginning.SHARP

    @property
    def onset_K(self) -> float:
        return self.hinges[0]

    @property
    def least(self) -> float:
        return float(self.profile.chi2.min())

    @property
    def dof(self) -> int:
        return max(1, self.points.temperature.size - self.points.columns - 2 * len(self.hinges))

    @property
    def excess(self) -> float:
        return max(1.0, self.least / self.dof)

    def rise(self, sigmas: float) -> float:
        """Return by how much chi2 rises from its least to the ends of an interval."""
        is_known = self.least <= self.dof
        return self.excess * float(student_sigmas(sigmas, np.inf if is_known else self.dof)) ** 2

    def interval(self, sigmas: float) -> tuple[float, float]:
        return self.profile.interval(self.rise(sigmas))

    def fit(self) -> LinearFit:
        """Return level, slope, change of the slope and the rest at the best place."""
        if self.beginning is _Beginning.SHARP:
            return self.points.with_hinges(*self.hinges)
        return self.points.with_gentle(self.beginning, *self.hinges)

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


def _gentle(sharp: _Search, steps: Array) -> list[_Search]:
    """Return the best redshifts that begin gently, where the sweep shows one end."""
    if len(sharp.hinges) < 2:
        return []
    places, ends = _grid(steps, _GENTLE_PLACES_PER_STEP), _grid(steps, _GENTLE_ENDS_PER_STEP)
    apart_K = float(np.diff(steps).max())
    baselines = [sharp.points]
    if sharp.points.bend is not None:
        baselines = [sharp.points.bent_by(phonon) for phonon in _PHONONS_EV]
    found = []
    for beginning in (_Beginning.QUADRATIC, _Beginning.CUBIC):
        searches = []
        for points in baselines:
            chi2, end = points.gentle_profile(beginning, places, ends, apart_K=apart_K)
            best = int(np.argmin(chi2))
            hinges = (float(places[best]), float(end[best]))
            profile = _Profile(places, chi2)
            searches.append(_Search(points, hinges, profile, sharp.gain, beginning))
        found.append(min(searches, key=lambda one: one.least))
    return found


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

    def with_errors_in_temperature(self, found: _Search, error_K: Array) -> _Sweep:
        """Return the same with the errors that those of the temperature make by the slope there."""
        energy = found.points.energy - found.fit().residuals
        different, place = np.unique(self.temperature, return_inverse=True)
        mean = np.bincount(place, energy) / np.bincount(place)
        slope = np.gradient(mean, different)[place]
        return replace(self, sigma=np.hypot(self.sigma, slope * error_K))

    def with_hinges(self, *hinges: float) -> LinearFit:
        return self._with([np.maximum(self.temperature - hinge, 0.0) for hinge in hinges])

    def with_gentle(self, beginning: _Beginning, onset_K: float, end_K: float) -> LinearFit:
        """Return the fit of a redshift as large as its coefficient times its width."""
        passed = beginning.share((self.temperature - onset_K) / (end_K - onset_K))
        beyond = np.maximum(self.temperature - end_K, 0.0)
        return self._with([passed * (end_K - onset_K), beyond])

    def _with(self, shifts: Sequence[Array]) -> LinearFit:
        columns = [np.ones_like(self.temperature), self.temperature, *shifts]
        columns += [] if self.bend is None else [self.bend]
        return solve(np.column_stack(columns), self.energy, self.sigma**2)

    def _beyond_line(self, hinges: Array) -> tuple[Array, Array]:
        """Return energies and hinges over sigma, without what a straight line explains of them."""
        bends = np.maximum(self.temperature - hinges[:, None], 0.0)
        return self._left_by_line(self.energy), self._left_by_line(bends)

    def _left_by_line(self, of: Array) -> Array:
        """Return what a straight line leaves of rows of numbers over sigma, (..., points)."""
        centred = self.temperature - self.temperature.mean()
        lines = [np.ones_like(centred), centred, *([] if self.bend is None else [self.bend])]
        basis, _ = np.linalg.qr(np.column_stack(lines) / self.sigma[:, None])
        white = of / self.sigma
        return np.asarray(white - (white @ basis) @ basis.T)

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

    def gentle_profile(
        self, beginning: _Beginning, places: Array, ends: Array, *, apart_K: float
    ) -> tuple[Array, Array]:
        """Return chi2 with a gentle onset at each place and the best end, and that end.

        The energy may only fall; beyond the end its slope is another.
        """
        width = ends - places[:, None]
        allowed = width >= apart_K
        from_onset = self.temperature - places[:, None, None]
        passed = beginning.share(from_onset / np.where(allowed, width, np.inf)[..., None])
        left, end = self._beyond_line(ends)
        shift = self._left_by_line(passed)
        a, b = shift @ left, end @ left
        aa, bb = (shift**2).sum(axis=2), (end**2).sum(axis=1)
        ab = np.einsum("pen,en->pe", shift, end)
        falls = allowed & (a * bb < b * ab)
        determinant = np.where(falls, aa * bb - ab**2, np.inf)
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


def _detected(sharp: _Search, gentle: Sequence[_Search], steps: Array) -> TransitionOnset:
    search = min([sharp, *gentle], key=lambda one: one.least)
    if search is not sharp and sharp.least - search.least < _LEAST_GAIN_OF_SHAPE * search.excess:
        search = sharp
    allowed = [
        one
        for one in (sharp, *gentle)
        if one.least - search.least < _LEAST_GAIN_OF_SHAPE * search.excess
    ]
    onset, end = search.onset_K, search.hinges[1] if len(search.hinges) > 1 else np.nan
    bent = search.fit()
    per_dof = search.least / search.dof
    low, high = search.interval(1.0)
    ends_95 = [one.interval(SIGMAS_95) for one in allowed]
    following = int(np.clip(np.searchsorted(steps, onset), 1, steps.size - 1))
    floor = 0.5 * float(steps[following] - steps[following - 1])
    profile_error = 0.5 * (high - low)
    shape_error = max(abs(one.onset_K - onset) for one in allowed)
    error = max(float(np.hypot(profile_error, shape_error)), floor)
    _, slope, change = (float(c) for c in bent.coefficients[:3])
    said = [f"onset {onset:.1f} +- {error:.1f} K, gain {search.gain:.0f}"]
    if search is not sharp:
        said.append(f"it begins gently: a hinge would lie at {sharp.onset_K:.1f} K")
    if shape_error > 0:
        said.append(f"other beginnings would move it by up to {shape_error:.1f} K")
    if floor == error:
        said.append(f"the error is half the temperature step, the profile's {profile_error:.2g} K")
    is_poor = chi2_distribution.sf(search.least, search.dof) < _UNLIKELY
    return TransitionOnset(
        is_detected=True,
        onset_K=onset,
        error_K=error,
        profile_error_K=profile_error,
        interval_95_K=(
            min(*(one[0] for one in ends_95), onset - floor),
            max(*(one[1] for one in ends_95), onset + floor),
        ),
        slope_below=slope,
        slope_above=slope + change,
        end_K=end,
        midpoint_K=0.5 * (onset + end),
        gain=search.gain,
        chi2_per_dof=per_dof,
        residuals_eV=bent.residuals,
        verdict=Verdict.POOR_FIT if is_poor else Verdict.CONVERGED,
        reason="; ".join([*said, f"chi2/dof {per_dof:.2f}", *said_of_runs(bent.residuals)]),
        is_gentle=search is not sharp,
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
